//! The contract of a stage: that of an SQS event source mapping with `ReportBatchItemFailures`.

use super::{OutgoingMessage, QueueError};
use std::fmt;

/// A stage, named by the queue that feeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Raw bodies to decode.
    Ingest,
    /// Packed events to judge.
    Match,
    /// Packed deliveries to push.
    Deliver,
}

impl Stage {
    /// `ingest`, `match`, `deliver`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Ingest => "ingest",
            Stage::Match => "match",
            Stage::Deliver => "deliver",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// The queue's id of it; what a failure names.
    pub id: String,
    /// The message.
    pub body: String,
    /// How often it has been received, this time included.
    pub receive_count: u32,
}

/// What a handler answers: the records that must come again. All others are deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Ids of failed records, each with the reason (for the log, and for the dead letter if it fails too often).
    pub failed: Vec<(String, String)>,
}

/// Sends to the queue of a later stage (deliver also to its own: a retry is a delayed re-send).
#[async_trait::async_trait]
pub trait StageSender: Send + Sync {
    /// Sends messages, in batches as the queue has them. One result for each message, in order: a partial failure
    /// names exactly what was not taken.
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>>;
}
