//! The rules of one product while they change: limits and conflicts are checked here, before anything is stored.

use super::conflicts::Conflicts;
use crate::rule::{Fault, Limits, Rule, RuleName, Witness};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// Two rules and an event that both claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {:?} and rule {:?} would both claim {} on {:?}: narrow EventTypes or MatchRules of one of them", .rule.as_str(), .other.as_str(), .witness.event_type, .witness.resource)]
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
    #[error("rule {:?} exists already: delete it first, or update it", .0.as_str())]
    Exists(RuleName),
    /// No rule of this name exists.
    #[error("there is no rule {:?}: check the name and the product", .0.as_str())]
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
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

/// What to do with two rules that claim one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Refuse the later one (seed 000, 3.2: "no two rules may intersect").
    #[default]
    Refuse,
    /// Keep both: each is told of the event, under its own `ruleId`.
    Allow,
}

impl Overlap {
    /// Reads `refuse` or `allow`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "refuse" => Some(Overlap::Refuse),
            "allow" => Some(Overlap::Allow),
            _ => None,
        }
    }
}

/// The rules of one product, open to change. Every change is checked first; a refused one leaves the book as it was.
///
/// Disabled rules keep their place: a new rule may not claim what a disabled one claims, so that enabling a rule is
/// never refused.
#[derive(Clone, Debug, Default)]
pub struct RuleBook {
    /// By slot; a removed rule leaves an empty one, which the next takes.
    slots: Vec<Option<Arc<Rule>>>,
    free: Vec<u32>,
    names: HashMap<RuleName, u32, foldhash::fast::FixedState>,
    /// Made when first asked, and kept up from then on.
    conflicts: OnceLock<Conflicts>,
    limits: Limits,
    overlap: Overlap,
}

impl RuleBook {
    /// A book of rules that already hold together, with the shipped limits, refusing overlaps.
    #[must_use]
    pub fn open(rules: impl IntoIterator<Item = Arc<Rule>>) -> Self {
        Self::open_with(rules, Limits::default(), Overlap::Refuse)
    }

    /// A book of rules that are stored already: they are taken as they are, even if they overlap (since overlaps were
    /// allowed once) or are more than the limit. Of several of one name the last stays.
    #[must_use]
    pub fn open_with(
        rules: impl IntoIterator<Item = Arc<Rule>>,
        limits: Limits,
        overlap: Overlap,
    ) -> Self {
        let mut book = RuleBook {
            limits,
            overlap,
            ..RuleBook::default()
        };
        for rule in rules {
            book.displace(&rule.name);
            book.place(rule);
        }
        book
    }

    /// How many rules there are, the default rule included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// One rule.
    #[must_use]
    pub fn get(&self, name: &RuleName) -> Option<&Arc<Rule>> {
        self.names
            .get(name)
            .and_then(|slot| self.slots[*slot as usize].as_ref())
    }

    /// All rules; in the order they came in, as long as none is removed.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.slots.iter().flatten()
    }

    /// Whether the rule could be added (or, if one of its name exists, put in its place).
    ///
    /// # Errors
    /// [`Refusal::Conflict`] with the first conflict found, whatever the setting.
    pub fn check(&self, rule: &Rule) -> Result<(), Conflict> {
        match self.conflicts_of(rule, 1).pop() {
            Some(conflict) => Err(conflict),
            None => Ok(()),
        }
    }

    /// The rules that the given one overlaps, one conflict each, at most `max`. A rule of the same name is passed over.
    #[must_use]
    pub fn conflicts_of(&self, rule: &Rule, max: usize) -> Vec<Conflict> {
        let mut found: Vec<Conflict> = Vec::new();
        if max == 0 || rule.is_default() {
            return found;
        }
        let conflicts = self.conflicts.get_or_init(|| Conflicts::build(&self.slots));
        let mut seen = HashSet::<RuleName, foldhash::fast::FixedState>::default();
        conflicts.each(&self.slots, rule, |other, witness| {
            if seen.insert(other.name.clone()) {
                found.push(Conflict {
                    rule: rule.name.clone(),
                    other: other.name.clone(),
                    witness,
                });
            }
            if found.len() == max {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        found
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`Refusal`], and the book is unchanged.
    pub fn insert(&mut self, rule: Arc<Rule>) -> Result<(), Refusal> {
        if self.names.contains_key(&rule.name) {
            return Err(Refusal::Exists(rule.name.clone()));
        }
        if self.names.len() >= self.limits.rules {
            return Err(Refusal::Limit {
                what: format!(
                    "with rule {:?} the rules of product {}",
                    rule.name.as_str(),
                    rule.product
                ),
                would_be: self.names.len() + 1,
                limit: self.limits.rules,
            });
        }
        self.refuse_conflict(&rule)?;
        self.place(rule);
        Ok(())
    }

    /// Puts a rule in the place of the one of its name, in one step: there is no moment at which neither or both hold.
    /// Gives the old one.
    ///
    /// # Errors
    /// [`Refusal`], and the old rule stays.
    pub fn replace(&mut self, rule: Arc<Rule>) -> Result<Arc<Rule>, Refusal> {
        if !self.names.contains_key(&rule.name) {
            return Err(Refusal::Missing(rule.name.clone()));
        }
        self.refuse_conflict(&rule)?;
        let old = self
            .displace(&rule.name)
            .expect("the name was found a moment ago");
        self.place(rule);
        Ok(old)
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn remove(&mut self, name: &RuleName) -> Result<Arc<Rule>, Refusal> {
        self.displace(name)
            .ok_or_else(|| Refusal::Missing(name.clone()))
    }

    /// Enables or disables a rule; gives it as it now is. Never refused for a conflict.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn set_enabled(&mut self, name: &RuleName, enabled: bool) -> Result<Arc<Rule>, Refusal> {
        let slot = *self
            .names
            .get(name)
            .ok_or_else(|| Refusal::Missing(name.clone()))?;
        let held = self.slots[slot as usize]
            .as_mut()
            .expect("a named slot holds its rule");
        if held.enabled != enabled {
            Arc::make_mut(held).enabled = enabled;
        }
        Ok(held.clone())
    }

    fn refuse_conflict(&self, rule: &Rule) -> Result<(), Refusal> {
        match self.overlap {
            Overlap::Refuse => Ok(self.check(rule)?),
            Overlap::Allow => Ok(()),
        }
    }

    fn place(&mut self, rule: Arc<Rule>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("a book holds fewer than 2^32 rules")
        });
        self.names.insert(rule.name.clone(), slot);
        if let Some(conflicts) = self.conflicts.get_mut().filter(|_| !rule.is_default()) {
            conflicts.insert(slot, &rule);
        }
        self.slots[slot as usize] = Some(rule);
    }

    fn displace(&mut self, name: &RuleName) -> Option<Arc<Rule>> {
        let slot = self.names.remove(name)?;
        let rule = self.slots[slot as usize]
            .take()
            .expect("a named slot holds its rule");
        if let Some(conflicts) = self.conflicts.get_mut().filter(|_| !rule.is_default()) {
            conflicts.remove(slot, &rule);
        }
        self.free.push(slot);
        Some(rule)
    }
}
