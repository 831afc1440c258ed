//! The book of rules: its verdicts are those of comparing every pair, its changes are whole, its refusals say why.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; counts for those who look"
)]

mod support;

use carillon_core::rule::{Limits, Rule, RuleName, RuleSpec};
use carillon_core::ruleset::{Overlap, Refusal, RuleBook};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::Draw;

/// The rules of the model that overlap the given one, by comparing each.
fn clashes(model: &BTreeMap<RuleName, Arc<Rule>>, rule: &Rule) -> Vec<RuleName> {
    model
        .values()
        .filter(|held| {
            !rule.is_default()
                && !held.is_default()
                && held.name != rule.name
                && held.overlap(rule).is_some()
        })
        .map(|held| held.name.clone())
        .collect()
}

fn run(overlap: Overlap, seed: u64, steps: usize) -> (usize, usize) {
    let mut draw = Draw::new(seed);
    let mut book = RuleBook::open_with([], Limits::default(), overlap);
    let mut model: BTreeMap<RuleName, Arc<Rule>> = BTreeMap::new();
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..steps {
        let number = draw.below(40);
        let rule = Arc::new(support::rule(&mut draw, number));
        let held = model.contains_key(&rule.name);
        let clash = clashes(&model, &rule);
        let found = book.conflicts_of(&rule, usize::MAX);
        let mut names: Vec<RuleName> = found
            .iter()
            .map(|conflict| conflict.other.clone())
            .collect();
        names.sort();
        assert_eq!(names, clash, "{rule:#?} against {model:#?}");
        for conflict in &found {
            let other = &model[&conflict.other];
            let (event_type, resource) = (
                conflict.witness.event_type.as_str(),
                conflict.witness.resource.as_str(),
            );
            assert!(
                rule.covers(event_type, resource) && other.covers(event_type, resource),
                "{conflict}"
            );
        }
        assert_eq!(book.check(&rule).is_ok(), clash.is_empty());
        match draw.below(4) {
            0 => {
                let gone = model.remove(&rule.name);
                assert_eq!(book.remove(&rule.name).ok(), gone);
            }
            1 => {
                let enabled = draw.chance(2);
                let changed = book.set_enabled(&rule.name, enabled);
                assert_eq!(changed.is_ok(), held);
                if let Ok(changed) = changed {
                    assert_eq!(changed.enabled, enabled);
                    model.insert(rule.name.clone(), changed);
                }
            }
            _ => {
                let before: Vec<_> = book.rules().cloned().collect();
                let done = if held {
                    book.replace(rule.clone()).map(|_| ())
                } else {
                    book.insert(rule.clone())
                };
                let fits = clash.is_empty() || overlap == Overlap::Allow;
                assert_eq!(done.is_ok(), fits, "{done:?}");
                if fits {
                    model.insert(rule.name.clone(), rule.clone());
                    taken += 1;
                } else {
                    assert!(
                        matches!(&done, Err(Refusal::Conflict(conflict)) if clash.contains(&conflict.other))
                    );
                    assert_eq!(
                        book.rules().cloned().collect::<Vec<_>>(),
                        before,
                        "a refusal changes nothing"
                    );
                    refused += 1;
                }
            }
        }
        let mut all: Vec<_> = book.rules().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(all, model.values().cloned().collect::<Vec<_>>());
    }
    // A book opened on the result answers the same.
    let opened = RuleBook::open_with(model.values().cloned(), Limits::default(), overlap);
    for _ in 0..20 {
        let rule = support::rule(&mut draw, 1_000);
        assert_eq!(
            opened.check(&rule).is_ok(),
            clashes(&model, &rule).is_empty()
        );
    }
    (taken, refused)
}

#[test]
fn as_comparing_every_pair() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..60 {
        for overlap in [Overlap::Refuse, Overlap::Allow] {
            let counts = run(overlap, seed, 60);
            taken += counts.0;
            refused += counts.1;
        }
    }
    println!("{taken} changes taken, {refused} refused");
    assert!(taken > 1_000 && refused > 500);
}

fn rule(json: &str) -> Arc<Rule> {
    let mut spec: RuleSpec = serde_json::from_str(json).unwrap();
    spec.endpoints =
        serde_json::from_str(r#"[{"EndpointType":"queue","EndpointValue":"q"}]"#).unwrap();
    Arc::new(Rule::from_spec(spec).unwrap())
}

#[test]
fn replacing_is_whole_or_not_at_all() {
    let a = rule(
        r#"{"ProductName":"oss","RuleName":"a","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"m/a"}]]}"#,
    );
    let b = rule(
        r#"{"ProductName":"oss","RuleName":"b","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"m/b"}]]}"#,
    );
    let mut book = RuleBook::open([a.clone(), b.clone()]);
    // Its own old pattern does not stand in the way of the new one.
    let wider = rule(
        r#"{"ProductName":"oss","RuleName":"a","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"m/ab"}]]}"#,
    );
    assert_eq!(book.replace(wider.clone()).unwrap(), a);
    let clashing = rule(
        r#"{"ProductName":"oss","RuleName":"a","EventTypes":["ObjectCreated:PutObject"],"MatchRules":[[{"Prefix":"m/"}]]}"#,
    );
    let refusal = book.replace(clashing).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "rule \"a\" and rule \"b\" would both claim ObjectCreated:PutObject on \"m/b\": narrow EventTypes or MatchRules of one of them"
    );
    assert_eq!(book.get(&a.name), Some(&wider), "the old rule stays");
    // The place that the first change left free is free.
    let again = rule(
        r#"{"ProductName":"oss","RuleName":"c","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"m/aa"}]]}"#,
    );
    assert_eq!(book.insert(again), Ok(()));
    let missing = rule(
        r#"{"ProductName":"oss","RuleName":"zz","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"z/"}]]}"#,
    );
    assert_eq!(
        book.replace(missing.clone()),
        Err(Refusal::Missing(missing.name.clone()))
    );
}

#[test]
fn disabled_rules_keep_their_place() {
    let a = rule(
        r#"{"ProductName":"oss","RuleName":"a","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"m/"}]]}"#,
    );
    let b = rule(
        r#"{"ProductName":"oss","RuleName":"b","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Suffix":".avi"}]]}"#,
    );
    let mut book = RuleBook::open([a.clone()]);
    book.set_enabled(&a.name, false).unwrap();
    assert!(matches!(book.insert(b), Err(Refusal::Conflict(_))));
    assert!(book.set_enabled(&a.name, true).unwrap().enabled);
}

#[test]
fn the_default_rule_clashes_with_none_and_the_limit_counts_it() {
    let ordinary = rule(
        r#"{"ProductName":"oss","RuleName":"a","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":""}]]}"#,
    );
    let default =
        rule(r#"{"ProductName":"oss","RuleName":"DefaultEnRule","EventTypes":["Default"]}"#);
    let mut book = RuleBook::open_with(
        [ordinary],
        Limits {
            rules: 2,
            ..Limits::SEEDS
        },
        Overlap::Refuse,
    );
    assert_eq!(book.insert(default.clone()), Ok(()));
    assert_eq!(
        book.insert(default.clone()),
        Err(Refusal::Exists(default.name.clone()))
    );
    let third = rule(
        r#"{"ProductName":"oss","RuleName":"b","EventTypes":["ObjectRemoved:*"],"MatchRules":[[{"Prefix":""}]]}"#,
    );
    let refusal = book.insert(third).unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Limit {
                would_be: 3,
                limit: 2,
                ..
            }
        ),
        "{refusal}"
    );
}
