//! Why an event goes where it goes, in the words that a person reads: what fails first in a rule, and which rules come
//! nearest.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{EventTypePattern, EventTypes, Resources, Rule, RuleSpec};
use carillon_core::ruleset::{RuleSet, miss};
use serde_json::{Value, json};
use std::sync::Arc;

/// A rule of `A:*` with these resource descriptions.
fn rule(name: &str, match_rules: &Value) -> Rule {
    typed(name, &json!(["A:*"]), match_rules)
}

fn typed(name: &str, types: &Value, match_rules: &Value) -> Rule {
    let spec: RuleSpec = serde_json::from_value(json!({
        "ProductName": "oss", "RuleName": name, "EventTypes": types, "MatchRules": match_rules,
        "Endpoint": {"EndpointType": "queue", "EndpointValue": "q"},
    }))
    .unwrap();
    Rule::from_spec(spec).unwrap()
}

#[test]
fn what_fails_first_and_where() {
    for (match_rules, resource, field, message) in [
        (
            json!([[{"Prefix": "b/films/"}]]),
            "b/fotos/cat.jpg",
            "MatchRules[0][0].Prefix",
            r#"prefix differs at byte 4: have "b/fotos/"..., want "b/films/""#,
        ),
        (
            json!([[{"Prefix": "b/films/"}]]),
            "b",
            "MatchRules[0][0].Prefix",
            r#"prefix differs at byte 2: have "b", want "b/films/""#,
        ),
        (
            json!([[{"Prefix": "c"}]]),
            "b/k",
            "MatchRules[0][0].Prefix",
            r#"prefix differs at byte 1: have "b/"..., want "c""#,
        ),
        (
            json!([[{"Prefix": "b/", "Suffix": ".jpg"}]]),
            "b/cat.jpeg",
            "MatchRules[0][0].Suffix",
            r#"suffix differs at byte 2 from the end: have "jpeg", want ".jpg""#,
        ),
        (
            json!([[{"Suffix": ".jpg"}]]),
            "a",
            "MatchRules[0][0].Suffix",
            r#"suffix differs at byte 1 from the end: have "a", want ".jpg""#,
        ),
        (
            json!([[{"Suffix": "xyz"}]]),
            "b/花",
            "MatchRules[0][0].Suffix",
            r#"suffix differs at byte 1 from the end: have "花", want "xyz""#,
        ),
        // Where the clause looks at part of a letter, the whole letter is shown.
        (
            json!([[{"Suffix": "xy"}]]),
            "b/a花",
            "MatchRules[0][0].Suffix",
            r#"suffix differs at byte 1 from the end: have "花", want "xy""#,
        ),
        (
            json!([[{"Name": "b/k/1"}]]),
            "b/k/2",
            "MatchRules[0][0].Name",
            r#"name differs at byte 5: have "b/k/2", want "b/k/1""#,
        ),
        (
            json!([[{"Name": "b/k"}]]),
            "b/k/more",
            "MatchRules[0][0].Name",
            r#"name differs at byte 4: have "b/k/"..., want "b/k""#,
        ),
        (
            json!([[{"Name": "films"}]]),
            "filmography/k",
            "MatchRules[0][0].Name",
            r#"bucket differs at byte 5: have "filmography", want "films""#,
        ),
        (
            json!([[{"Prefix": "b/"}, {"Suffix": ".tmp", "MatchState": false}]]),
            "b/a.tmp",
            "MatchRules[0][1].MatchState",
            r#"the resource is excluded: it matches suffix ".tmp""#,
        ),
        // The alternative that gets furthest is told of; of equals the first.
        (
            json!([[{"Prefix": "c/"}], [{"Prefix": "b/x/y"}], [{"Prefix": "b/z"}]]),
            "b/x/z",
            "MatchRules[1][0].Prefix",
            r#"prefix differs at byte 5: have "b/x/z", want "b/x/y""#,
        ),
        (
            json!([[{"Prefix": "c/"}], [{"Prefix": "d/"}]]),
            "b/x",
            "MatchRules[0][0].Prefix",
            r#"prefix differs at byte 1: have "b/"..., want "c/""#,
        ),
        // A clause that holds counts more than any part of one that does not.
        (
            json!([[{"Name": "b/abcdefgh"}], [{"Suffix": "i"}, {"Prefix": "c"}]]),
            "b/abcdefgi",
            "MatchRules[0][0].Name",
            r#"name differs at byte 10: have "b/abcdefgi", want "b/abcdefgh""#,
        ),
        (
            json!([[{"Name": "b/zbcdefgh"}], [{"Suffix": "i"}, {"Prefix": "c"}]]),
            "b/abcdefgi",
            "MatchRules[1][1].Prefix",
            r#"prefix differs at byte 1: have "b/"..., want "c""#,
        ),
        // Long names are cut, at the end of a letter.
        (
            json!([[{"Prefix": "c/"}]]),
            &*format!("b{}花", "x".repeat(32)),
            "MatchRules[0][0].Prefix",
            &*format!(
                r#"prefix differs at byte 1: have "b{}花", want "c/""#,
                "x".repeat(32)
            ),
        ),
        (
            json!([[{"Prefix": "c/"}]]),
            &*format!("b{}/k", "x".repeat(60)),
            "MatchRules[0][0].Prefix",
            &*format!(
                r#"prefix differs at byte 1: have "b{}"..., want "c/""#,
                "x".repeat(33)
            ),
        ),
    ] {
        let found = miss(&rule("r", &match_rules), "A:x", resource).unwrap();
        assert_eq!(
            (&*found.field, &*found.message),
            (field, message),
            "{match_rules} {resource}"
        );
        assert_eq!(found.rule.as_str(), "r");
    }
}

