//! The match index gives the answers of the naive matcher, on generated rule sets and events.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "helpers of tests; counts for those who look"
)]

mod support;

use carillon_core::rule::{EventTypePattern, ResourcePattern, Resources, Rule, RuleName};
use carillon_core::ruleset::{Hits, Miss, Overlap, RuleBook, RuleSet, miss};
use std::sync::Arc;
use support::{Draw, EVENT_TYPES};

/// Rule sets that a run judges, half of them with each overlap setting; `CARILLON_RULE_SETS` asks for another number.
const SETS: u64 = 12_000;
/// Events judged by each set. What a set and an event make is a case: 1.2 million of them in a plain run.
const EVENTS: usize = 100;
const _: () = assert!(SETS * EVENTS as u64 >= 1_000_000);

fn sets() -> u64 {
    std::env::var("CARILLON_RULE_SETS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SETS)
}

/// What the rules say, one by one.
fn naive(rules: &[Arc<Rule>], event_type: &str, resource: &str) -> Vec<String> {
    let told =
        |rule: &&Arc<Rule>| !rule.is_default() && rule.enabled && rule.covers(event_type, resource);
    let mut names: Vec<String> = rules
        .iter()
        .filter(told)
        .map(|rule| rule.name.to_string())
        .collect();
    if names.is_empty() {
        let default = rules.iter().find(|rule| rule.is_default() && rule.enabled);
        names.extend(default.map(|rule| rule.name.to_string()));
    }
    names
}

/// Explaining agrees with matching: the same rules cover the event, and each other one has its reason.
fn explained(
    set: &RuleSet,
    event_type: &str,
    resource: &str,
    hits: &[u32],
    told: &[String],
    in_full: bool,
) {
    let explanation = set.explain(event_type, resource, if in_full { usize::MAX } else { 0 });
    let ordinary: Vec<&str> = hits
        .iter()
        .map(|hit| set.rules()[*hit as usize].name.as_str())
        .collect();
    assert!(
        explanation
            .covered_by
            .iter()
            .map(RuleName::as_str)
            .eq(ordinary)
    );
    assert_eq!(
        explanation.default.is_some(),
        hits.is_empty() && !told.is_empty()
    );
    let missed = explanation.others.len() + explanation.unlisted;
    assert_eq!(
        missed + hits.len(),
        set.rules().len(),
        "every rule covers the event or has a reason: {explanation}"
    );
    if in_full {
        assert_eq!(explanation.unlisted, 0);
        for other in &explanation.others {
            repaired(set.rule(&other.rule).unwrap(), event_type, resource, other);
        }
    }
}

/// Once what failed is repaired, and nothing else, the rule covers the event, or another thing fails.
fn repaired(rule: &Rule, event_type: &str, resource: &str, reason: &Miss) {
    let mut rule = rule.clone();
    match (reason.field.as_str(), &mut rule.resources) {
        ("EventTypes", _) => {
            rule.event_types.0 = vec![EventTypePattern::parse(event_type).unwrap()]
        }
        ("Enabled", _) => rule.enabled = true,
        (field, Resources::AnyOf(alternatives)) => {
            let numbers: Vec<usize> = field
                .split(['[', ']'])
                .filter_map(|part| part.parse().ok())
                .collect();
            let clause = &mut alternatives[numbers[0]][numbers[1]];
            assert!(!clause.holds(resource), "{field} holds: {reason:?}");
            let member = field.rsplit('.').next().unwrap();
            match (&mut clause.pattern, member) {
                (_, "MatchState") => clause.negated = false,
                (ResourcePattern::Ends { prefix, .. }, "Prefix") => prefix.clear(),
                (ResourcePattern::Ends { suffix, .. }, "Suffix") => suffix.clear(),
                (pattern, "Name") => {
                    *pattern = ResourcePattern::Ends {
                        prefix: String::new(),
                        suffix: String::new(),
                    };
                }
                other => panic!("{other:?} of {reason:?}"),
            }
        }
        (field, Resources::All) => panic!("{field} of a rule without resources"),
    }
    assert_ne!(
        miss(&rule, event_type, resource).as_ref(),
        Some(reason),
        "{rule:#?} on {resource:?}"
    );
}

fn differential(overlap: Overlap, seed: u64) {
    let sets = sets();
    let (mut cases, mut covered, mut several, mut by_default) = (0u64, 0u64, 0u64, 0u64);
    let mut hits = Hits::new();
    for number in 0..sets / 2 {
        let mut draw = Draw::new(seed + number);
        let mut rules = support::rules(&mut draw, 12);
        if overlap == Overlap::Refuse {
            // Only what a book takes one after the other.
            let mut book = RuleBook::default();
            rules.retain(|rule| book.insert(rule.clone()).is_ok());
        }
        let set = RuleSet::build(rules.clone());
        let judged: Vec<(&str, String)> = (0..EVENTS)
            .map(|_| {
                (
                    *draw.pick(&EVENT_TYPES),
                    support::resource(&mut draw, &rules),
                )
            })
            .collect();
        let mut batch = Vec::new();
        set.covering_batch(
            judged
                .iter()
                .map(|(event_type, resource)| (*event_type, resource.as_str())),
            &mut Hits::new(),
            |number, hits| {
                assert_eq!(number, batch.len(), "in the order of the events");
                batch.push(hits.to_vec());
            },
        );
        for ((event_type, resource), batched) in judged.iter().zip(&batch) {
            let told: Vec<String> = set
                .judge(event_type, resource, &mut hits)
                .map(|rule| rule.name.to_string())
                .collect();
            let want = naive(&rules, event_type, resource);
            assert_eq!(
                told, want,
                "set {number} of seed {seed}: {event_type} on {resource:?} by {rules:#?}"
            );
            assert_eq!(
                batched, &hits,
                "set {number} of seed {seed}: batch of {event_type} on {resource:?}"
            );
            explained(
                &set,
                event_type,
                resource,
                &hits,
                &told,
                cases.is_multiple_of(50),
            );
            if overlap == Overlap::Refuse {
                assert!(
                    hits.len() <= 1,
                    "two rules of one book took {event_type} on {resource:?}: {told:?}"
                );
            }
            cases += 1;
            covered += u64::from(!hits.is_empty());
            several += u64::from(hits.len() > 1);
            by_default += u64::from(hits.is_empty() && !told.is_empty());
        }
        if cases.is_multiple_of(1_000_000) {
            println!("{overlap:?}: {cases} cases so far");
        }
    }
    assert_eq!(cases, sets / 2 * EVENTS as u64);
    println!(
        "{overlap:?}: {cases} cases, {covered} covered, {several} by several rules, {by_default} by default"
    );
    assert!(
        covered > cases / 20 && by_default > cases / 20,
        "the cases say too little"
    );
    assert_eq!(several > 0, overlap == Overlap::Allow);
}

#[test]
fn as_the_naive_matcher_refusing_overlaps() {
    differential(Overlap::Refuse, 1);
}

#[test]
fn as_the_naive_matcher_allowing_overlaps() {
    differential(Overlap::Allow, 1_000_000_007);
}

#[test]
fn many_rules_in_one_set() {
    // Enough rules for the table and the filter to be full as they are in earnest.
    let mut draw = Draw::new(99);
    let rules: Vec<Arc<Rule>> = (0..3_000)
        .map(|number| Arc::new(support::rule(&mut draw, number)))
        .collect();
    let set = RuleSet::build(rules.clone());
    let mut hits = Hits::new();
    for _ in 0..300 {
        let (event_type, resource) = (
            *draw.pick(&EVENT_TYPES),
            support::resource(&mut draw, &rules),
        );
        set.covering(event_type, &resource, &mut hits);
        let want: Vec<u32> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.enabled && rule.covers(event_type, &resource))
            .map(|(number, _)| number)
            .collect();
        assert_eq!(hits, want, "{event_type} on {resource:?}");
    }
}

