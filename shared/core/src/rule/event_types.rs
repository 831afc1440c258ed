//! Which events a rule covers: names and `Group:*`.

use crate::event::{EventType, InvalidName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One entry of `EventTypes`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventTypePattern {
    /// One name.
    Name(EventType),
    /// `Group:*`: every name that begins `Group:`, those not yet invented included (seed 004). Holds `Group`.
    Group(String),
}

/// Every event type that the seeds and SMQ's pages list, storage first. Not a closed set: it serves witnesses and
/// warnings, never a verdict.
pub const KNOWN_EVENT_TYPES: [&str; 22] = [
    "ObjectCreated:PutObject",
    "ObjectCreated:PostObject",
    "ObjectCreated:CopyObject",
    "ObjectCreated:AppendObject",
    "ObjectCreated:InitiateMultipartUpload",
    "ObjectCreated:UploadPart",
    "ObjectCreated:UploadPartCopy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectCreated:PutSymlink",
    "ObjectDownloaded:GetObject",
    "ObjectModified:UpdateObjectMeta",
    "ObjectModified:ChangeStorageClass",
    "ObjectRemoved:DeleteObject",
    "ObjectRemoved:DeleteObjects",
    "ObjectRemoved:AbortMultipartUpload",
    "ObjectReplication:ObjectCreated",
    "ObjectReplication:ObjectModified",
    "ObjectReplication:ObjectRemoved",
    "ObjectRestore:FinishRestore",
    "BucketQueried:GetBucketReferer",
    "Deliver:SendSuccessfully",
    "Deliver:SendFailed",
];

/// Whether `event_type` lies in `group`, that is, begins `group:`.
fn in_group(group: &str, event_type: &str) -> bool {
    event_type
        .strip_prefix(group)
        .is_some_and(|rest| rest.starts_with(':'))
}

impl EventTypePattern {
    /// Reads an entry in any spelling of the seeds.
    ///
    /// # Errors
    /// [`InvalidName`] when it is neither a name nor `Group:*`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let name = crate::event::canonical(text);
        let parsed = match name.strip_suffix(":*") {
            // A group must itself be a sound name, in no other spelling: blanks before its colon would fall off, and what
            // is left may be no pattern any more.
            Some(group) => EventType::parse(group)
                .ok()
                .filter(|sound| sound.as_str() == group)
                .map(|group| EventTypePattern::Group(group.as_str().to_owned())),
            None => EventType::parse(&name).ok().map(EventTypePattern::Name),
        };
        parsed.ok_or_else(|| InvalidName {
            what: "event type",
            value: text.chars().take(128).collect(),
            want: "a name such as `ObjectCreated:PutObject` or a whole group such as `ObjectCreated:*` (for all that no other rule takes there is the default rule)",
        })
    }

    /// Whether it covers the event type.
    #[must_use]
    pub fn covers(&self, event_type: &str) -> bool {
        match self {
            EventTypePattern::Name(name) => name.as_str() == event_type,
            EventTypePattern::Group(group) => in_group(group, event_type),
        }
    }

    /// An event type that both cover, if there is one: where both are groups, a known name of the narrower, or else
    /// `Group:Any`.
    #[must_use]
    pub fn common(&self, other: &EventTypePattern) -> Option<EventType> {
        match (self, other) {
            (EventTypePattern::Name(name), other) | (other, EventTypePattern::Name(name)) => {
                other.covers(name.as_str()).then(|| name.clone())
            }
            (EventTypePattern::Group(a), EventTypePattern::Group(b)) => {
                let narrower = if a == b || in_group(a, b) {
                    b
                } else if in_group(b, a) {
                    a
                } else {
                    return None;
                };
                let known = KNOWN_EVENT_TYPES
                    .iter()
                    .find(|name| in_group(narrower, name));
                match known {
                    Some(name) => EventType::parse(name).ok(),
                    // The second for a group so long that nothing longer is an event type.
                    None => ["Any", "x"]
                        .iter()
                        .find_map(|name| EventType::parse(&format!("{narrower}:{name}")).ok()),
                }
            }
        }
    }
}

impl fmt::Display for EventTypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventTypePattern::Name(name) => f.write_str(name.as_str()),
            EventTypePattern::Group(group) => write!(f, "{group}:*"),
        }
    }
}

impl Serialize for EventTypePattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventTypePattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        EventTypePattern::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The event types of a rule: an OR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTypes(pub Vec<EventTypePattern>);

impl EventTypes {
    /// Whether any entry covers the event type.
    #[must_use]
    pub fn cover(&self, event_type: &str) -> bool {
        self.0.iter().any(|pattern| pattern.covers(event_type))
    }

    /// An event type that both cover, if there is one.
    #[must_use]
    pub fn common(&self, other: &EventTypes) -> Option<EventType> {
        self.0
            .iter()
            .find_map(|pattern| other.0.iter().find_map(|theirs| pattern.common(theirs)))
    }
}

impl fmt::Display for EventTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            pattern.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored is read again with the rules table: it must be a pattern still, and the same one.
    #[test]
    fn a_pattern_in_any_spelling_is_read_back_as_itself_or_refused() {
        for (text, want) in [
            ("ObjectCreated:*", Some("ObjectCreated:*")),
            (" * oss:ObjectCreate:* ", Some("ObjectCreated:*")),
            ("oss:oss:ObjectCreated:*", Some("ObjectCreated:*")),
            (
                "oss:oss:ObjectRemoved:DeleteObject",
                Some("ObjectRemoved:DeleteObject"),
            ),
            ("x:oss:*", Some("x:oss:*")),
            ("oss:*", None),
            ("oss:oss:*", None),
            ("oss :*", None),
            ("oss\n\n:*", None),
            ("ObjectCreated :*", None),
            (":*", None),
            ("*", None),
        ] {
            let parsed = EventTypePattern::parse(text).ok();
            let written = parsed.as_ref().map(ToString::to_string);
            assert_eq!(written.as_deref(), want, "{text:?}");
            if let (Some(parsed), Some(written)) = (parsed, written) {
                assert_eq!(EventTypePattern::parse(&written), Ok(parsed), "{text:?}");
            }
        }
    }
}
