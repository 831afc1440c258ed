//! One notification on its way to one subscription: a pure state machine.
//!
//! ```text
//!            success                                   ┌──────────────┐
//!  attempt ───────────────────────────────────────────►│  Delivered   │
//!     ▲  │   failure, the strategy has a gap left      ├──────────────┤
//!     │  ├────────────────────────────────────────────►│  RetryAfter  │──┐ re-sent to the deliver queue,
//!     │  │   failure, no gap left; or hopeless         ├──────────────┤  │ with that delay
//!     │  └────────────────────────────────────────────►│  DeadLetter  │  │
//!     │                                                └──────────────┘  │
//!     └──────────────────────────────────────────────────────────────────┘
//! ```

use crate::event::{EventType, MessageId, Product, Timestamp};
use crate::rule::RuleName;
use crate::topic::{NotifyStrategy, SubscriptionName, TopicName};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A message published to a topic because a rule covered an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Derived from the event and the topic; the same on every retry and for every duplicate.
    pub message_id: MessageId,
    /// Product of the event.
    pub product: Product,
    /// Rule that covered it; `DefaultEnRule` for the default rule.
    pub rule: RuleName,
    /// Type of the event.
    pub event_type: EventType,
    /// Resource of the event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// The published text, exactly.
    pub body: String,
    /// When it was published to the topic.
    pub published: Timestamp,
    /// Its tag, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeClass {
    /// Accepted by the endpoint.
    Success,
    /// Failed in a way that may pass.
    Retry,
    /// Failed in a way that no retry mends.
    Hopeless,
}

/// What the endpoint said, or why nothing was heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Class: decides what comes next.
    pub class: OutcomeClass,
    /// HTTP status, when there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For a person: what happened, with a short excerpt of the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The endpoint's wish (`Retry-After`), already held within bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// One attempt, as the log and the dead letter keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub took_ms: u32,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A notification on its way to one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Topic it was published to.
    pub topic: TopicName,
    /// Subscription it goes to. Its target, format and strategy are looked up when it is attempted, so that a change
    /// or a deletion reaches deliveries that wait.
    pub subscription: SubscriptionName,
    /// Version of the snapshot that judged the event.
    pub version: u64,
    /// What is delivered.
    pub notification: Notification,
    /// Attempts made so far.
    #[serde(default)]
    pub attempts: u32,
    /// The attempts themselves; of a long series the first and the newest ([`Delivery::KEPT`] in all), since the
    /// message that carries them is bounded. The attempt log has every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// When an operator sent it again: it may then wait for its endpoint as long as a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven: Option<Timestamp>,
    /// How often the deliver stage has put it back into its queue, attempted or not. Whoever has put it back knows by
    /// this number that what comes with a smaller one is a copy of what it has already passed on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resends: u32,
}

/// For serde, which asks by reference.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Done.
    Delivered,
    /// Attempt again after this long.
    RetryAfter(Duration),
    /// Give up, for this reason.
    DeadLetter(DeadLetterReason),
}

/// Why a delivery ended as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// All retries of the strategy failed.
    RetriesExhausted,
    /// The endpoint's answer, or the address guard, left no hope.
    Hopeless,
    /// It outlived the topic's retention while its endpoint was left alone.
    Expired,
}

impl Delivery {
    /// Most attempts kept in [`history`](Self::history).
    pub const KEPT: usize = 16;

    /// The same delivery as it began: what a redrive sends to the deliver queue. Message, id and bytes are unchanged; the
    /// attempts are forgotten, so that it has all of its strategy's retries again.
    #[must_use]
    pub fn renewed(self, now: Timestamp) -> Self {
        Delivery {
            attempts: 0,
            history: Vec::new(),
            redriven: Some(now),
            resends: 0,
            ..self
        }
    }

    /// Since when it waits to be delivered: its publishing, or the last redrive.
    #[must_use]
    pub fn waiting_since(&self) -> Timestamp {
        self.redriven.unwrap_or(self.notification.published)
    }

    /// Records an attempt and decides what follows. `draw` is a random number, for the spread of BACKOFF_RETRY.
    ///
    /// A `retry_after` of the endpoint lengthens a gap and never shortens it.
    pub fn next_step(&mut self, strategy: NotifyStrategy, attempt: Attempt, draw: u64) -> Step {
        let class = attempt.outcome.class;
        let wish = attempt.outcome.retry_after;
        self.attempts = self.attempts.saturating_add(1);
        self.history.push(attempt);
        if self.history.len() > Self::KEPT {
            // The first attempt tells when the trouble began; the newest tell how it goes on.
            self.history.remove(1);
        }
        match class {
            OutcomeClass::Success => Step::Delivered,
            OutcomeClass::Hopeless => Step::DeadLetter(DeadLetterReason::Hopeless),
            OutcomeClass::Retry => match strategy.gap(self.attempts, draw) {
                Some(gap) => Step::RetryAfter(wish.map_or(gap, |wish| wish.max(gap))),
                None => Step::DeadLetter(DeadLetterReason::RetriesExhausted),
            },
        }
    }
}

/// A delivery that ended without success, or a record that no stage could read, with everything needed to understand
/// it and to send it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it ended.
    pub at: Timestamp,
    /// Why, for a person.
    pub reason: String,
    /// What it was.
    pub content: DeadLetterContent,
}

/// See [`DeadLetter`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterContent {
    /// A delivery, with its attempts.
    Delivery(Box<Delivery>),
    /// The body of a record that a stage could not read.
    Record {
        /// The stage that refused it: `ingest`, `match` or `deliver`.
        stage: String,
        /// The body, exactly.
        body: String,
    },
}