#[test]
fn a_set_that_exceeds_the_caches() {
    // Large sets are judged in another order of steps: whole groups of events at once.
    let mut draw = Draw::new(17);
    let folder = |draw: &mut Draw| {
        let slash = if draw.chance(3) { "" } else { "/" };
        let long = if draw.chance(40) {
            "deep/".repeat(14)
        } else {
            String::new()
        };
        format!("{long}d{}/e{}{slash}", draw.below(20), draw.below(40))
    };
    let pattern = |draw: &mut Draw| {
        let bucket = draw.below(400);
        let bucket = format!("b{}", bucket * bucket / 400);
        let (prefix, suffix) = (
            format!("{bucket}/{}", folder(draw)),
            format!(
                "-{}.{}",
                draw.below(3_000),
                draw.pick(&["jpg", "png", "parquet"])
            ),
        );
        match draw.below(6) {
            0 => ResourcePattern::Name(format!("{prefix}x{suffix}")),
            1 => ResourcePattern::Ends {
                prefix: String::new(),
                suffix,
            },
            2 => ResourcePattern::Ends { prefix, suffix },
            3 if draw.chance(50) => ResourcePattern::Name(bucket),
            _ => ResourcePattern::Ends {
                prefix,
                suffix: String::new(),
            },
        }
    };
    let rules: Vec<Arc<Rule>> = (0..20_000)
        .map(|number| {
            let clauses = |negated, pattern| vec![carillon_core::rule::Clause { negated, pattern }];
            // Now and then a name so long that few of them make a set large.
            let pattern = match number % 40 {
                0 => ResourcePattern::Name(format!("b{}/{number:035000}", number % 400)),
                _ => pattern(&mut draw),
            };
            let resources = Resources::AnyOf(vec![clauses(false, pattern)]);
            Arc::new(support::named(
                &format!("r{number}"),
                support::event_types(&mut draw),
                resources,
                true,
            ))
        })
        .collect();
    let set = RuleSet::build(rules.clone());
    assert!(set.index_bytes() > 17 << 20, "{}", set.index_bytes());
    let events: Vec<(&str, String)> = (0..250)
        .map(|_| {
            let resource = match &rules[draw.below(rules.len())].resources {
                Resources::AnyOf(alternatives) => match &alternatives[0][0].pattern {
                    ResourcePattern::Name(name) => name.clone(),
                    ResourcePattern::Ends { prefix, suffix } if prefix.is_empty() => {
                        format!("b{}/{}y{suffix}", draw.below(400), folder(&mut draw))
                    }
                    ResourcePattern::Ends { prefix, suffix } => {
                        format!("{prefix}z-{}.jpg{suffix}", draw.below(3_000))
                    }
                },
                Resources::All => String::new(),
            };
            (*draw.pick(&EVENT_TYPES), resource)
        })
        .collect();
    let mut batched = 0;
    let pairs = events
        .iter()
        .map(|(event_type, resource)| (*event_type, resource.as_str()));
    set.covering_batch(pairs, &mut Hits::new(), |number, hits| {
        let (event_type, resource) = &events[number];
        let want: Vec<u32> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.covers(event_type, resource))
            .map(|(number, _)| number)
            .collect();
        assert_eq!(hits, want, "{event_type} on {resource:?}");
        batched += hits.len();
    });
    assert!(batched > 40, "{batched}");
}

