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

/// What Carillon's sources tell of besides [`KNOWN_EVENT_TYPES`]: names of our own for operations that the seeds have no
/// type for, and the jobs of seed 000 (4).
const FURTHER_STORAGE: [&str; 15] = [
    "BucketCreated:PutBucket",
    "BucketRemoved:DeleteBucket",
    // Each read of a bucket's configuration, by the call's name.
    "BucketQueried:*",
    "BucketScanned:BigPrefix",
    "BucketScanned:LargeVersions",
    "BucketScanned:ManyVersions",
    "ObjectLost:ReducedRedundancy",
    "ObjectModified:RenameObject",
    "ObjectQueried:GetObjectAttributes",
    "ObjectQueried:GetObjectLegalHold",
    "ObjectQueried:GetObjectRetention",
    "ObjectQueried:HeadObject",
    "ObjectRestore:ExpireRestore",
    "ObjectRestore:StartRestore",
    "ReplicationTracked:*",
];
const JOBS: [&str; 12] = [
    "AbstractEcommerceVideo",
    "AbstractFilmVideo",
    "AdjustVideoColor",
    "DetectCovid19Cad",
    "DetectVideoShot",
    "EraseVideoLogo",
    "EraseVideoSubtitles",
    "GenerateVideo",
    "GenerateVideoCover",
    "SegmentVideoBody",
    "SuperResolveVideo",
    "TrimDocument",
];

/// What sources emit for a product; none are known for one of the user's own.
fn emitted(product: &Product) -> Vec<&'static str> {
    let mail = |name: &&str| name.starts_with("Deliver:");
    match product {
        Product::Oss => KNOWN_EVENT_TYPES
            .into_iter()
            .filter(|name| !mail(name))
            .chain(FURTHER_STORAGE)
            .collect(),
        Product::Mail => KNOWN_EVENT_TYPES.into_iter().filter(mail).collect(),
        Product::Vision => JOBS.to_vec(),
        Product::Own(_) => Vec::new(),
    }
}

/// Checks the rules of a file, of which no two may overlap.
#[must_use]
pub fn check(file: &RuleFile) -> Report {
    check_under(file, Overlap::Refuse)
}

/// Checks the rules of a file. Where rules may overlap, there are no conflicts; a resource description that lies within
/// one of another rule for the same events is then an oddity.
#[must_use]
pub fn check_under(file: &RuleFile, overlap: Overlap) -> Report {
    let mut report = Report {
        errors: file.faults.clone(),
        warnings: file.warnings.clone(),
        ..Report::default()
    };
    let mut books: BTreeMap<&Product, RuleBook> = BTreeMap::new();
    let mut nested = 0;
    for rule in &file.rules {
        lint(rule, &mut report.warnings);
        let book = books
            .entry(&rule.product)
            .or_insert_with(|| RuleBook::open_with([], Limits::NONE, Overlap::Allow));
        if report.conflict_count < MAX_COUNTED && nested < MAX_LISTED {
            let found = book.conflicts_of(rule, MAX_COUNTED - report.conflict_count);
            let room = MAX_LISTED - report.conflicts.len();
            match overlap {
                Overlap::Refuse => {
                    report.conflict_count += found.len();
                    report.conflicts.extend(found.into_iter().take(room));
                }
                Overlap::Allow => {
                    for conflict in &found {
                        if let Some(other) = book.get(&conflict.other)
                            && nested < MAX_LISTED
                        {
                            nested += nesting(rule, other, &mut report.warnings);
                        }
                    }
                }
            }
        }
        // A rule whose name is taken was reported with the file, and is not in it.
        let _ = book.insert(Arc::new(rule.clone()));
    }
    report
}

