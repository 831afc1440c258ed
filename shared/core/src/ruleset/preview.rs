//! What a rule that is not stored yet would do: which events it would take, and from whom.

use super::{Conflict, Hits, RuleBook, RuleSet};
use crate::rule::{Rule, RuleName};
use std::collections::BTreeMap;

/// Who is told of an event today.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// The default rule.
    Default,
    /// The stored rule of the same name, which the new one would replace.
    Itself,
    /// An ordinary rule: with this one, the new rule conflicts.
    Rule(RuleName),
}

/// One event that the new rule would take, or that its predecessor would lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its place among the events, from 0.
    pub event: usize,
    /// Its type.
    pub event_type: String,
    /// Its resource.
    pub resource: String,
    /// Who is told of it today.
    pub from: Holder,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Events looked at.
    pub events: usize,
    /// Events that the rule would take, by who is told of them today.
    pub taken: BTreeMap<Holder, usize>,
    /// Events that the stored rule of the same name takes, and the new one would not.
    pub lost: usize,
    /// The first events taken.
    pub taken_examples: Vec<Moved>,
    /// The first events lost.
    pub lost_examples: Vec<Moved>,
    /// Stored rules that stand in the way, with a witness each.
    pub conflicts: Vec<Conflict>,
}

impl Preview {
    /// Events that the rule would take, in all.
    #[must_use]
    pub fn taken_count(&self) -> usize {
        self.taken.values().sum()
    }
}

/// Previews `rule` against the set: as it would be if enabled. At most `max` examples of each kind are kept, and at most
/// `max` conflicts.
pub fn preview<'a>(
    set: &RuleSet,
    rule: &Rule,
    events: impl IntoIterator<Item = (&'a str, &'a str)>,
    max: usize,
) -> Preview {
    let book = RuleBook::open(set.rules().iter().cloned());
    let mut preview = Preview {
        conflicts: book.conflicts_of(rule, max),
        ..Preview::default()
    };
    let mut hits = Hits::new();
    for (event, (event_type, resource)) in events.into_iter().enumerate() {
        preview.events += 1;
        set.covering(event_type, resource, &mut hits);
        let ordinary = || hits.iter().map(|number| &set.rules()[*number as usize]);
        let held = ordinary().any(|other| other.name == rule.name);
        let takes = if rule.is_default() {
            !ordinary().any(|other| other.name != rule.name)
        } else {
            rule.covers(event_type, resource)
        };
        if !takes && !held {
            continue;
        }
        let from = match ordinary().find(|other| other.name != rule.name) {
            Some(other) => Holder::Rule(other.name.clone()),
            None if held => Holder::Itself,
            None if set.default_rule().is_some() => Holder::Default,
            None => Holder::Nobody,
        };
        let examples = if takes {
            *preview.taken.entry(from.clone()).or_default() += 1;
            &mut preview.taken_examples
        } else {
            preview.lost += 1;
            &mut preview.lost_examples
        };
        if examples.len() < max {
            examples.push(Moved {
                event,
                event_type: event_type.to_owned(),
                resource: resource.to_owned(),
                from,
            });
        }
    }
    preview
}
