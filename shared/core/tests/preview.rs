//! What a rule would do before it is stored: which events it takes, from whom, which it loses, and how that reads.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{
    Clause, EventTypePattern, EventTypes, ResourcePattern, Resources, Rule, RuleName,
};
use carillon_core::ruleset::{Holder, Overlap, Preview, RuleSet, preview};

/// A rule of all objects whose name begins so.
fn rule(name: &str, prefix: &str, enabled: bool) -> Rule {
    let types = EventTypes(vec![EventTypePattern::parse("A:*").unwrap()]);
    let clause = Clause {
        negated: false,
        pattern: ResourcePattern::Ends {
            prefix: prefix.to_owned(),
            suffix: String::new(),
        },
    };
    support::named(name, types, Resources::AnyOf(vec![vec![clause]]), enabled)
}

fn default_rule() -> Rule {
    support::named("DefaultEnRule", EventTypes::default(), Resources::All, true)
}

const EVENTS: [(&str, &str); 6] = [
    ("A:x", "b/films/1"),
    ("A:x", "b/films/2"),
    ("A:x", "b/music/1"),
    ("B:x", "b/films/1"),
    ("A:x", "c/1"),
    ("A:x", "c/2"),
];

fn previewed(stored: Vec<Rule>, rule: &Rule, max: usize) -> Preview {
    let set = RuleSet::build(stored.into_iter().map(Into::into).collect());
    preview(&set, rule, EVENTS, max)
}

fn named(name: &str) -> Holder {
    Holder::Rule(RuleName::parse(name).unwrap())
}

/// How many are taken, by whom they are held.
fn taken(preview: &Preview) -> Vec<(Holder, usize)> {
    preview
        .taken
        .iter()
        .map(|(from, count)| (from.clone(), *count))
        .collect()
}

#[test]
fn a_new_rule_takes_events_from_whoever_holds_them() {
    let films = rule("films", "b/films/", true);
    let stored = |also: Vec<Rule>| previewed(also, &films, 10);
    assert_eq!(taken(&stored(vec![])), [(Holder::Nobody, 2)]);
    assert_eq!(taken(&stored(vec![default_rule()])), [(Holder::Default, 2)]);
    let first = rule("first", "b/films/1", true);
    let found = stored(vec![default_rule(), first]);
    assert_eq!(taken(&found), [(Holder::Default, 1), (named("first"), 1)]);
    assert_eq!((found.events, found.taken_count(), found.lost), (6, 2, 0));
    let conflicts: Vec<&str> = found.conflicts.iter().map(|c| c.other.as_str()).collect();
    assert_eq!(conflicts, ["first"]);
    // A disabled rule holds nothing; it stands in the way all the same, so that enabling it is never refused.
    let found = stored(vec![rule("first", "b/films/1", false)]);
    assert_eq!(taken(&found), [(Holder::Nobody, 2)]);
    assert_eq!(found.conflicts.len(), 1);
    // A rule is previewed as it would be if enabled.
    assert_eq!(
        taken(&previewed(vec![], &rule("films", "b/films/", false), 10)),
        [(Holder::Nobody, 2)]
    );
}

#[test]
fn a_changed_rule_keeps_takes_and_loses() {
    let stored = || vec![rule("films", "b/films/", true), rule("other", "c/1", true)];
    let found = previewed(stored(), &rule("films", "b/", true), 10);
    assert_eq!(taken(&found), [(Holder::Nobody, 1), (Holder::Itself, 2)]);
    assert_eq!(found.lost, 0);
    assert!(found.conflicts.is_empty(), "it is not in its own way");

    let found = previewed(stored(), &rule("films", "c/", true), 10);
    assert_eq!(taken(&found), [(Holder::Nobody, 1), (named("other"), 1)]);
    assert_eq!(found.lost, 2);
    let lost: Vec<(usize, &str, &Holder)> = found
        .lost_examples
        .iter()
        .map(|moved| (moved.event, moved.resource.as_str(), &moved.from))
        .collect();
    assert_eq!(
        lost,
        [
            (0, "b/films/1", &Holder::Itself),
            (1, "b/films/2", &Holder::Itself)
        ]
    );
}

#[test]
fn the_default_rule_takes_what_no_other_takes() {
    let found = previewed(vec![rule("films", "b/films/", true)], &default_rule(), 10);
    assert_eq!(taken(&found), [(Holder::Nobody, 4)]);
    let found = previewed(
        vec![rule("films", "b/films/", true), default_rule()],
        &default_rule(),
        10,
    );
    assert_eq!(taken(&found), [(Holder::Default, 4)]);
}

#[test]
fn examples_are_the_first_of_each_kind() {
    for max in 0..4 {
        let found = previewed(vec![rule("all", "c/", true)], &rule("all", "b/", true), max);
        let places = |moved: &[carillon_core::ruleset::Moved]| -> Vec<usize> {
            moved.iter().map(|moved| moved.event).collect()
        };
        assert_eq!(places(&found.taken_examples), [0, 1, 2][..max.min(3)]);
        assert_eq!(places(&found.lost_examples), [4, 5][..max.min(2)]);
        assert_eq!((found.taken_count(), found.lost), (3, 2));
    }
}

#[test]
fn a_preview_reads_so() {
    let stored = vec![
        rule("films", "c/1", true),
        rule("music", "b/music/", true),
        default_rule(),
    ];
    let found = previewed(stored, &rule("films", "b/", true), 1);
    let about = |moved: &carillon_core::ruleset::Moved| format!(" ({})", moved.event);
    assert_eq!(
        found.text("films", about),
        "rule \"films\" would take 3 of 6 events
  2 from the default rule
  1 from rule \"music\"
  takes A:x on \"b/films/1\" (0) from the default rule
it would no longer take 1 that the stored rule of its name takes
  loses A:x on \"c/1\" (4)
refused as it stands: rule \"films\" and rule \"music\" would both claim A:Any on \"b/music/\": narrow EventTypes or MatchRules of one of them
"
    );
    let nothing = previewed(vec![], &rule("films", "d/", true), 1);
    assert_eq!(
        nothing.text("films", about),
        "rule \"films\" would take 0 of 6 events\n"
    );
    assert_eq!(Holder::Nobody.to_string(), "nobody");
    assert_eq!(Holder::Itself.to_string(), "the stored rule of its name");
}

#[test]
fn the_setting_of_overlaps_has_two_words() {
    assert_eq!(Overlap::parse("refuse"), Some(Overlap::Refuse));
    assert_eq!(Overlap::parse("allow"), Some(Overlap::Allow));
    assert_eq!(Overlap::parse("Allow"), None);
    assert_eq!(Overlap::default(), Overlap::Refuse);
}