/// Which resource descriptions of two rules, of which some event types meet, lie within one of the other rule. Gives
/// how many there are.
fn nesting(rule: &Rule, other: &Rule, warnings: &mut Vec<Fault>) -> usize {
    let alternatives = |rule: &'_ Rule| match &rule.resources {
        Resources::All => vec![Vec::new()],
        Resources::AnyOf(alternatives) => alternatives.clone(),
    };
    let (ours, theirs) = (alternatives(rule), alternatives(other));
    let before = warnings.len();
    let mut warn = |inner: (&Rule, usize, &[Clause]), outer: (&Rule, usize, &[Clause])| {
        let (inner_rule, inner, clauses) = inner;
        let (outer_rule, outer, around) = outer;
        warnings.push(Fault::new(
            inner_rule.name.as_str(),
            format!("MatchRules[{inner}]"),
            &show(clauses),
            format!(
                "it lies within MatchRules[{outer}] ({}) of rule {:?}: events of types that both name go to both; narrow \
                 or drop one of them if that is not meant",
                show(around),
                outer_rule.name.as_str()
            ),
        ));
    };
    for (our, clauses) in ours.iter().enumerate() {
        for (their, others) in theirs.iter().enumerate() {
            if overlap::common(clauses, others).is_none() {
                // Neither does one that covers nothing lie within another.
            } else if overlap::within(clauses, others) {
                warn((rule, our, clauses), (other, their, others));
            } else if overlap::within(others, clauses) {
                warn((other, their, others), (rule, our, clauses));
            }
        }
    }
    warnings.len() - before
}

/// Clauses in words.
fn show(clauses: &[Clause]) -> String {
    if clauses.is_empty() {
        return "every resource".to_owned();
    }
    clauses
        .iter()
        .map(Clause::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
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
    if !alternatives
        .iter()
        .any(|clauses| overlap::example(clauses).is_some())
    {
        warn(
            "MatchRules".to_owned(),
            &alternatives.iter().map(|clauses| show(clauses)).collect::<Vec<_>>().join(", or "),
            "none of its resource descriptions can match, so this rule never takes an event: drop it, or drop the \
             clauses that exclude each other"
                .to_owned(),
        );
    }
}

fn event_types(rule: &Rule, warn: &mut impl FnMut(String, &str, String)) {
    let emitted = emitted(&rule.product);
    let mut silent = 0;
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
        } else if !emitted.is_empty() && !emits(&emitted, pattern) {
            silent += 1;
            let near = nearest(&text, &emitted).map_or_else(
                || "check the spelling, or publish them yourself".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            warn(
                field,
                &text,
                format!("no source known to Carillon emits such events: {near}"),
            );
        }
    }
    if silent > 1 && silent == rule.event_types.0.len() {
        warn(
            "EventTypes".to_owned(),
            &rule.event_types.to_string(),
            "no source known to Carillon emits any of these, so this rule takes only what you publish yourself"
                .to_owned(),
        );
    }
}

/// Whether the pattern covers anything emitted.
fn emits(emitted: &[&str], pattern: &EventTypePattern) -> bool {
    emitted.iter().any(|known| match known.strip_suffix('*') {
        None => pattern.covers(known),
        Some(group) => match pattern {
            EventTypePattern::Name(name) => name.as_str().starts_with(group),
            EventTypePattern::Group(asked) => {
                format!("{asked}:").starts_with(group) || pattern.covers(group)
            }
        },
    })
}

/// An emitted name or group that differs in at most two letters, or else the first that goes on where the text ends (as
/// S3's `ObjectCreated:Put` does), or else the name whose class was left out (seed 000, 3.2, writes `PutObject`).
fn nearest(text: &str, emitted: &[&str]) -> Option<String> {
    let mut known: Vec<String> = emitted.iter().map(|name| (*name).to_owned()).collect();
    known.extend(
        emitted
            .iter()
            .filter_map(|name| Some(format!("{}:*", name.split_once(':')?.0))),
    );
    let longer = known
        .iter()
        .find(|name| text.contains(':') && name.starts_with(text))
        .cloned();
    known
        .into_iter()
        .map(|name| (distance(text, &name), name))
        .filter(|(far, _)| *far <= 2)
        .min()
        .map(|(_, name)| name)
        .or(longer)
        .or_else(|| {
            let without_class = |name: &&&str| {
                name.split_once(':')
                    .is_some_and(|(_, name)| name.eq_ignore_ascii_case(text))
            };
            emitted
                .iter()
                .find(without_class)
                .map(|name| (*name).to_owned())
        })
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
    if overlap::example(clauses).is_none() {
        warn(
            format!("MatchRules[{outer}]"),
            &show(clauses),
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
