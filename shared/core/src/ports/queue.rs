//! Queues as endpoints and as the MNS queue interface serves them: SQS and MNS semantics.

use super::UserProperty;
use crate::event::{MessageId, Timestamp};
use crate::topic::QueueName;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The body, exactly.
    pub body: String,
    /// Invisible for this long first; zero: as long as the queue's own `DelaySeconds` says, unless [`at_once`](Self::at_once).
    /// SQS allows whole seconds up to 900.
    pub delay: Duration,
    /// Visible at once, whatever the queue's own `DelaySeconds` says; `delay` is then zero. SQS's `DelaySeconds: 0`.
    pub at_once: bool,
    /// Fair-queue group (SQS `MessageGroupId` on a standard queue): one group's backlog does not hold up another's.
    pub group: Option<String>,
    /// 1 (highest) to 16; none: MNS's default, 8 ([`Message::DEFAULT_PRIORITY`]). Queues of SQS know no priority.
    pub priority: Option<u8>,
    /// What the sender put beside the body.
    pub properties: Vec<UserProperty>,
    /// The message's id, for a queue that can take one: a notification keeps its own, so that its copies are known in the
    /// queue too. None: the queue draws one. SQS always does.
    pub id: Option<MessageId>,
}

impl OutgoingMessage {
    /// A message without delay or group.
    #[must_use]
    pub fn new(body: String) -> Self {
        OutgoingMessage {
            body,
            ..Self::default()
        }
    }

    /// What counts against the queue's `MaximumMessageSize`, bytes: the body, and the properties with their names and
    /// types (HELP: Message properties).
    #[must_use]
    pub fn size(&self) -> usize {
        let properties = self.properties.iter().map(UserProperty::size);
        self.body.len() + properties.sum::<usize>()
    }
}

/// A message as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// 32 upper-case hex digits.
    pub id: String,
    /// The body, exactly.
    pub body: String,
    /// Names this reception; deleting and changing visibility need it. None on a peek.
    pub receipt: Option<Receipt>,
    /// When it was sent.
    pub enqueued: Timestamp,
    /// When it was first received; the time of sending on a message never received.
    pub first_received: Timestamp,
    /// When it becomes visible again.
    pub next_visible: Timestamp,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// 1 (highest) to 16; MNS default 8.
    pub priority: u8,
    /// What the sender put beside the body, in the sender's order where the queue keeps it.
    pub properties: Vec<UserProperty>,
}

impl Message {
    /// Priority of a message sent without one (MNS SendMessage).
    pub const DEFAULT_PRIORITY: u8 = 8;
}

/// Handle of one reception (`ReceiptHandle`); void once the visibility timeout has run out and the message went to
/// another consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receipt(pub String);

/// Attributes of a user's queue, with MNS's names, units and defaults (MNS limits).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct QueueAttributes {
    /// Seconds a sent message stays invisible, 0 to 604 800; default 0.
    pub delay_seconds: u32,
    /// Largest body in bytes, 1 024 to 65 536; default 65 536.
    pub maximum_message_size: u32,
    /// Seconds a message is kept, 60 to 604 800; default 345 600.
    pub message_retention_period: u32,
    /// Seconds a received message stays invisible, 1 to 43 200; default 30.
    pub visibility_timeout: u32,
    /// Seconds a receive waits for a message, 0 to 30; default 0.
    pub polling_wait_seconds: u32,
    /// Kept and answered as MNS does.
    pub logging_enabled: bool,
    /// After this many receptions a message moves to [`dead_letter_queue`](Self::dead_letter_queue).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_receive_count: Option<u32>,
    /// Where it moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue: Option<QueueName>,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        QueueAttributes {
            delay_seconds: 0,
            maximum_message_size: 65_536,
            message_retention_period: 345_600,
            visibility_timeout: 30,
            polling_wait_seconds: 0,
            logging_enabled: false,
            max_receive_count: None,
            dead_letter_queue: None,
        }
    }
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStatistics {
    /// Visible now.
    pub active: u64,
    /// Received and not yet deleted or visible again.
    pub inactive: u64,
    /// Not yet visible for the first time.
    pub delayed: u64,
}

/// A queue, its attributes and its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserQueue {
    /// Its name.
    pub name: QueueName,
    /// Its attributes.
    pub attributes: QueueAttributes,
    /// When it was made.
    pub created: Timestamp,
    /// When its attributes last changed.
    pub modified: Timestamp,
    /// How many messages it holds.
    pub statistics: QueueStatistics,
}

/// What goes wrong with a queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No such queue.
    #[error("there is no queue {0:?}")]
    NotExist(String),
    /// A queue of that name exists with other attributes.
    #[error("queue {0:?} exists already, with other attributes")]
    AlreadyExist(String),
    /// No message has that receipt (any more).
    #[error(
        "no message has this receipt handle: it was deleted, or its visibility timeout ran out"
    )]
    ReceiptVoid,
    /// The text is no receipt: no reception ever gave it.
    #[error("this is no receipt handle")]
    ReceiptInvalid,
    /// The body is larger than the queue takes.
    #[error("the message is {len} bytes, queue {queue:?} takes at most {limit}")]
    TooLarge {
        /// The queue.
        queue: String,
        /// Bytes of the message.
        len: usize,
        /// Its limit.
        limit: u32,
    },
    /// The queue will never take this: its text holds characters, or its attributes values, that the queue's service
    /// does not know. Says which, and what to do.
    #[error("{0}")]
    Refused(String),
    /// The queue did not take the request now; it may later.
    #[error("the queue is not available: {0}")]
    Unavailable(String),
}

/// Sends to users' queues.
#[async_trait::async_trait]
pub trait QueueSender: Send + Sync {
    /// Sends messages. One result for each, in order; `Ok` holds the message's id, and means durable.
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>>;
}

/// Receives from users' queues.
#[async_trait::async_trait]
pub trait QueueConsumer: Send + Sync {
    /// Takes up to `max` visible messages, waiting up to `wait` (none: the queue's own setting) for the first; an empty
    /// list when none came.
    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<Message>, QueueError>;

    /// Looks at up to `max` visible messages without taking them.
    async fn peek(&self, queue: &QueueName, max: usize) -> Result<Vec<Message>, QueueError>;

    /// Deletes by receipt. One result for each, in order.
    async fn delete(
        &self,
        queue: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError>;

    /// Makes a received message visible after `visibility` from now. Gives its new receipt and the time it becomes
    /// visible.
    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(Receipt, Timestamp), QueueError>;
}

/// Makes and unmakes users' queues.
#[async_trait::async_trait]
pub trait QueueAdmin: Send + Sync {
    /// Makes a queue. `Ok(false)` when one with equal attributes exists (MNS answers 204).
    async fn create(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<bool, QueueError>;

    /// Replaces the attributes.
    async fn set_attributes(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<(), QueueError>;

    /// One queue.
    async fn get(&self, queue: &QueueName) -> Result<UserQueue, QueueError>;

    /// Deletes a queue and its messages. `Ok(false)` when there was none.
    async fn delete(&self, queue: &QueueName) -> Result<bool, QueueError>;

    /// All queues whose name begins with `prefix`, in ascending order of name.
    async fn list(&self, prefix: &str) -> Result<Vec<UserQueue>, QueueError>;
}