#[test]
fn types_are_looked_at_first_and_being_disabled_last() {
    let told = |rule: &Rule, event_type: &str, resource: &str| {
        miss(rule, event_type, resource).map(|found| (found.field, found.message))
    };
    let said = |field: &str, message: &str| Some((field.to_owned(), message.to_owned()));
    let one = rule("r", &json!([[{"Prefix": "b/"}]]));
    assert_eq!(told(&one, "A:x", "b/k"), None);
    assert_eq!(
        told(&one, "B:x", "c/k"),
        said("EventTypes", "have B:x, want A:*")
    );
    let several = typed(
        "r",
        &json!(["A:x", "A:yy", "A:yyy", "B:x"]),
        &json!([[{"Prefix": "b/"}]]),
    );
    assert_eq!(
        told(&several, "A:yz", "b/k"),
        said(
            "EventTypes",
            "have A:yz, want any of 4 types, the nearest A:yy"
        )
    );
    let mut disabled = one;
    disabled.enabled = false;
    let enable = said("Enabled", "the rule is disabled; all else holds: enable it");
    assert_eq!(told(&disabled, "A:x", "b/k"), enable);
    assert_eq!(
        told(&disabled, "A:x", "c/k").unwrap().0,
        "MatchRules[0][0].Prefix"
    );
    // Rules that no door lets in say so.
    let mut odd = disabled.clone();
    odd.resources = Resources::AnyOf(Vec::new());
    assert_eq!(
        told(&odd, "A:x", "b/k"),
        said("MatchRules", "the rule describes no resource")
    );
    odd.event_types = EventTypes::default();
    assert_eq!(
        told(&odd, "A:x", "b/k"),
        said("EventTypes", "the rule names no event type, have A:x")
    );
}

/// Names of the rules that missed, nearest first, and how many are not listed.
fn others(rules: &[Rule], event_type: &str, resource: &str, max: usize) -> (Vec<String>, usize) {
    let set = RuleSet::build(rules.iter().cloned().map(Arc::new).collect());
    let found = set.explain(event_type, resource, max);
    let names = found.others.iter().map(|miss| miss.rule.to_string());
    (names.collect(), found.unlisted)
}

