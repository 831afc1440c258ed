//! Whether two resource descriptions share a resource: an exact verdict, with a witness.
//!
//! An alternative (an AND of clauses) is brought to *regions*: one positive shape, less some patterns. A shape is one
//! name, or all names with a given beginning and end. Two shapes with ends meet when one beginning begins the other and
//! one end ends the other; their meeting is again such a shape, with the longer of both. What is subtracted empties
//! a shape with ends only if a single subtracted pattern contains it: otherwise some name with foreign characters
//! after the beginning and before the end escapes them all, since there are more characters than patterns. (This holds
//! for names of any length: patterns are not held to the limits that a store puts on names.)

use super::{Clause, ResourcePattern, Resources, Rule};
use crate::event::EventType;
use std::borrow::Cow;

/// An event that two rules both claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its type.
    pub event_type: EventType,
    /// Its resource, `bucket/key`; empty where neither rule describes resources.
    pub resource: String,
}

impl Rule {
    /// An event that both rules claim, if there is one. Products, default rules and whether the rules are enabled are
    /// not looked at: those are the caller's to compare.
    #[must_use]
    pub fn overlap(&self, other: &Rule) -> Option<Witness> {
        let event_type = self.event_types.common(&other.event_types)?;
        let resource = self.resources.common(&other.resources)?;
        Some(Witness {
            event_type,
            resource,
        })
    }
}

impl Resources {
    /// A resource that both cover, if there is one; plausible (`bucket/key`) where such a one exists.
    #[must_use]
    pub fn common(&self, other: &Resources) -> Option<String> {
        match (self, other) {
            (Resources::All, Resources::All) => Some(String::new()),
            (Resources::All, Resources::AnyOf(alternatives))
            | (Resources::AnyOf(alternatives), Resources::All) => {
                alternatives.iter().find_map(|clauses| example(clauses))
            }
            (Resources::AnyOf(ours), Resources::AnyOf(theirs)) => ours
                .iter()
                .find_map(|clauses| theirs.iter().find_map(|others| common(clauses, others))),
        }
    }
}

/// A resource that the alternative covers; None when its clauses contradict each other.
#[must_use]
pub fn example(clauses: &[Clause]) -> Option<String> {
    witness_of(regions(clauses))
}

/// A resource that both alternatives cover, if there is one.
#[must_use]
pub fn common(ours: &[Clause], theirs: &[Clause]) -> Option<String> {
    // The greater part of all pairs are two plain patterns that do not meet: those are told apart without allocating.
    if let ([a], [b]) = (ours, theirs)
        && !a.negated
        && !b.negated
        && !may_meet(&a.pattern, &b.pattern)
    {
        return None;
    }
    let theirs = regions(theirs);
    let meetings = regions(ours).into_iter().flat_map(|our| {
        theirs
            .iter()
            .filter_map(|their| {
                let shape = our.shape.clone().meet(&their.shape)?;
                Some(Region {
                    shape,
                    less: our.less.iter().chain(&their.less).copied().collect(),
                })
            })
            .collect::<Vec<_>>()
    });
    witness_of(meetings.collect())
}

/// Whether every resource that `inner` covers is covered by `outer` too. Exact.
#[must_use]
pub fn within(inner: &[Clause], outer: &[Clause]) -> bool {
    let mut both = inner.to_vec();
    outer.iter().all(|clause| {
        // Nothing of the inner one may escape any clause of the outer one.
        both.push(Clause {
            negated: !clause.negated,
            pattern: clause.pattern.clone(),
        });
        let escapes = regions(&both).iter().any(|region| !region.is_empty());
        both.pop();
        !escapes
    })
}

/// Names of one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape<'a> {
    /// One name.
    One(&'a str),
    /// All names with this beginning and this end.
    Ends(Cow<'a, str>, &'a str),
}

/// A shape less some patterns.
#[derive(Clone, Debug)]
pub(crate) struct Region<'a> {
    /// What the positive clauses leave.
    pub(crate) shape: Shape<'a>,
    /// The patterns of the negated clauses.
    pub(crate) less: Vec<&'a ResourcePattern>,
}

/// Longer of the two if the shorter begins it.
fn longer_beginning<'a>(a: Cow<'a, str>, b: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    if a.starts_with(&**b) {
        Some(a)
    } else if b.starts_with(&*a) {
        Some(b.clone())
    } else {
        None
    }
}

/// Longer of the two if the shorter ends it.
fn longer_end<'a>(a: &'a str, b: &'a str) -> Option<&'a str> {
    if a.ends_with(b) {
        Some(a)
    } else if b.ends_with(a) {
        Some(b)
    } else {
        None
    }
}

