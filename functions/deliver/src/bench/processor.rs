//! Processor time, which tells the cost of a push even while other programs keep the machine busy.

use std::time::Duration;

/// Processor time this process has used, all threads together; none where the system does not tell.
pub(super) fn used() -> Option<Duration> {
    // Linux: fields 14 and 15 of this file, in hundredths of a second (proc(5); USER_HZ is 100 on all its platforms).
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets that may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
