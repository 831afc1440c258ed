//! Identities that are derived, never drawn: a duplicate from the source, a replay and a retry carry the same id, so
//! that a receiver can drop duplicates.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The identity of an event: 128 bits of SHA-256 over what its source says of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 16]);

/// Collects the parts of an identity. Each part is length-prefixed, so that `("a", "bc")` and `("ab", "c")` differ.
#[derive(Clone)]
pub struct IdentityHasher(Vec<u8>);

impl IdentityHasher {
    /// Starts an identity of the given kind (a domain separator, for example `oss`).
    #[must_use]
    pub fn new(kind: &str) -> Self {
        // All parts lie in one piece, hashed at one go: they are few and short.
        IdentityHasher(Vec::with_capacity(256)).part(kind)
    }

    /// Adds one part.
    #[must_use]
    pub fn part(mut self, part: &str) -> Self {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part.as_bytes());
        self
    }

    /// The identity of all parts added.
    #[must_use]
    pub fn finish(self) -> EventId {
        EventId(truncate(&Sha256::digest(&self.0)))
    }
}

fn truncate(digest: &[u8]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

impl EventId {
    /// Adds its 32 hex digits.
    pub(super) fn push(&self, text: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for byte in self.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }

    /// Its sixteen bytes, for stores.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of this event's message on `topic`: the same event on the same topic is the same message, always.
    #[must_use]
    pub fn message_id(&self, topic: &str) -> MessageId {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(topic.as_bytes());
        MessageId(truncate(&hasher.finalize()))
    }
}

/// The id of a message: 32 upper-case hex digits on the wire (`MessageId`, `x-mns-message-id`; MNS NotifyContentFormat).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// From 128 bits, for example drawn by a queue that mints ids.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        MessageId(bits.to_be_bytes())
    }

    /// The 128 bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

macro_rules! hex_id {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032X}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = super::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bits = (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
                    .then(|| u128::from_str_radix(text, 16).ok())
                    .flatten();
                bits.map(|bits| $name(bits.to_be_bytes()))
                    .ok_or_else(|| super::InvalidName {
                        what: $what,
                        value: text.chars().take(64).collect(),
                        want: "32 hex digits",
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(EventId, "event id");
hex_id!(MessageId, "message id");
