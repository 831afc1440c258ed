//! Clock, random, HTTP, and where deliveries leave their traces.

use super::StoreError;
use crate::delivery::{Attempt, DeadLetter};
use crate::event::{MessageId, Product, Timestamp};
use crate::rule::RuleName;
use crate::topic::{SubscriptionName, TopicName};
use std::sync::Arc;
use std::time::Duration;

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Random numbers.
pub trait Random: Send + Sync {
    /// Sixty-four random bits.
    fn draw(&self) -> u64;
}

/// One HTTP push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    /// Where to, as the subscription has it.
    pub url: String,
    /// Headers in order, names in lower case. `host` and `content-length` are the dialler's.
    pub headers: Vec<(&'static str, String)>,
    /// The body; shared, since a retry and several subscriptions push the same bytes.
    pub body: Arc<str>,
    /// Time for the whole exchange.
    pub timeout: Duration,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushResponse {
    /// Status.
    pub status: u16,
    /// `Retry-After`, as sent.
    pub retry_after: Option<String>,
    /// `Date`, as sent; a `Retry-After` that names a time is read against it.
    pub date: Option<String>,
    /// The first bytes of the body, as text.
    pub excerpt: String,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushFailure {
    /// The address guard refuses the URL or an address it resolves to.
    #[error("address refused: {0}")]
    Refused(String),
    /// The name does not resolve.
    #[error("name not resolved: {0}")]
    Dns(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Nothing, or not everything, came in time.
    #[error("timed out after {0:?}")]
    Timeout(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("broken answer: {0}")]
    Broken(String),
}

/// Sends HTTP pushes.
#[async_trait::async_trait]
pub trait HttpDialler: Send + Sync {
    /// Sends one push and reads the beginning of the answer. Never follows a redirect.
    async fn push(&self, request: PushRequest) -> Result<PushResponse, PushFailure>;
}

/// One line of the attempt log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The message.
    pub message_id: MessageId,
    /// Product of its event.
    pub product: Product,
    /// Rule that covered it.
    pub rule: RuleName,
    /// Topic it was published to.
    pub topic: TopicName,
    /// Subscription it went to.
    pub subscription: SubscriptionName,
    /// Number of the attempt, from 1.
    pub number: u32,
    /// The attempt.
    pub attempt: Attempt,
}

/// Keeps attempts for a configurable time.
#[async_trait::async_trait]
pub trait AttemptLog: Send + Sync {
    /// Records attempts. A failure of the log is no failure of the delivery.
    async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError>;
}

/// Keeps dead letters until an operator redrives or deletes them.
#[async_trait::async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Keeps them, durably.
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError>;
}

/// Something to publish, as it came in at `POST /events`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// The body, exactly.
    pub body: Vec<u8>,
    /// `x-carillon-product`: what a body that does not say so itself is of.
    pub product: Option<String>,
    /// All headers, names in lower case: some sources (CloudEvents) speak by header.
    pub headers: Vec<(String, String)>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishReceipt {
    /// Events accepted, all durable.
    pub accepted: usize,
    /// Why records that were understood gave no event: `s3:TestEvent`, a failed operation, a job still running.
    pub ignored: Vec<String>,
    /// For OSS bodies of which at least one event is covered by a rule: whether the covered ones were handed over
    /// (`x-oss-process-status`, seed 000, 3.1). `Err` holds the reason, of a publisher that accepts before it hands over.
    pub status: Option<Result<(), String>>,
}

/// Why nothing was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The body cannot be read: the publisher must change it.
    #[error("{0}")]
    Unreadable(String),
    /// The service cannot take it now: the publisher may send it again.
    #[error("not accepted: {reason}; send it again later")]
    Unavailable {
        /// Why.
        reason: String,
        /// Whether it is an OSS body of which a rule covers at least one event: then the answer carries
        /// `x-oss-process-status` with `Fail` and the reason (seed 000, 3.1).
        covered: bool,
    },
}

/// Takes events in by direct publish.
#[async_trait::async_trait]
pub trait Publisher: Send + Sync {
    /// Accepts all events of the body, or none.
    async fn publish(&self, submission: Submission) -> Result<PublishReceipt, PublishError>;
}
