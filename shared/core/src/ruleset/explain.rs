//! Why an event goes where it goes: the rules that take it, and what kept the nearest others from it.

use super::{Hits, RuleSet};
use crate::rule::{Clause, EventTypes, ResourcePattern, Resources, Rule, RuleName};
use std::fmt;

/// What became of an event, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Type of the event.
    pub event_type: String,
    /// Its resource.
    pub resource: String,
    /// The ordinary rules that cover it.
    pub covered_by: Vec<RuleName>,
    /// The default rule, if it takes the event because no other does.
    pub default: Option<RuleName>,
    /// The nearest of the other rules, nearest first.
    pub others: Vec<Miss>,
    /// How many rules missed beside those.
    pub unlisted: usize,
}

/// Why one rule does not cover an event: the first thing that fails. Once that is repaired, the rule covers the event
/// or fails at something later. Event types are looked at first, then the clauses of the alternative that gets
/// furthest, then whether the rule is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The rule.
    pub rule: RuleName,
    /// What fails: `EventTypes`, `MatchRules[0][1].Prefix`, or `Enabled`.
    pub field: String,
    /// How far it got, in words.
    pub message: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {:?}", self.event_type, self.resource)?;
        for rule in &self.covered_by {
            writeln!(f, "  covered by rule {:?}", rule.as_str())?;
        }
        match &self.default {
            Some(_) => writeln!(
                f,
                "  covered by no ordinary rule, so the default rule takes it"
            )?,
            None if self.covered_by.is_empty() => {
                writeln!(
                    f,
                    "  covered by no rule, and there is no default rule: nobody is told"
                )?;
            }
            None => {}
        }
        for miss in &self.others {
            writeln!(
                f,
                "  not by rule {:?}: {}: {}",
                miss.rule.as_str(),
                miss.field,
                miss.message
            )?;
        }
        match self.unlisted {
            0 => Ok(()),
            more => writeln!(f, "  nor by {more} other rules, which are further off"),
        }
    }
}

impl RuleSet {
    /// Explains an event. At most `max` of the rules that do not cover it are listed; all are looked at one by one.
    #[must_use]
    pub fn explain(&self, event_type: &str, resource: &str, max: usize) -> Explanation {
        let mut hits = Hits::new();
        self.covering(event_type, resource, &mut hits);
        let mut missed: Vec<(u32, u32)> = (0u32..)
            .zip(self.rules())
            .filter(|(number, _)| hits.binary_search(number).is_err())
            .map(|(number, rule)| (u32::MAX - nearness(rule, event_type, resource), number))
            .collect();
        let unlisted = missed.len().saturating_sub(max);
        if unlisted > 0 && max > 0 {
            missed.select_nth_unstable(max - 1);
        }
        missed.truncate(max);
        missed.sort_unstable();
        let others = missed
            .into_iter()
            .filter_map(|(_, number)| miss(&self.rules()[number as usize], event_type, resource));
        Explanation {
            event_type: event_type.to_owned(),
            resource: resource.to_owned(),
            covered_by: hits
                .iter()
                .map(|number| self.rules()[*number as usize].name.clone())
                .collect(),
            default: self
                .default_rule()
                .filter(|_| hits.is_empty())
                .map(|rule| rule.name.clone()),
            others: others.collect(),
            unlisted,
        }
    }
}

/// Why the rule does not cover the event; None if it does.
#[must_use]
pub fn miss(rule: &Rule, event_type: &str, resource: &str) -> Option<Miss> {
    let (field, message) = if !rule.event_types.cover(event_type) {
        (
            "EventTypes".to_owned(),
            type_message(&rule.event_types, event_type),
        )
    } else if let Some(found) = resources_miss(&rule.resources, resource) {
        found
    } else if !rule.enabled {
        (
            "Enabled".to_owned(),
            "the rule is disabled; all else holds: enable it".to_owned(),
        )
    } else {
        return None;
    };
    Some(Miss {
        rule: rule.name.clone(),
        field,
        message,
    })
}

/// How near a rule that misses comes; greater is nearer.
fn nearness(rule: &Rule, event_type: &str, resource: &str) -> u32 {
    let types = rule.event_types.cover(event_type);
    let share = match &rule.resources {
        Resources::All => WHOLE,
        Resources::AnyOf(alternatives) => alternatives
            .iter()
            .map(|clauses| progress(clauses, resource))
            .max()
            .unwrap_or(0),
    };
    match (types, share == WHOLE) {
        // Disabled.
        (true, true) => 4 * WHOLE,
        (false, true) => 3 * WHOLE,
        (true, false) => WHOLE + share,
        (false, false) => share,
    }
}

/// Everything holds.
const WHOLE: u32 = 1 << 20;

