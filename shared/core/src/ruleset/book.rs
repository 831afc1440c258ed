//! The rules of one product while they change: limits and conflicts are checked here, before anything is stored.

use crate::event::EventType;
use crate::rule::{Fault, Rule, RuleName};
use std::sync::Arc;

/// An event that two rules both claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its type.
    pub event_type: EventType,
    /// Its resource, `bucket/key`.
    pub resource: String,
}

/// Two rules and an event that both claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?} and rule {other:?} would both claim {} on {:?}: narrow EventTypes or MatchRules of one of them", .witness.event_type, .witness.resource)]
pub struct Conflict {
    /// The rule that was to be added.
    pub rule: RuleName,
    /// The rule that stands in its way.
    pub other: RuleName,
    /// An event of both.
    pub witness: Witness,
}

/// Why a change of rules is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A rule of this name exists.
    #[error("rule {0:?} exists already: delete it first, or update it")]
    Exists(RuleName),
    /// No rule of this name exists.
    #[error("there is no rule {0:?}")]
    Missing(RuleName),
    /// It would claim events of another rule.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A limit is reached.
    #[error("{what} would be {would_be}, the limit is {limit}: raise the limit or remove some")]
    Limit {
        /// What is counted.
        what: String,
        /// How many there would be.
        would_be: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The rule itself is unsound.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Faults(Vec<Fault>),
}

/// The rules of one product, open to change.
#[derive(Clone, Debug, Default)]
pub struct RuleBook {
    rules: Vec<Arc<Rule>>,
}

impl RuleBook {
    /// A book of rules that already hold together.
    #[must_use]
    pub fn open(rules: impl IntoIterator<Item = Arc<Rule>>) -> Self {
        RuleBook {
            rules: rules.into_iter().collect(),
        }
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`Refusal`], and the book is unchanged.
    pub fn insert(&mut self, rule: Arc<Rule>) -> Result<(), Refusal> {
        if self.rules.iter().any(|held| held.name == rule.name) {
            return Err(Refusal::Exists(rule.name.clone()));
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn remove(&mut self, name: &RuleName) -> Result<Arc<Rule>, Refusal> {
        match self.rules.iter().position(|held| &held.name == name) {
            Some(index) => Ok(self.rules.remove(index)),
            None => Err(Refusal::Missing(name.clone())),
        }
    }
}