#[test]
fn one_pattern_of_very_many_rules() {
    let clause = |pattern| {
        vec![carillon_core::rule::Clause {
            negated: false,
            pattern,
        }]
    };
    let ends = |prefix: &str, suffix: &str| ResourcePattern::Ends {
        prefix: prefix.into(),
        suffix: suffix.into(),
    };
    let types =
        |text: &str| carillon_core::rule::EventTypes(vec![EventTypePattern::parse(text).unwrap()]);
    // Of each pattern more rules than a node's first word counts.
    let patterns = [
        ends("b/k/", ""),
        ends("b/k/", ".e"),
        ends("", ".e"),
        ends("b", ".e"),
        ResourcePattern::Name("b/k/x.e".into()),
        ResourcePattern::Name("b".into()),
    ];
    let rules: Vec<Arc<Rule>> = (0..600 * patterns.len())
        .map(|number| {
            let resources = Resources::AnyOf(vec![clause(patterns[number % 6].clone())]);
            let types = types(if number % 4 == 0 { "A:*" } else { "B:x" });
            Arc::new(support::named(
                &format!("r{number}"),
                types,
                resources,
                true,
            ))
        })
        .collect();
    let set = RuleSet::build(rules.clone());
    let mut hits = Hits::new();
    for resource in [
        "b/k/x.e", "b/k/y.e", "b/k/y", "b", "b.e", "bb/k/x.e", "c/x.e", "b/",
    ] {
        set.covering("A:x", resource, &mut hits);
        let want: Vec<u32> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.covers("A:x", resource))
            .map(|(number, _)| number)
            .collect();
        assert_eq!(hits, want, "{resource:?}");
    }
}

#[test]
fn more_event_types_than_a_mask_holds() {
    let types: Vec<String> = (0..200)
        .map(|number| format!("Group{}:Name{number}", number % 7))
        .collect();
    let rules: Vec<Arc<Rule>> = types
        .iter()
        .enumerate()
        .map(|(number, event_type)| {
            let text = if number % 10 == 0 {
                format!("Group{}:*", number % 7)
            } else {
                event_type.clone()
            };
            let types = carillon_core::rule::EventTypes(vec![
                carillon_core::rule::EventTypePattern::parse(&text).unwrap(),
            ]);
            Arc::new(support::named(
                &format!("r{number}"),
                types,
                Resources::All,
                true,
            ))
        })
        .collect();
    let set = RuleSet::build(rules.clone());
    let mut hits = Hits::new();
    for event_type in &types {
        set.covering(event_type, "", &mut hits);
        let want: Vec<u32> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.covers(event_type, ""))
            .map(|(number, _)| number)
            .collect();
        assert_eq!(hits, want, "{event_type}");
    }
}

#[test]
fn a_rule_is_found_by_name_disabled_default_included() {
    let mut draw = Draw::new(3);
    let mut rules: Vec<Arc<Rule>> = (0..50)
        .map(|number| Arc::new(support::rule(&mut draw, number)))
        .collect();
    rules.push(Arc::new(support::named(
        "DefaultEnRule",
        Default::default(),
        Resources::All,
        false,
    )));
    let set = RuleSet::build(rules.clone());
    for rule in &rules {
        assert_eq!(set.rule(&rule.name), Some(rule));
    }
    assert!(set.default_rule().is_none());
    assert!(
        set.rule(&carillon_core::rule::RuleName::parse("missing").unwrap())
            .is_none()
    );
}
