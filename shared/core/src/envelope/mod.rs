//! Packing events and deliveries into queue messages: JSON with a version member `v`, at most 64 KiB each, since a
//! queue request is billed by the 64 KiB (SQS prices).

mod carried;

pub use carried::{Carried, RecordPacker, not_taken};

use crate::delivery::Delivery;
use crate::event::Event;
use crate::rule::RuleName;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Largest queue message, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Version of the envelope.
pub const VERSION: u32 = 1;

/// A message that cannot be read as an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It has another version: a newer Carillon wrote it.
    #[error(
        "envelope version {0} is not known here (this release reads version 1): upgrade this stage, then redrive"
    )]
    Version(u32),
    /// It is not an envelope.
    #[error("not an envelope: {0}")]
    Shape(String),
}

/// One thing that no message can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} takes {len} bytes as a queue message, the limit is 65536: publish less in one event"
)]
pub struct TooLarge {
    /// What it is.
    pub what: String,
    /// Bytes it would take.
    pub len: usize,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

#[derive(Deserialize)]
struct Opened<T> {
    items: Vec<T>,
}

fn open<'a, T: Deserialize<'a>>(message: &'a str) -> Result<Vec<T>, Unreadable> {
    read::<Opened<T>>(message).map(|opened| opened.items)
}

fn read<'a, T: Deserialize<'a>>(message: &'a str) -> Result<T, Unreadable> {
    let shape = |error: serde_json::Error| Unreadable::Shape(error.to_string());
    // What the packer writes begins so: its version needs no pass of its own.
    if !message.starts_with(r#"{"v":1,"#) {
        let version: VersionOnly = serde_json::from_str(message).map_err(shape)?;
        if version.v != VERSION {
            return Err(Unreadable::Version(version.v));
        }
    }
    serde_json::from_str(message).map_err(shape)
}

/// Reads a message that [`Packer`] wrote on the way from ingest to match.
///
/// # Errors
/// [`Unreadable`].
pub fn open_events(message: &str) -> Result<Vec<Event>, Unreadable> {
    open(message)
}

/// A message on its way from ingest to match.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EventPack {
    /// The events.
    #[serde(rename = "items")]
    pub events: Vec<Event>,
    /// The one rule that is to be told of them, if it covers them: a replay for a single rule. None, as ingest sends
    /// them: whoever covers them.
    #[serde(default)]
    pub only: Option<RuleName>,
}

/// As [`open_events`], with what the message says beside its events.
///
/// # Errors
/// [`Unreadable`].
pub fn open_pack(message: &str) -> Result<EventPack, Unreadable> {
    read(message)
}

/// Reads a message that [`Packer`] wrote on the way to deliver.
///
/// # Errors
/// [`Unreadable`].
pub fn open_deliveries(message: &str) -> Result<Vec<Delivery>, Unreadable> {
    open(message)
}

/// What a message may carry.
pub trait Item: Serialize {
    /// How an error names it.
    fn describe(&self) -> Cow<'static, str>;

    /// Adds its JSON: what its `Serialize` writes.
    fn push_json(&self, json: &mut String) {
        let text = serde_json::to_string(self)
            .expect("events and deliveries have only string keys and finite numbers");
        json.push_str(&text);
    }
}

impl Item for Event {
    fn describe(&self) -> Cow<'static, str> {
        format!("event {} on {:?}", self.event_type, self.resource).into()
    }

    fn push_json(&self, json: &mut String) {
        self.push(json);
    }
}

impl Item for Delivery {
    fn describe(&self) -> Cow<'static, str> {
        format!(
            "message {} for subscription {}",
            self.notification.message_id, self.subscription
        )
        .into()
    }
}

/// Packs items into as few messages as their order allows.
#[derive(Debug, Default)]
pub struct Packer {
    done: Vec<String>,
    open: String,
    /// What stands before the first item; none: [`HEAD`].
    head: Option<String>,
}

const HEAD: &str = r#"{"v":1,"items":["#;
const TAIL: &str = "]}";

impl Packer {
    /// An empty packer.
    #[must_use]
    pub fn new() -> Self {
        Packer::default()
    }

    /// A packer of events that one rule alone is to be told of ([`EventPack::only`]). A release that does not know the
    /// restriction tells every rule that covers them.
    #[must_use]
    pub fn only(rule: &RuleName) -> Self {
        // A rule's name is letters, digits and hyphens: it needs no escape.
        Packer {
            head: Some(format!(r#"{{"v":1,"only":"{rule}","items":["#)),
            ..Packer::default()
        }
    }

    fn head(&self) -> &str {
        self.head.as_deref().unwrap_or(HEAD)
    }

    /// Adds an item. Gives the position, in [`finish`](Self::finish), of the message that will carry it: when sending
    /// that message fails, the item's record must come again.
    ///
    /// # Errors
    /// [`TooLarge`] when it fits no message; the items already packed are kept.
    pub fn push<T: Item>(&mut self, item: &T) -> Result<usize, TooLarge> {
        let before = self.open.len();
        if before == 0 {
            self.open = self.head().to_owned();
        } else {
            self.open.push(',');
        }
        let start = self.open.len();
        item.push_json(&mut self.open);
        if self.open.len() + TAIL.len() <= MAX_MESSAGE {
            return Ok(self.done.len());
        }
        let json = self.open.split_off(start);
        self.open.truncate(before);
        let alone = self.head().len() + json.len() + TAIL.len();
        if before == 0 || alone > MAX_MESSAGE {
            self.open.truncate(before);
            return Err(TooLarge {
                what: item.describe().into_owned(),
                len: alone,
            });
        }
        self.close();
        self.open = self.head().to_owned();
        self.open.push_str(&json);
        Ok(self.done.len())
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.open.push_str(TAIL);
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    /// The messages, in order.
    #[must_use]
    pub fn finish(mut self) -> Vec<String> {
        self.close();
        self.done
    }
}
