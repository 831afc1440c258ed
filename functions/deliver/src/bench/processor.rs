//! Processor time, which tells the cost of a push even while other programs keep the machine busy.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processor time this process has used, all threads together; none where the system does not tell.
pub(super) fn used() -> Option<Duration> {
    used_by(Path::new("/proc/self/stat"))
}

/// The processor time of one thread.
#[derive(Clone, Debug)]
pub(super) struct Thread(Option<PathBuf>);

impl Thread {
    /// The thread that asks.
    pub(super) fn this() -> Self {
        let own = std::fs::read_link("/proc/thread-self").ok();
        Thread(own.map(|own| Path::new("/proc").join(own).join("stat")))
    }

    /// What it has used; none where the system does not tell.
    pub(super) fn used(&self) -> Option<Duration> {
        used_by(self.0.as_deref()?)
    }
}

/// Linux: fields 14 and 15 of this file, in hundredths of a second (proc(5); USER_HZ is 100 on all its platforms).
fn used_by(stat: &Path) -> Option<Duration> {
    let stat = std::fs::read_to_string(stat).ok()?;
    // The second field is a name in brackets that may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
