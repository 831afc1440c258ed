//! `check`: what is wrong with a whole set of rules, and what is only odd.

use super::{Conflict, Overlap, RuleBook};
use crate::event::Product;
use crate::rule::{
    Clause, EventTypePattern, Fault, KNOWN_EVENT_TYPES, Limits, ResourcePattern, Resources, Rule,
    RuleFile, overlap,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most conflicting pairs that a report lists.
pub const MAX_LISTED: usize = 1_000;
/// Where counting of the conflicts beyond those listed ends.
pub const MAX_COUNTED: usize = 100_000;
/// Longest name that S3 has for a resource: a bucket of 63, a slash, a key of 1 024 bytes (Amazon S3 user guide, "Bucket
/// naming rules" and "Naming objects").
const LONGEST_RESOURCE: usize = 63 + 1 + 1024;

/// What `check` found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Faults: such a rule cannot be stored.
    pub errors: Vec<Fault>,
    /// Oddities: such a rule can be stored, but hardly does what is meant.
    pub warnings: Vec<Fault>,
    /// Pairs of rules that claim one event, the first [`MAX_LISTED`], by the place of the later rule.
    pub conflicts: Vec<Conflict>,
    /// How many pairs there are; counting ends at [`MAX_COUNTED`].
    pub conflict_count: usize,
}

impl Report {
    /// Whether there is neither fault nor conflict.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.errors.is_empty() && self.conflict_count == 0
    }
}

/// Checks the rules of a file.
#[must_use]
pub fn check(file: &RuleFile) -> Report {
    let mut report = Report {
        errors: file.faults.clone(),
        warnings: file.warnings.clone(),
        ..Report::default()
    };
    let mut books: BTreeMap<&Product, RuleBook> = BTreeMap::new();
    for rule in &file.rules {
        lint(rule, &mut report.warnings);
        let book = books
            .entry(&rule.product)
            .or_insert_with(|| RuleBook::open_with([], Limits::NONE, Overlap::Allow));
        if report.conflict_count < MAX_COUNTED {
            let found = book.conflicts_of(rule, MAX_COUNTED - report.conflict_count);
            report.conflict_count += found.len();
            let room = MAX_LISTED - report.conflicts.len();
            report.conflicts.extend(found.into_iter().take(room));
        }
        // A rule whose name is taken was reported with the file, and is not in it.
        let _ = book.insert(Arc::new(rule.clone()));
    }
    report
}

/// What is odd about one sound rule.
pub fn lint(rule: &Rule, warnings: &mut Vec<Fault>) {
    let mut warn = |field: String, value: &str, message: String| {
        warnings.push(Fault::new(rule.name.as_str(), field, value, message));
    };
    event_types(rule, &mut warn);
    let Resources::AnyOf(alternatives) = &rule.resources else {
        return;
    };
    for (outer, clauses) in alternatives.iter().enumerate() {
        alternative(rule, outer, clauses, &mut warn);
    }
}

fn event_types(rule: &Rule, warn: &mut impl FnMut(String, &str, String)) {
    for (index, pattern) in rule.event_types.0.iter().enumerate() {
        let field = format!("EventTypes[{index}]");
        let text = pattern.to_string();
        let wider = rule.event_types.0.iter().find(|other| {
            *other != pattern
                && match (other, pattern) {
                    (EventTypePattern::Group(_), EventTypePattern::Name(name)) => {
                        other.covers(name.as_str())
                    }
                    (EventTypePattern::Group(_), EventTypePattern::Group(group)) => {
                        other.covers(&format!("{group}:"))
                    }
                    (EventTypePattern::Name(_), _) => false,
                }
        });
        if let Some(wider) = wider {
            warn(
                field,
                &text,
                format!("it is covered by {wider} of the same rule already: drop one of the two"),
            );
        } else if rule.product == Product::Oss
            && !KNOWN_EVENT_TYPES.iter().any(|known| pattern.covers(known))
        {
            let near = nearest(&text)
                .map(|near| format!(", did you mean {near}?"))
                .unwrap_or_default();
            warn(
                field,
                &text,
                format!("no source known to Carillon emits such events{near}"),
            );
        }
    }
}

/// A known name or group that differs in at most two letters.
fn nearest(text: &str) -> Option<String> {
    let mut known: Vec<String> = KNOWN_EVENT_TYPES
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    known.extend(
        KNOWN_EVENT_TYPES
            .iter()
            .filter_map(|name| Some(format!("{}:*", name.split_once(':')?.0))),
    );
    known
        .into_iter()
        .map(|name| (distance(text, &name), name))
        .filter(|(far, _)| *far <= 2)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed, case not counted.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let step = (diagonal + usize::from(x != *y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], step);
        }
    }
    row[b.len()]
}

fn alternative(
    rule: &Rule,
    outer: usize,
    clauses: &[Clause],
    warn: &mut impl FnMut(String, &str, String),
) {
    let shown = clauses
        .iter()
        .map(Clause::to_string)
        .collect::<Vec<_>>()
        .join(" and ");
    if overlap::example(clauses).is_none() {
        warn(
            format!("MatchRules[{outer}]"),
            &shown,
            "no resource meets all of these clauses, so they never match: drop them, or share them among several \
             resource descriptions, of which one is enough"
                .to_owned(),
        );
        return;
    }
    for (inner, clause) in clauses.iter().enumerate() {
        let parts: [(&str, &str); 2] = match &clause.pattern {
            ResourcePattern::Name(name) => [("Name", name), ("", "")],
            ResourcePattern::Ends { prefix, suffix } => [("Prefix", prefix), ("Suffix", suffix)],
        };
        for (member, text) in parts {
            let field = || format!("MatchRules[{outer}][{inner}].{member}");
            if member != "Suffix" && text.starts_with('/') && rule.product == Product::Oss {
                warn(
                    field(),
                    text,
                    "a resource begins with the name of its bucket, never with a slash, so this never matches: put the \
                     bucket before it"
                        .to_owned(),
                );
            } else if text.len() > LONGEST_RESOURCE && rule.product == Product::Oss {
                warn(
                    field(),
                    text,
                    format!(
                        "no bucket and key are together longer than {LONGEST_RESOURCE} bytes, so this never matches"
                    ),
                );
            } else if text.contains(['*', '?']) && !text.is_empty() {
                warn(
                    field(),
                    text,
                    "`*` and `?` stand for themselves here: write what comes before them as Prefix, what comes after \
                     as Suffix, if they were meant as wildcards"
                        .to_owned(),
                );
            }
        }
    }
}
