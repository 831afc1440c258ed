//! Clock and random numbers of the machine.

use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, Random};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Random numbers for spreading retries and for names; not for secrets. The standard library seeds each hasher from the
/// operating system, so two processes never draw alike.
#[derive(Debug, Default)]
pub struct SystemRandom {
    seed: std::hash::RandomState,
    drawn: AtomicU64,
}

impl Random for SystemRandom {
    fn draw(&self) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u64(self.drawn.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}