impl<'a> Shape<'a> {
    /// What two shapes share.
    fn meet(self, other: &Shape<'a>) -> Option<Shape<'a>> {
        match (self, other) {
            (Shape::One(a), Shape::One(b)) => (a == *b).then_some(Shape::One(a)),
            (Shape::One(name), Shape::Ends(prefix, suffix)) => {
                (name.starts_with(&**prefix) && name.ends_with(suffix)).then_some(Shape::One(name))
            }
            (Shape::Ends(prefix, suffix), Shape::One(name)) => {
                (name.starts_with(&*prefix) && name.ends_with(suffix)).then_some(Shape::One(name))
            }
            (Shape::Ends(p, s), Shape::Ends(q, t)) => {
                Some(Shape::Ends(longer_beginning(p, q)?, longer_end(s, t)?))
            }
        }
    }
}

/// The shapes of one pattern: two for a whole bucket (the bucket itself, and what is in it).
fn shapes(pattern: &ResourcePattern) -> impl Iterator<Item = Shape<'_>> {
    let (first, second) = match pattern {
        ResourcePattern::Name(name) if name.contains('/') => (Shape::One(name), None),
        // Objects first: they make the better witnesses.
        ResourcePattern::Name(bucket) => (
            Shape::Ends(Cow::Owned(format!("{bucket}/")), ""),
            Some(Shape::One(bucket.as_str())),
        ),
        ResourcePattern::Ends { prefix, suffix } => {
            (Shape::Ends(Cow::Borrowed(prefix), suffix), None)
        }
    };
    std::iter::once(first).chain(second)
}

/// Brings an alternative to regions: none when its positive clauses contradict each other, at most two otherwise.
pub(crate) fn regions(clauses: &[Clause]) -> Vec<Region<'_>> {
    let mut held = vec![Shape::Ends(Cow::Borrowed(""), "")];
    for clause in clauses.iter().filter(|clause| !clause.negated) {
        held = held
            .into_iter()
            .flat_map(|shape| {
                shapes(&clause.pattern).filter_map(move |other| shape.clone().meet(&other))
            })
            .collect();
    }
    let less: Vec<&ResourcePattern> = clauses
        .iter()
        .filter(|clause| clause.negated)
        .map(|clause| &clause.pattern)
        .collect();
    held.into_iter()
        .map(|shape| Region {
            shape,
            less: less.clone(),
        })
        .collect()
}

/// Whether two plain patterns may share a resource; exact for all but buckets by full name, for which it may say yes
/// too often.
fn may_meet(a: &ResourcePattern, b: &ResourcePattern) -> bool {
    fn ends(pattern: &ResourcePattern) -> (&str, &str) {
        match pattern {
            ResourcePattern::Name(name) if name.contains('/') => (name, name),
            ResourcePattern::Name(bucket) => (bucket, ""),
            ResourcePattern::Ends { prefix, suffix } => (prefix, suffix),
        }
    }
    let ((p, s), (q, t)) = (ends(a), ends(b));
    let (p, s, q, t) = (p.as_bytes(), s.as_bytes(), q.as_bytes(), t.as_bytes());
    let (long, short) = if p.len() >= q.len() { (p, q) } else { (q, p) };
    let (far, near) = if s.len() >= t.len() { (s, t) } else { (t, s) };
    long.starts_with(short) && far.ends_with(near)
}

/// Whether the pattern contains the whole shape.
fn contains(pattern: &ResourcePattern, shape: &Shape<'_>) -> bool {
    match shape {
        Shape::One(name) => pattern.matches(name),
        Shape::Ends(prefix, suffix) => shapes(pattern).any(|held| match held {
            Shape::One(_) => false,
            Shape::Ends(p, s) => prefix.starts_with(&*p) && suffix.ends_with(s),
        }),
    }
}

impl Region<'_> {
    /// Whether nothing is left of the region. Exact.
    pub(crate) fn is_empty(&self) -> bool {
        self.less
            .iter()
            .any(|pattern| contains(pattern, &self.shape))
    }

    /// A name of the region, which must not be empty.
    fn witness(&self) -> String {
        let (prefix, suffix) = match &self.shape {
            Shape::One(name) => return (*name).to_owned(),
            Shape::Ends(prefix, suffix) => (&**prefix, *suffix),
        };
        // A character that no subtracted pattern holds: between two of it no such pattern reaches. `x` reads best.
        let foreign = ('x'..='z')
            .chain('a'..='w')
            .chain('0'..='9')
            .chain('\u{a1}'..=char::MAX)
            .find(|&c| {
                self.less.iter().all(|pattern| match pattern {
                    ResourcePattern::Name(name) => !name.contains(c),
                    ResourcePattern::Ends { prefix, suffix } => {
                        !prefix.contains(c) && !suffix.contains(c)
                    }
                })
            })
            .expect("the clauses of two rules hold fewer than a million different characters");
        let middles = if prefix.contains('/') {
            vec![String::new(), "x".to_owned(), foreign.to_string()]
        } else {
            let bucket = if prefix.is_empty() { "bucket" } else { "" };
            vec![
                format!("{bucket}/x"),
                format!("{bucket}/"),
                "/x".to_owned(),
                format!("{foreign}/{foreign}"),
                foreign.to_string(),
            ]
        };
        let mut names: Vec<String> = middles
            .iter()
            .map(|middle| format!("{prefix}{middle}{suffix}"))
            .collect();
        // A key that is all suffix (`movie/.avi`) is a possible name, but `movie/x.avi` reads better.
        names.sort_by_key(|name| !plausible(name, suffix));
        let found = names
            .iter()
            .position(|name| !self.less.iter().any(|pattern| pattern.matches(name)));
        names.swap_remove(
            found.expect("the name with foreign characters is in every region that is not empty"),
        )
    }
}

/// Whether the text looks like an object: a bucket, a slash, a key that is more than the suffix alone.
fn plausible(name: &str, suffix: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty() && key != suffix)
}

fn witness_of(regions: Vec<Region<'_>>) -> Option<String> {
    regions
        .iter()
        .find(|region| !region.is_empty())
        .map(Region::witness)
}
