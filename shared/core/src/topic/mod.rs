//! Topics, their subscriptions, and how those are pushed to.

mod keys;
mod names;
mod sns;
mod strategy;

pub use keys::{WebhookGeneration, WebhookGenerations};
pub use names::{QueueName, SubscriptionName, TopicName};
pub use sns::SnsTopic;
pub use strategy::NotifyStrategy;

use crate::event::{Product, Timestamp};
use crate::rule::RuleName;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A topic: what a rule publishes to, and subscriptions hang on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// The rule it was made for; none for a topic of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<(Product, RuleName)>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Largest message, bytes, 1 024 to 65 536 (MNS limits).
    #[serde(default = "Topic::default_max_message_size")]
    pub max_message_size: u32,
    /// `LoggingEnabled`: kept and answered, as MNS does; every attempt is logged either way.
    #[serde(default)]
    pub logging: bool,
}

impl Topic {
    /// Largest message that a topic takes, in bytes (MNS limits).
    pub const MAX_MESSAGE_SIZE: u32 = 65_536;

    fn default_max_message_size() -> u32 {
        Self::MAX_MESSAGE_SIZE
    }
}

/// Where a subscription pushes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// An `http://` or `https://` URL.
    Http(String),
    /// A queue of the same account and region.
    Queue(QueueName),
    /// A topic of SNS, with whatever subscribes to it.
    Sns(SnsTopic),
}

/// Form of a push: `NotifyContentFormat` (MNS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContentFormat {
    /// An XML envelope round the message; the API's default.
    #[default]
    Xml,
    /// A flat JSON object.
    Json,
    /// The published bytes, metadata in headers; what auto-made subscriptions use.
    Simplified,
}

impl ContentFormat {
    /// `XML`, `JSON`, `SIMPLIFIED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ContentFormat::Xml => "XML",
            ContentFormat::Json => "JSON",
            ContentFormat::Simplified => "SIMPLIFIED",
        }
    }
}

/// A subscription of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic.
    pub topic: TopicName,
    /// Its name, unique within the topic.
    pub name: SubscriptionName,
    /// Where it pushes to.
    pub target: Target,
    /// Whether it was made with a rule.
    #[serde(default)]
    pub auto_made: bool,
    /// How failures are retried.
    #[serde(default)]
    pub strategy: NotifyStrategy,
    /// Form of the push.
    #[serde(default)]
    pub format: ContentFormat,
    /// Only messages with an equal tag pass; without one, all do. At most 16 characters (MNS limits).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_tag: Option<String>,
    /// Queue that takes what could not be delivered; none: the system dead-letter queue alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue: Option<QueueName>,
    /// Time an HTTP push may take, seconds, 1 to 30; MNS: 5.
    #[serde(default = "Subscription::default_timeout")]
    pub timeout_seconds: u8,
    /// Most pushes a second (`TenantRateLimitPolicy.MaxReceivesPerSecond`); none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u32>,
    /// Generations of its Standard Webhooks keys.
    #[serde(default, skip_serializing_if = "WebhookGenerations::is_first")]
    pub webhook_keys: WebhookGenerations,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
}

impl Subscription {
    /// Longest filter tag, in characters (MNS limits).
    pub const MAX_TAG: usize = 16;

    fn default_timeout() -> u8 {
        5
    }

    /// A subscription with MNS's defaults: XML, BACKOFF_RETRY, 5 s.
    #[must_use]
    pub fn new(topic: TopicName, name: SubscriptionName, target: Target, now: Timestamp) -> Self {
        Subscription {
            topic,
            name,
            target,
            auto_made: false,
            strategy: NotifyStrategy::default(),
            format: ContentFormat::default(),
            filter_tag: None,
            dead_letter_queue: None,
            timeout_seconds: Self::default_timeout(),
            max_per_second: None,
            webhook_keys: WebhookGenerations::default(),
            created: now,
            modified: now,
        }
    }

    /// The subscription made with a rule: SIMPLIFIED, BACKOFF_RETRY.
    #[must_use]
    pub fn auto(topic: TopicName, name: SubscriptionName, target: Target, now: Timestamp) -> Self {
        Subscription {
            auto_made: true,
            format: ContentFormat::Simplified,
            ..Self::new(topic, name, target, now)
        }
    }

    /// Whether a message with this tag passes the filter.
    #[must_use]
    pub fn admits(&self, tag: Option<&str>) -> bool {
        self.filter_tag.is_none() || self.filter_tag.as_deref() == tag
    }

    /// The time a push may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }
}

/// Names of the topic and subscriptions that are made with a rule: `mns-en-topics-oss-<rule>-<digits>` and
/// `mns-en-subs-oss-<rule>-<n>-<digits>` (real captures; digits look like epoch milliseconds and three more).
#[must_use]
pub fn auto_names(product: &Product, rule: &RuleName, now: Timestamp, draw: u64) -> AutoNames {
    // With a user's product of 64 characters and a rule of 85 there is room for more digits than a moment has.
    AutoNames {
        middle: format!("{product}-{rule}"),
        digits: format!("{}{:03}", now.as_millis(), draw % 1000),
    }
}

/// See [`auto_names`].
#[derive(Clone, Debug)]
pub struct AutoNames {
    middle: String,
    digits: String,
}

impl AutoNames {
    /// Name of the topic.
    #[must_use]
    pub fn topic(&self) -> TopicName {
        TopicName::parse(&format!("mns-en-topics-{}-{}", self.middle, self.digits))
            .expect("product and rule names hold only letters, digits and hyphens, and the longest of them leave room")
    }

    /// Name of the subscription of endpoint `index`, from 1.
    #[must_use]
    pub fn subscription(&self, index: usize) -> SubscriptionName {
        SubscriptionName::parse(&format!("mns-en-subs-{}-{index}-{}", self.middle, self.digits))
            .expect("product and rule names hold only letters, digits and hyphens, and the longest of them leave room")
    }
}
