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

impl EventTypePattern {
    /// Reads an entry in any spelling of the seeds.
    ///
    /// # Errors
    /// [`InvalidName`] when it is neither a name nor `Group:*`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let name = crate::event::canonical(text);
        match name.strip_suffix(":*") {
            // A group must itself be a sound name.
            Some(group) => EventType::parse(group)
                .map(|group| EventTypePattern::Group(group.as_str().to_owned())),
            None => EventType::parse(&name).map(EventTypePattern::Name),
        }
    }

    /// Whether it covers the event type.
    #[must_use]
    pub fn covers(&self, event_type: &str) -> bool {
        match self {
            EventTypePattern::Name(name) => name.as_str() == event_type,
            EventTypePattern::Group(group) => event_type
                .strip_prefix(group.as_str())
                .is_some_and(|rest| rest.starts_with(':')),
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
}
