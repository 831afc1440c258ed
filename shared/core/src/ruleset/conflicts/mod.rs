//! Which rules of a book claim events of a given rule, without asking each.
//!
//! The patterns of all rules are kept by event type, and for each type in a [`Plane`]: a new rule looks only at types
//! that meet its own, and in those only at patterns whose ends are comparable with its own.

mod grid;
mod plane;

use crate::event::EventType;
use crate::rule::overlap::{Shape, common, regions};
use crate::rule::{Clause, EventTypePattern, Resources, Rule, Witness};
use plane::Plane;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// A pattern of a rule: its slot in the book, and which of its alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    slot: u32,
    alternative: u32,
}

/// Where a rule describes no resources.
const EVERYWHERE: u32 = u32::MAX;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {
    /// By event type: `Group:Name`, or `Group:` for a whole group, so that a group stands before all that is in it.
    planes: BTreeMap<Box<str>, Plane>,
}

/// What `planes` has for an event type pattern.
fn key(pattern: &EventTypePattern) -> Box<str> {
    match pattern {
        EventTypePattern::Name(name) => name.as_str().into(),
        EventTypePattern::Group(group) => format!("{group}:").into(),
    }
}

/// The positive shapes of a rule's alternatives, as beginning, end, and whether it is one name.
fn each_shape(rule: &Rule, mut each: impl FnMut(u32, &str, &str, bool)) {
    match &rule.resources {
        Resources::All => each(EVERYWHERE, "", "", false),
        Resources::AnyOf(alternatives) => {
            for (number, clauses) in alternatives.iter().enumerate() {
                let number =
                    u32::try_from(number).expect("a rule has fewer than 2^32 alternatives");
                for region in regions(clauses)
                    .into_iter()
                    .filter(|region| !region.is_empty())
                {
                    match &region.shape {
                        Shape::One(name) => each(number, name, name, true),
                        Shape::Ends(prefix, suffix) => each(number, prefix, suffix, false),
                    }
                }
            }
        }
    }
}

impl Conflicts {
    /// All at once: much faster than one by one.
    pub(super) fn build(slots: &[Option<Arc<Rule>>]) -> Self {
        let mut points: BTreeMap<Box<str>, Vec<plane::Point>> = BTreeMap::new();
        for (slot, rule) in (0u32..).zip(slots) {
            let Some(rule) = rule.as_ref().filter(|rule| !rule.is_default()) else {
                continue;
            };
            each_shape(rule, |alternative, prefix, suffix, one| {
                let point = plane::Point::new(prefix, suffix, one, Place { slot, alternative });
                for pattern in &rule.event_types.0 {
                    points.entry(key(pattern)).or_default().push(point.clone());
                }
            });
        }
        Conflicts {
            planes: points
                .into_iter()
                .map(|(key, points)| (key, Plane::build(points)))
                .collect(),
        }
    }

    pub(super) fn insert(&mut self, slot: u32, rule: &Rule) {
        for pattern in &rule.event_types.0 {
            let plane = self.planes.entry(key(pattern)).or_default();
            each_shape(rule, |alternative, prefix, suffix, one| {
                plane.insert(plane::Point::new(
                    prefix,
                    suffix,
                    one,
                    Place { slot, alternative },
                ));
            });
        }
    }

    pub(super) fn remove(&mut self, slot: u32, rule: &Rule) {
        for pattern in &rule.event_types.0 {
            let key = key(pattern);
            let Some(plane) = self.planes.get_mut(&key) else {
                continue;
            };
            each_shape(rule, |alternative, prefix, suffix, one| {
                plane.remove(&plane::Point::new(
                    prefix,
                    suffix,
                    one,
                    Place { slot, alternative },
                ));
            });
            if plane.is_empty() {
                self.planes.remove(&key);
            }
        }
    }

    /// The planes of event types that meet the pattern.
    fn meeting<'a>(&'a self, pattern: &'a EventTypePattern) -> impl Iterator<Item = &'a Plane> {
        let (text, inside) = match pattern {
            EventTypePattern::Name(name) => (name.as_str(), None),
            EventTypePattern::Group(group) => (group.as_str(), Some(key(pattern))),
        };
        let groups = text
            .match_indices(':')
            .filter_map(|(at, _)| self.planes.get(&text[..=at]));
        let same = inside.is_none().then(|| self.planes.get(text)).flatten();
        let within = inside.map(|group| {
            let from = (Bound::Included(group.clone()), Bound::Unbounded);
            self.planes
                .range(from)
                .take_while(move |(key, _)| key.starts_with(&*group))
                .map(|(_, plane)| plane)
        });
        groups.chain(same).chain(within.into_iter().flatten())
    }

    /// Calls `each` with rules that overlap the given one, and an event of both. A rule may come several times.
    pub(super) fn each(
        &self,
        slots: &[Option<Arc<Rule>>],
        rule: &Rule,
        mut each: impl FnMut(&Arc<Rule>, Witness) -> ControlFlow<()>,
    ) {
        let mut done = false;
        for pattern in &rule.event_types.0 {
            for plane in self.meeting(pattern) {
                each_shape(rule, |alternative, prefix, suffix, one| {
                    if done {
                        return;
                    }
                    let flow = plane.meeting(prefix, suffix, one, |place| {
                        let other = slots[place.slot as usize]
                            .as_ref()
                            .expect("a place names a rule of the book");
                        if other.name == rule.name {
                            return ControlFlow::Continue(());
                        }
                        // Exact, negated clauses included.
                        match witness(rule, alternative, other, place.alternative) {
                            Some(witness) => each(other, witness),
                            None => ControlFlow::Continue(()),
                        }
                    });
                    done |= flow.is_break();
                });
                if done {
                    return;
                }
            }
        }
    }
}

/// An event of both alternatives.
fn witness(rule: &Rule, ours: u32, other: &Rule, theirs: u32) -> Option<Witness> {
    let event_type: EventType = rule.event_types.common(&other.event_types)?;
    let resource = match (&rule.resources, &other.resources) {
        (Resources::All, Resources::All) => String::new(),
        _ => common(clauses(rule, ours), clauses(other, theirs))?,
    };
    Some(Witness {
        event_type,
        resource,
    })
}

/// One alternative; no clause holds everywhere.
fn clauses(rule: &Rule, number: u32) -> &[Clause] {
    match &rule.resources {
        Resources::AnyOf(alternatives) => &alternatives[number as usize],
        Resources::All => &[],
    }
}
