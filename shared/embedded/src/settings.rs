//! What can be set about a store.

use crate::clock::{SystemClock, SystemRandom, Timekeeper};
use carillon_core::ports::Random;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it survives a power cut. The only sound one for a service.
    #[default]
    Disk,
    /// When the operating system has it (`synchronous=OFF`): it survives the process, not a power cut. For stores that
    /// are thrown away.
    System,
}

/// Puts what was written to a file on the disk.
pub type Sync = Arc<dyn Fn(&File) -> std::io::Result<()> + Send + std::marker::Sync>;

/// Settings of a store.
#[derive(Clone)]
pub struct Settings {
    /// All time in the store comes from here.
    pub clock: Arc<dyn Timekeeper>,
    /// Message ids and receipts come from here.
    pub random: Arc<dyn Random>,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Largest size of the database file, in bytes; beyond it, writes are refused as on a full disk until something is
    /// deleted. None: as large as the disk lets it grow.
    pub max_bytes: Option<u64>,
    /// Largest message between stages, in bytes. Default 1 MiB, as SQS has it since 2025.
    pub max_stage_message: usize,
    /// How long attempts are kept; default 7 days.
    pub keep_attempts: Duration,
    /// How long accepted packs of events are kept, for replay and preview; zero keeps none. Default one day.
    pub keep_events: Duration,
    /// Most bytes that the kept packs may take, compressed; beyond it the oldest are let go before their time. Never more
    /// than a quarter of [`max_bytes`](Self::max_bytes). Default 1 GiB.
    pub keep_event_bytes: u64,
    /// Of successful attempts one in so many is kept (by message id, so that all attempts of a message are kept or none);
    /// 1 keeps all, 0 none. Failures are always kept. Default 1.
    pub sample_successes: u32,
    /// How long what handlers hand on by [`HandOver`](crate::HandOver) stays in memory alone; what is settled by then is
    /// never written. A process that dies repeats at most so much, twice over. Zero: everything is written at once.
    /// Default 500 ms.
    pub hold: Duration,
    /// How the write-ahead log is put on the disk; `File::sync_data`, unless a test stands in between.
    pub sync: Sync,
    /// Of successful attempts at most about so many a second are kept: beyond it the log keeps a sample, by message id.
    /// Failures are always kept. Default 200.
    pub most_successes_a_second: u32,
    /// How long work that nobody waits for (deleting handled records, the attempt log) waits for other work to share its
    /// commit. Default 3 ms.
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            durability: Durability::Disk,
            max_bytes: None,
            max_stage_message: 1 << 20,
            keep_attempts: Duration::from_secs(7 * 86_400),
            keep_events: Duration::from_secs(86_400),
            keep_event_bytes: 1 << 30,
            sample_successes: 1,
            hold: Duration::from_millis(500),
            sync: Arc::new(File::sync_data),
            most_successes_a_second: 200,
            linger: Duration::from_millis(3),
        }
    }
}

impl Settings {
    /// Most bytes of kept packs.
    pub(crate) fn most_event_bytes(&self) -> u64 {
        let share = self.max_bytes.map_or(u64::MAX, |bytes| bytes / 4);
        self.keep_event_bytes.min(share)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("durability", &self.durability)
            .field("max_bytes", &self.max_bytes)
            .field("max_stage_message", &self.max_stage_message)
            .field("keep_attempts", &self.keep_attempts)
            .field("keep_events", &self.keep_events)
            .field("keep_event_bytes", &self.keep_event_bytes)
            .field("sample_successes", &self.sample_successes)
            .field("hold", &self.hold)
            .field("linger", &self.linger)
            .finish_non_exhaustive()
    }
}
