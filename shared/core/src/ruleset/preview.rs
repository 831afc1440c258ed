//! What a rule that is not stored yet would do: which events it would take, and from whom.

use super::{Conflict, Hits, RuleBook, RuleSet};
use crate::rule::{Rule, RuleName};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

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

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Nobody => f.write_str("nobody"),
            Holder::Default => f.write_str("the default rule"),
            Holder::Itself => f.write_str("the stored rule of its name"),
            Holder::Rule(name) => write!(f, "rule {:?}", name.as_str()),
        }
    }
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

    /// The preview for a person, a few lines. `name` is the rule's; `about` says more of an event: nothing, or a text that
    /// begins with a blank.
    #[must_use]
    pub fn text(&self, name: &str, about: impl Fn(&Moved) -> String) -> String {
        let mut text = format!(
            "rule {name:?} would take {} of {} events\n",
            self.taken_count(),
            self.events
        );
        for (from, count) in &self.taken {
            let _ = writeln!(text, "  {count} from {from}");
        }
        for taken in &self.taken_examples {
            let _ = writeln!(
                text,
                "  takes {} on {:?}{} from {}",
                taken.event_type,
                taken.resource,
                about(taken),
                taken.from
            );
        }
        if self.lost > 0 {
            let _ = writeln!(
                text,
                "it would no longer take {} that the stored rule of its name takes",
                self.lost
            );
        }
        for lost in &self.lost_examples {
            let _ = writeln!(
                text,
                "  loses {} on {:?}{}",
                lost.event_type,
                lost.resource,
                about(lost)
            );
        }
        for conflict in &self.conflicts {
            let _ = writeln!(text, "refused as it stands: {conflict}");
        }
        text
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
