//! Overlap is exact: a verdict "overlap" comes with a witness of both, and where the verdict is "apart" no name up to
//! eight letters is matched by both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; counts for those who look"
)]

mod support;

use carillon_core::rule::overlap::{common, example, within};
use carillon_core::rule::{Clause, EventTypePattern, ResourcePattern};
use support::Draw;

/// All texts of `a`, `b` and `/` up to a length.
fn texts(max: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..max {
        last = last
            .iter()
            .flat_map(|text| ["a", "b", "/"].map(|letter| format!("{text}{letter}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn plain(pattern: ResourcePattern) -> Vec<Clause> {
    vec![Clause {
        negated: false,
        pattern,
    }]
}

/// A set of numbered names.
#[derive(Clone, PartialEq)]
struct Names(Vec<u64>);

impl Names {
    fn of(names: &[String], matches: impl Fn(&str) -> bool) -> Self {
        let mut bits = vec![0; names.len().div_ceil(64)];
        for (number, name) in names.iter().enumerate().filter(|(_, name)| matches(name)) {
            let _ = name;
            bits[number / 64] |= 1 << (number % 64);
        }
        Names(bits)
    }

    fn meet(&self, other: &Names) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}

#[test]
fn every_pair_of_patterns_over_three_letters() {
    let names = texts(8);
    let short = texts(2);
    let mut patterns: Vec<ResourcePattern> = texts(3)
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(ResourcePattern::Name)
        .collect();
    for prefix in &short {
        for suffix in &short {
            patterns.push(ResourcePattern::Ends {
                prefix: prefix.clone(),
                suffix: suffix.clone(),
            });
        }
    }
    let sets: Vec<Names> = patterns
        .iter()
        .map(|pattern| Names::of(&names, |name| pattern.matches(name)))
        .collect();
    let (mut pairs, mut overlaps) = (0, 0);
    for (a, first) in patterns.iter().enumerate() {
        for (b, second) in patterns.iter().enumerate().skip(a) {
            let verdict = common(&plain(first.clone()), &plain(second.clone()));
            assert_eq!(
                verdict.is_some(),
                sets[a].meet(&sets[b]),
                "{first} and {second}: {verdict:?}"
            );
            if let Some(witness) = &verdict {
                assert!(
                    first.matches(witness) && second.matches(witness),
                    "{first} and {second}: {witness:?}"
                );
                overlaps += 1;
            }
            let turned = common(&plain(second.clone()), &plain(first.clone()));
            assert_eq!(
                turned.is_some(),
                verdict.is_some(),
                "{first} and {second} the other way round"
            );
            pairs += 1;
        }
    }
    println!("{pairs} pairs, {overlaps} overlaps, {} names", names.len());
}

#[test]
fn negated_and_several_clauses() {
    let names = texts(7);
    let letters = texts(2);
    let mut draw = Draw::new(5);
    let mut alternative = || -> Vec<Clause> {
        (0..1 + draw.below(3))
            .map(|_| {
                let (prefix, suffix) = (draw.pick(&letters).clone(), draw.pick(&letters).clone());
                let pattern = match draw.below(4) {
                    0 if !prefix.is_empty() => ResourcePattern::Name(prefix + &suffix),
                    1 => ResourcePattern::Ends {
                        prefix: String::new(),
                        suffix,
                    },
                    2 => ResourcePattern::Ends {
                        prefix,
                        suffix: String::new(),
                    },
                    _ => ResourcePattern::Ends { prefix, suffix },
                };
                Clause {
                    negated: draw.chance(2),
                    pattern,
                }
            })
            .collect()
    };
    let holds = |clauses: &[Clause], name: &str| clauses.iter().all(|clause| clause.holds(name));
    let (mut apart, mut foreign, mut nested) = (0, 0, 0);
    for _ in 0..1_500 {
        let (ours, theirs) = (alternative(), alternative());
        let found = names
            .iter()
            .find(|name| holds(&ours, name) && holds(&theirs, name));
        // One lies within the other when no resource of it, of any letters, is outside.
        let inside = names
            .iter()
            .all(|name| !holds(&ours, name) || holds(&theirs, name));
        if within(&ours, &theirs) {
            assert!(inside, "{ours:?} {theirs:?}");
            nested += u32::from(example(&ours).is_some());
        } else {
            let escape = theirs.iter().find_map(|clause| {
                let mut both = ours.clone();
                both.push(Clause {
                    negated: !clause.negated,
                    pattern: clause.pattern.clone(),
                });
                example(&both)
            });
            let escape = escape.unwrap();
            assert!(
                holds(&ours, &escape) && !holds(&theirs, &escape),
                "{escape:?}"
            );
        }
        match common(&ours, &theirs) {
            Some(witness) => {
                assert!(
                    holds(&ours, &witness) && holds(&theirs, &witness),
                    "{ours:?} {theirs:?}: {witness:?}"
                );
                foreign += u32::from(found.is_none());
            }
            None => {
                assert_eq!(found, None, "{ours:?} {theirs:?}");
                apart += 1;
            }
        }
    }
    println!(
        "{apart} of 1500 pairs are apart, {foreign} meet only outside the three letters, {nested} lie one in the other"
    );
    assert!(nested > 20);
    assert!(apart > 100 && apart < 1_400);
}

#[test]
fn witnesses_look_like_objects() {
    let ends = |prefix: &str, suffix: &str| ResourcePattern::Ends {
        prefix: prefix.into(),
        suffix: suffix.into(),
    };
    let name = |name: &str| ResourcePattern::Name(name.into());
    for (first, second, want) in [
        (ends("movie/", ""), ends("", ".avi"), "movie/x.avi"),
        (ends("", ""), ends("", ""), "bucket/x"),
        (ends("", ".avi"), ends("", "i"), "bucket/x.avi"),
        (ends("mov", ""), ends("", ".avi"), "mov/x.avi"),
        (name("movie"), ends("mov", ""), "movie/x"),
        (name("movie"), name("movie"), "movie/x"),
        (name("movie"), name("movie/hello.avi"), "movie/hello.avi"),
        (ends("movie/a", ""), ends("movie/", ""), "movie/a"),
        (ends("ab/aba", "ba"), name("ab/aba"), "ab/aba"),
    ] {
        assert_eq!(
            common(&plain(first.clone()), &plain(second.clone())).as_deref(),
            Some(want),
            "{first}, {second}"
        );
    }
    assert_eq!(
        common(&plain(name("movie")), &plain(ends("movies", ""))),
        None
    );
    assert_eq!(
        common(&plain(ends("a", ".jpg")), &plain(ends("a", ".png"))),
        None
    );
}

#[test]
fn a_witness_escapes_every_subtracted_pattern() {
    let ends = |prefix: &str, suffix: &str| ResourcePattern::Ends {
        prefix: prefix.into(),
        suffix: suffix.into(),
    };
    let name = |name: &str| ResourcePattern::Name(name.into());
    // Every name that comes to mind first is taken away.
    for (held, less, want) in [
        (ends("a/", ""), vec![name("a/"), ends("", "x")], "a/y"),
        (ends("a/", ""), vec![name("a/"), ends("a/x", "")], "a/y"),
        (
            ends("a/", ""),
            vec![name("a/"), ends("a/x", ""), ends("", "y")],
            "a/z",
        ),
        (
            ends("", ""),
            vec![name("bucket"), ends("/", ""), ends("", "x")],
            "y/y",
        ),
        (name("a"), vec![ends("a/", "")], "a"),
    ] {
        let mut clauses = plain(held);
        clauses.extend(less.into_iter().map(|pattern| Clause {
            negated: true,
            pattern,
        }));
        let found = example(&clauses).unwrap();
        assert!(clauses.iter().all(|clause| clause.holds(&found)), "{found}");
        assert_eq!(found, want);
    }
}

#[test]
fn event_types_meet_as_names_and_groups() {
    let common = |a: &str, b: &str| {
        let (a, b) = (
            EventTypePattern::parse(a).unwrap(),
            EventTypePattern::parse(b).unwrap(),
        );
        let forth = a.common(&b).map(|name| name.to_string());
        assert_eq!(
            b.common(&a).map(|name| name.to_string()),
            forth,
            "{a} and {b} the other way round"
        );
        forth
    };
    assert_eq!(
        common("ObjectCreated:*", "ObjectCreated:*").as_deref(),
        Some("ObjectCreated:PutObject")
    );
    assert_eq!(
        common("ObjectCreated:*", "ObjectCreate:AppendObject").as_deref(),
        Some("ObjectCreated:AppendObject")
    );
    assert_eq!(
        common("ObjectCreated:PutObject", "oss:ObjectCreated:PutObject").as_deref(),
        Some("ObjectCreated:PutObject")
    );
    assert_eq!(common("Own:*", "Own:*").as_deref(), Some("Own:Any"));
    assert_eq!(
        common("Own:*", "Own:Deep:*").as_deref(),
        Some("Own:Deep:Any")
    );
    assert_eq!(common("ObjectCreated:*", "ObjectRemoved:*"), None);
    assert_eq!(
        common("ObjectCreated:PutObject", "ObjectCreated:PostObject"),
        None
    );
    assert_eq!(common("Object:*", "ObjectCreated:*"), None);
}
