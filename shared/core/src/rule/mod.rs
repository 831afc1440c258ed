//! A rule: event types x resource patterns -> endpoints.

mod document;
mod endpoint;
mod event_types;
mod limits;
pub mod overlap;
mod pattern;
mod read;
mod spec;
mod validate;

pub use endpoint::{Endpoint, EndpointKind, MAX_URL};
pub use event_types::{EventTypePattern, EventTypes, KNOWN_EVENT_TYPES};
pub use limits::Limits;
pub use overlap::Witness;
pub use pattern::{Clause, ResourcePattern, Resources};
pub use read::{Reading, RuleFile, Unusable};
pub use spec::{EndpointSpec, Fault, MatchRuleSpec, RuleSpec};
pub use validate::MAX_PATTERN;

use crate::event::{Product, Timestamp};
use crate::topic::TopicName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of the default rule (seed 000, 3.3).
pub const DEFAULT_RULE: &str = "DefaultEnRule";
/// Resource description of the default rule (seed 000, 3.3).
pub const DEFAULT_RESOURCE: &str = "mns-en-reserved-default";
/// Event type of the default rule (seed 000, 3.3).
pub const DEFAULT_EVENT_TYPE: &str = "Default";

/// Name of a rule: letters, digits and hyphens, first a letter, at most 85 characters (OSS help, "Configure event
/// notification rules").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleName(String);

impl RuleName {
    /// Longest name, in characters.
    pub const MAX_LEN: usize = 85;

    /// Reads a name.
    ///
    /// # Errors
    /// [`crate::event::InvalidName`] when it does not fit the form above.
    pub fn parse(name: &str) -> Result<Self, crate::event::InvalidName> {
        let sound = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && name.len() <= Self::MAX_LEN;
        if sound {
            Ok(RuleName(name.to_owned()))
        } else {
            Err(crate::event::InvalidName {
                what: "rule name",
                value: name.chars().take(128).collect(),
                want: "letters, digits and hyphens, first a letter, at most 85 characters",
            })
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the default rule's name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_RULE
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A validated rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whose events it covers.
    pub product: Product,
    /// Its name, unique within the product.
    pub name: RuleName,
    /// Which events; empty for the default rule.
    pub event_types: EventTypes,
    /// On which resources; unrestricted for the default rule and for products without resources.
    pub resources: Resources,
    /// Who is told.
    pub endpoints: Vec<Endpoint>,
    /// A disabled rule covers nothing, and its events fall to the default rule.
    pub enabled: bool,
    /// The topic its notifications are published to: made with the rule, or the one its topic endpoint names. None
    /// until the rule is stored.
    pub topic: Option<TopicName>,
    /// When it was stored.
    pub created: Timestamp,
}

impl Rule {
    /// Whether this is the product's default rule.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.is_default()
    }

    /// Whether this rule, taken alone and enabled, covers the event. The naive answer; a [`crate::ruleset::RuleSet`]
    /// gives the same one fast.
    #[must_use]
    pub fn covers(&self, event_type: &str, resource: &str) -> bool {
        self.event_types.cover(event_type) && self.resources.cover(resource)
    }
}
