//! Who a rule tells.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Kind of an endpoint: `EndpointType` of SMQ's CreateEventRule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// An `http://` or `https://` URL.
    Http,
    /// A queue, by name.
    Queue,
    /// A topic, by name; excludes all other endpoints of the rule (seed 000, 2).
    Topic,
}

impl EndpointKind {
    /// `http`, `queue` or `topic`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Http => "http",
            EndpointKind::Queue => "queue",
            EndpointKind::Topic => "topic",
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One endpoint of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// What it is.
    pub kind: EndpointKind,
    /// URL, queue name or topic name.
    pub value: String,
}