#[test]
fn the_nearest_rules_come_first() {
    let mut disabled = rule("disabled", &json!([[{"Prefix": "b/films/"}]]));
    disabled.enabled = false;
    // From near to far, for `A:x` on `b/films/1.mp4`.
    let nearest = [
        disabled,
        // Its resources hold, its types do not.
        typed("types", &json!(["B:*"]), &json!([[{"Prefix": "b/films/"}]])),
        // Of one clause 12 bytes of 13 agree.
        rule("end", &json!([[{"Prefix": "b/films/2", "Suffix": ".mp4"}]])),
        // One clause of two holds, and of the other 4 bytes of 5.
        rule(
            "most",
            &json!([[{"Prefix": "b/films/1"}, {"Suffix": "x.mp4"}]]),
        ),
        // A name is not done with its last byte: 12 of 13, and one more.
        rule("name", &json!([[{"Name": "b/films/1.mp5"}]])),
        // Two clauses of three hold, and of the third one byte of 2.
        rule(
            "two",
            &json!([[{"Prefix": "b/"}, {"Suffix": "4"}, {"Suffix": "54"}]]),
        ),
        rule(
            "half",
            &json!([[{"Prefix": "b/films/"}, {"Suffix": ".mp4", "MatchState": false}]]),
        ),
        // Three bytes of 7.
        rule("begins", &json!([[{"Prefix": "b/foto/"}]])),
        // What holds after the first that does not counts for nothing.
        rule(
            "third",
            &json!([[{"Prefix": "b/films/"}, {"Suffix": "5"}, {"Prefix": "b/f"}]]),
        ),
        rule("nothing", &json!([[{"Prefix": "c/"}]])),
        // Neither types nor resources.
        typed("far", &json!(["B:*"]), &json!([[{"Prefix": "b/foto/"}]])),
        typed("furthest", &json!(["B:*"]), &json!([[{"Prefix": "c/"}]])),
    ];
    let want: Vec<String> = nearest.iter().map(|rule| rule.name.to_string()).collect();
    let mut shuffled: Vec<Rule> = nearest.to_vec();
    shuffled.reverse();
    shuffled.swap(2, 7);
    let (found, unlisted) = others(&shuffled, "A:x", "b/films/1.mp4", usize::MAX);
    assert_eq!((found, unlisted), (want.clone(), 0));
    for max in 0..want.len() {
        let (found, unlisted) = others(&shuffled, "A:x", "b/films/1.mp4", max);
        assert_eq!((&*found, unlisted), (&want[..max], want.len() - max));
    }
}

#[test]
fn an_explanation_reads_so() {
    let default = support::named("DefaultEnRule", EventTypes::default(), Resources::All, true);
    let films = || Arc::new(rule("films", &json!([[{"Prefix": "b/films/"}]])));
    let jpgs = || Arc::new(rule("jpgs", &json!([[{"Suffix": ".jpg"}]])));
    let text = |rules: Vec<Arc<Rule>>, resource: &str, max| {
        RuleSet::build(rules)
            .explain("A:x", resource, max)
            .to_string()
    };
    assert_eq!(
        text(vec![films(), jpgs()], "b/films/a.jpg", 9),
        "A:x on \"b/films/a.jpg\"\n  covered by rule \"films\"\n  covered by rule \"jpgs\"\n"
    );
    assert_eq!(
        text(vec![films(), jpgs(), default.into()], "b/k", 1),
        "A:x on \"b/k\"
  covered by no ordinary rule, so the default rule takes it
  not by rule \"films\": MatchRules[0][0].Prefix: prefix differs at byte 3: have \"b/k\", want \"b/films/\"
  nor by 1 other rules, which are further off
"
    );
    assert_eq!(
        text(vec![films()], "c", 0),
        "A:x on \"c\"\n  covered by no rule, and there is no default rule: nobody is told\n  \
nor by 1 other rules, which are further off\n"
    );
    assert_eq!(text(vec![], "c", 0).lines().count(), 2);
}

#[test]
fn lists_of_event_types_read_as_they_are_written() {
    let types = |texts: &[&str]| {
        let patterns = texts
            .iter()
            .map(|text| EventTypePattern::parse(text).unwrap());
        EventTypes(patterns.collect()).to_string()
    };
    assert_eq!(types(&[]), "");
    assert_eq!(types(&["A:x"]), "A:x");
    assert_eq!(
        types(&["A:x", "B:*", "SuperResolveVideo"]),
        "A:x, B:*, SuperResolveVideo"
    );
}
