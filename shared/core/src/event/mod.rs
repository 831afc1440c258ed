//! What happened: an [`Event`] of a product, on a resource, at a time, with the identity its source gave it.
//!
//! An event carries its body in the form that will be published ([`Body`]); later stages read `product`, `event_type`
//! and `resource`, and never parse the body again.

pub mod history;
mod identity;
pub mod json;
pub mod mail;
mod names;
pub mod oss;
mod span;
mod status;
mod time;
pub mod vision;

pub use identity::{EventId, IdentityHasher, MessageId};
pub use names::{EventType, InvalidName, Product, canonical};
pub use oss::OssBody;
pub use span::{InvalidSpan, parse_span};
pub use status::{EVENT_STATUS_HEADER, PROCESS_STATUS_HEADER, event_status, process_status};
pub use time::{InvalidTime, Timestamp};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// One event, as every stage after ingest knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Whose event it is; rules are kept apart by product.
    pub product: Product,
    /// What happened, for example `ObjectCreated:PutObject`. An open set.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// What it happened to: `bucket/key`, or `bucket` alone for a bucket-level event. Empty for products whose rules
    /// have no resource description (mail, vision).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// When it happened, by the source's clock.
    pub time: Timestamp,
    /// Derived from the source's own identity of the event; equal for duplicates and replays.
    pub id: EventId,
    /// What will be published.
    pub body: Body,
}

/// The body of an event in the form its product publishes. Three encodings, kept apart; nobody downstream encodes
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// An OSS event: published as Base64 of `{"events":[...]}`, with the rule's name inside (seed 000, 3.1).
    Oss(OssBody),
    /// Published as it stands: mail's `k=v&k=v` (seed 000, 2) and vision's JSON (seed 000, 4.1).
    Plain(String),
    /// Published as Base64 of this text.
    Base64(String),
}

impl Event {
    /// Adds the event as queue messages carry it: what its `Serialize` writes, in one pass.
    pub(crate) fn push(&self, json: &mut String) {
        json.push_str(r#"{"product":"#);
        json::push_string(json, self.product.as_str());
        json.push_str(r#","type":"#);
        json::push_string(json, self.event_type.as_str());
        if !self.resource.is_empty() {
            json.push_str(r#","resource":"#);
            json::push_string(json, &self.resource);
        }
        json.push_str(r#","time":"#);
        json::push_number(json, self.time.as_millis());
        json.push_str(r#","id":""#);
        self.id.push(json);
        json.push_str(r#"","body":{"#);
        match &self.body {
            Body::Oss(body) => {
                json.push_str(r#""oss":"#);
                body.push(json);
            }
            Body::Plain(text) => {
                json.push_str(r#""plain":"#);
                json::push_string(json, text);
            }
            Body::Base64(text) => {
                json.push_str(r#""base64":"#);
                json::push_string(json, text);
            }
        }
        json.push_str("}}");
    }
}

impl Body {
    /// The published text for the rule named `rule`: what a queue consumer receives and an HTTP receiver reads.
    #[must_use]
    pub fn publish(&self, rule: &str) -> String {
        match self {
            Body::Oss(body) => body.publish(rule),
            Body::Plain(text) => text.clone(),
            Body::Base64(text) => BASE64.encode(text),
        }
    }

    /// Bytes that [`publish`](Self::publish) will give for a rule name of `rule_len` bytes, without building them.
    #[must_use]
    pub fn published_len(&self, rule_len: usize) -> usize {
        match self {
            Body::Oss(body) => body.published_len(rule_len),
            Body::Plain(text) => text.len(),
            Body::Base64(text) => text.len().div_ceil(3) * 4,
        }
    }
}
