//! The deliver stage: notifications go to their endpoints, are retried, and end delivered, dead or cancelled.
//!
//! ```no_run
//! # async fn example(ports: carillon_deliver::Ports, batch: Vec<carillon_core::ports::QueueRecord>) {
//! let outcome = carillon_deliver::handle(&ports, &batch).await;
//! assert!(outcome.failed.is_empty());
//! # }
//! ```
//!
//! # The files, in the order a delivery visits them
//!
//! | file | holds |
//! |---|---|
//! | `batch` | opening a batch, the order of attempts, panics |
//! | [`circuit`] | what is known of each subscription's health: push backoff, fair share, rate limit |
//! | `http`, `queue`, `sns` | one attempt at an endpoint, one file per kind |
//! | [`signing`] | keys, certificates, both signatures |
//! | `settle` | what follows: re-sends, dead letters, the attempt log |
//! | [`dial`] | the HTTP client: guarded resolver, TLS, bounded reading |
//!
//! # Exact rules
//!
//! * Target, format and strategy of a subscription are looked up when it is attempted. A delivery whose subscription is
//!   gone is cancelled, and the attempt log says so. A delivery of a newer snapshot than the store gives yet waits.
//! * Retries follow the subscription's strategy; a retry travels alone, as a delayed message of its own, and its record
//!   is done only when that message is durable. A `Retry-After` lengthens the gap, to 900 s at most.
//! * What no retry mends, and what retries did not mend, is kept as a dead letter with its attempts and the reason, in
//!   the system's store always and in the subscription's dead-letter queue too when it has one.
//! * A subscription that fails again and again is left alone for 500 ms, then twice as long each time, 60 s at most
//!   (HELP: Push backoff policy). Its deliveries wait meanwhile in the queue, no attempt is counted, and those that
//!   outlive the topic's retention of one day become dead letters.
//! * A delivery that an operator redrives does not wait for the endpoint's next probe: it is the probe, at once. One is
//!   pushed, and the others follow when it is taken; when it is not, they wait like the rest.
//! * What waits comes back when the endpoint's next probe is due, and no sooner than after an eighth of what it has
//!   waited already, 15 minutes at most: about 30 re-sends in the first hour, 130 in a day.
//! * Every re-send carries its number. What comes with a smaller one than this process has passed on is a copy, left by a
//!   send whose answer was lost, and ends here.
//! * A record fails only when something could not be made durable. When it comes again, what this process already did
//!   for it is not done again.
//! * A panic while one delivery is attempted is a failed attempt of that delivery alone.
//!
//! # What it will not do
//!
//! It follows no redirect, uses no proxy, promises no order, and decides nothing about rules.

mod batch;
pub mod bench;
pub mod circuit;
#[cfg(feature = "aws")]
pub mod cloud;
pub mod dial;
mod http;
mod queue;
mod settings;
mod settle;
mod signer;
pub mod signing;
mod sns;

pub use settings::Settings;
pub use signer::{NoSigner, Signer, SigningError, ToSign};

use carillon_core::ports::{
    AttemptLog, BatchOutcome, Clock, DeadLetterStore, HttpDialler, QueueRecord, QueueSender,
    Random, SnsTopics, StageSender,
};
use carillon_core::ruleset::SnapshotCache;
use std::sync::Arc;

/// What the stage asks of the world.
#[derive(Clone)]
pub struct Ports {
    /// Subscriptions, at the newest version.
    pub snapshots: Arc<SnapshotCache>,
    /// Takes retries and what has to wait, back to this stage's own queue.
    pub stages: Arc<dyn StageSender>,
    /// Queues as endpoints, and as dead-letter queues of subscriptions.
    pub queues: Arc<dyn QueueSender>,
    /// Topics of SNS as endpoints; none where there is no SNS.
    pub sns: Option<Arc<dyn SnsTopics>>,
    /// HTTP endpoints. [`dial::Dialler`] is the real one.
    pub http: Arc<dyn HttpDialler>,
    /// The system's dead letters.
    pub dead_letters: Arc<dyn DeadLetterStore>,
    /// Every attempt.
    pub attempts: Arc<dyn AttemptLog>,
    /// Time of attempts, of backoff and of rate limits.
    pub clock: Arc<dyn Clock>,
    /// Request ids, and the spread of BACKOFF_RETRY.
    pub random: Arc<dyn Random>,
    /// Signs HTTP pushes; [`NoSigner`] leaves them unsigned.
    pub signer: Arc<dyn Signer>,
    /// What this process remembers between batches: health of subscriptions, and what was done of a record that failed.
    /// One per process.
    pub memory: Arc<Memory>,
    /// Settings.
    pub settings: Settings,
}

/// What a process remembers between batches. Bounded; losing it costs duplicates and a few attempts, never a delivery.
#[derive(Debug, Default)]
pub struct Memory {
    pub(crate) circuits: circuit::Circuits,
    pub(crate) done: settle::DoneBefore,
    pub(crate) passed_on: settle::PassedOn,
}

/// Attempts every delivery of a batch.
pub async fn handle(ports: &Ports, batch: &[QueueRecord]) -> BatchOutcome {
    batch::run(ports, batch).await
}
