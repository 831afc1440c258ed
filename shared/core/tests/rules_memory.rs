//! What the match index takes in memory: it grows with what is in it, by a known amount for each thing, and with nothing
//! else.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{Clause, EventTypePattern, EventTypes, ResourcePattern, Resources, Rule};
use carillon_core::ruleset::RuleSet;
use std::sync::Arc;

fn bytes(rules: impl IntoIterator<Item = Rule>) -> usize {
    RuleSet::build(rules.into_iter().map(Arc::new).collect()).index_bytes()
}

fn types(text: &str) -> EventTypes {
    EventTypes(vec![EventTypePattern::parse(text).unwrap()])
}

fn ends(number: usize, prefix: String, suffix: String) -> Rule {
    let clause = Clause {
        negated: false,
        pattern: ResourcePattern::Ends { prefix, suffix },
    };
    let resources = Resources::AnyOf(vec![vec![clause]]);
    support::named(&format!("r{number}"), types("A:*"), resources, true)
}

/// Bytes that each of a thousand more rules takes, beyond a first hundred.
fn each(make: impl Fn(usize) -> Rule) -> usize {
    let (few, many) = (bytes((0..100).map(&make)), bytes((0..1_100).map(&make)));
    (many - few) / 1_000
}

#[test]
fn an_empty_index_takes_next_to_nothing() {
    assert!(bytes([]) < 4_096, "{}", bytes([]));
    // A disabled rule is in no index.
    let mut disabled = ends(0, "b/k".into(), String::new());
    disabled.enabled = false;
    assert_eq!(bytes([disabled]), bytes([]));
}

#[test]
fn a_pattern_takes_its_text_and_a_few_dozen_bytes() {
    for (least, most, make) in [
        // A beginning in one bucket.
        (
            40 + 12,
            40 + 60,
            (|n| ends(n, format!("bucket/{:040}", n), String::new())) as fn(usize) -> Rule,
        ),
        // A bucket of its own, and a beginning in it.
        (40 + 40, 40 + 160, |n| {
            ends(n, format!("bucket-{n:033}/a"), String::new())
        }),
        // An end in any bucket, short and long.
        (40 + 12, 40 + 80, |n| {
            ends(n, String::new(), format!("{n:040}"))
        }),
        (100 + 12, 100 + 80, |n| {
            ends(n, String::new(), format!("{n:0100}"))
        }),
        // A beginning of bucket names, and an end below it.
        (80 + 30, 80 + 180, |n| {
            ends(n, format!("{n:040}"), format!("{n:040}"))
        }),
        // The same pattern once more: the rule and its types alone.
        (8, 16, |n| ends(n, "bucket/a".into(), String::new())),
    ] {
        let took = each(make);
        let made = make(7);
        assert!(
            (least..=most).contains(&took),
            "{took} of {least} to {most} for {:?}",
            made.resources
        );
    }
}

#[test]
fn rules_of_every_resource_take_a_number_each() {
    let took = each(|n| support::named(&format!("r{n}"), types("A:*"), Resources::All, true));
    assert!((4..=8).contains(&took), "{took}");
}

#[test]
fn event_types_take_their_text_and_a_few_dozen_bytes() {
    for group in ["", ":*"] {
        let took = each(|n| {
            let text = format!("Type{n:036}{group}");
            support::named(&format!("r{n}"), types(&text), Resources::All, true)
        });
        // The text, the atom, the set, and the list of rules of the atom.
        assert!((40 + 48..=40 + 120).contains(&took), "{took}");
    }
    // Few types are settled ahead, with all that sources are known to send: a table of a bounded size.
    let few = bytes((0..60).map(|n| {
        let text = format!("Type{n:036}");
        support::named(&format!("r{n}"), types(&text), Resources::All, true)
    }));
    assert!((60 * (40 + 64)..60 * 400).contains(&few), "{few}");
}
