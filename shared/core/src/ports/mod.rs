//! What the handlers ask of the world: one trait per verb group. The adapters stand in `shared/embedded` (SQLite),
//! `shared/aws` (DynamoDB, SQS, SNS) and in the tests (simulated).
//!
//! Traits are used as `Arc<dyn ...>`: a call moves a batch, so its boxed future costs nothing that shows.

mod admin;
mod archive;
mod keys;
mod marks;
mod memory;
mod property;
mod queue;
mod sns;
mod stage;
mod store;
mod world;

pub use admin::{
    AttemptQuery, Certificates, DeadLetterAdmin, Followed, KeptDeadLetter, MetricsText, Page,
    Selection, WebhookKeySet, WebhookKeys,
};
pub use archive::{EventArchive, KeptPack};
pub use keys::{KeyError, KeyState, SigningKey, SigningKeyKind, SigningKeys};
pub use marks::{Marks, MemoryMarks};
pub use memory::{Accepted, DuplicateWindow, ObjectMetadata, ObjectName, SizeIndex};
pub use property::{PropertyError, PropertyType, UserProperty};
pub use queue::{
    Message, OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer, QueueError, QueueSender,
    QueueStatistics, Receipt, UserQueue,
};
pub use sns::{SnsError, SnsMessage, SnsTopics};
pub use stage::{BatchOutcome, QueueRecord, Stage, StageSender};
pub use store::{Change, CommitError, Records, RuleStore, StoreError};
pub use world::{
    AttemptLog, AttemptRecord, Clock, DeadLetterStore, HttpDialler, PublishError, PublishReceipt,
    Publisher, PushFailure, PushRequest, PushResponse, Random, Submission,
};