/// How much of an alternative holds, up to the first clause that does not.
fn progress(clauses: &[Clause], resource: &str) -> u32 {
    let each = WHOLE / u32::try_from(clauses.len().max(1)).unwrap_or(WHOLE);
    match clauses.iter().position(|clause| !clause.holds(resource)) {
        None => WHOLE,
        Some(first) => {
            let (done, of) = clause_progress(&clauses[first], resource);
            let part = u64::from(each - 1) * done as u64 / of.max(1) as u64;
            (each * u32::try_from(first).unwrap_or(0) + u32::try_from(part).unwrap_or(0))
                .min(WHOLE - 1)
        }
    }
}

/// Bytes of a failing clause that agree, and how many would have to.
fn clause_progress(clause: &Clause, resource: &str) -> (usize, usize) {
    if clause.negated {
        return (0, 1);
    }
    match &clause.pattern {
        ResourcePattern::Name(name) => (agree(name, resource), name.len() + 1),
        ResourcePattern::Ends { prefix, suffix } => (
            agree(prefix, resource) + agree_at_end(suffix, resource),
            prefix.len() + suffix.len(),
        ),
    }
}

/// How many bytes both begin with.
fn agree(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn agree_at_end(a: &str, b: &str) -> usize {
    a.bytes()
        .rev()
        .zip(b.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count()
}

fn type_message(types: &EventTypes, event_type: &str) -> String {
    let near = types.0.iter().max_by_key(|pattern| {
        let text = pattern.to_string();
        (agree(&text, event_type), std::cmp::Reverse(text.len()))
    });
    match near {
        None => format!("the rule names no event type, have {event_type}"),
        Some(near) if types.0.len() == 1 => format!("have {event_type}, want {near}"),
        Some(near) => format!(
            "have {event_type}, want any of {} types, the nearest {near}",
            types.0.len()
        ),
    }
}

fn resources_miss(resources: &Resources, resource: &str) -> Option<(String, String)> {
    let Resources::AnyOf(alternatives) = resources else {
        return None;
    };
    if resources.cover(resource) {
        return None;
    }
    // Of equally near ones the first.
    let nearest = alternatives
        .iter()
        .enumerate()
        .rev()
        .max_by_key(|(_, clauses)| progress(clauses, resource));
    let Some((outer, clauses)) = nearest else {
        return Some((
            "MatchRules".to_owned(),
            "the rule describes no resource".to_owned(),
        ));
    };
    let (inner, clause) = clauses
        .iter()
        .enumerate()
        .find(|(_, clause)| !clause.holds(resource))?;
    let (member, message) = clause_message(clause, resource);
    Some((format!("MatchRules[{outer}][{inner}]{member}"), message))
}

/// Which member fails, and how.
fn clause_message(clause: &Clause, resource: &str) -> (&'static str, String) {
    if clause.negated {
        return (
            ".MatchState",
            format!("the resource is excluded: it matches {}", clause.pattern),
        );
    }
    match &clause.pattern {
        ResourcePattern::Name(name) if name.contains('/') => {
            let at = agree(name, resource) + 1;
            (
                ".Name",
                format!(
                    "name differs at byte {at}: have {}, want {name:?}",
                    beginning(resource, name.len())
                ),
            )
        }
        ResourcePattern::Name(bucket) => {
            let have = resource.split('/').next().unwrap_or_default();
            (
                ".Name",
                format!(
                    "bucket differs at byte {}: have {have:?}, want {bucket:?}",
                    agree(bucket, have) + 1
                ),
            )
        }
        ResourcePattern::Ends { prefix, .. } if !resource.starts_with(prefix.as_str()) => {
            let at = agree(prefix, resource) + 1;
            (
                ".Prefix",
                format!(
                    "prefix differs at byte {at}: have {}, want {prefix:?}",
                    beginning(resource, prefix.len())
                ),
            )
        }
        ResourcePattern::Ends { suffix, .. } => {
            let at = agree_at_end(suffix, resource) + 1;
            let have = end(resource, suffix.len());
            (
                ".Suffix",
                format!("suffix differs at byte {at} from the end: have {have}, want {suffix:?}"),
            )
        }
    }
}

/// As much of the beginning as the clause looks at, to the end of the segment: a name cut in two reads badly.
fn beginning(resource: &str, len: usize) -> String {
    let from = ceil(resource, len.saturating_sub(1));
    let end = resource[from..]
        .find('/')
        .map_or(resource.len(), |slash| from + slash + 1);
    let end = ceil(resource, end.min(len + 32));
    let more = if end < resource.len() { "..." } else { "" };
    format!("{:?}{more}", &resource[..end])
}

/// As much of the end as the clause looks at.
fn end(resource: &str, len: usize) -> String {
    let mut from = resource.len().saturating_sub(len);
    while !resource.is_char_boundary(from) {
        from -= 1;
    }
    format!("{:?}", &resource[from..])
}

/// The next place where a character begins.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len())
}
