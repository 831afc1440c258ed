//! What a check says of rules that are sound, and what a book of rules counts: bounds, hints, witnesses.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{Fault, Limits, Rule};
use carillon_core::ruleset::{
    MAX_COUNTED, MAX_LISTED, Overlap, RuleBook, check, check_under, lint,
};
use serde_json::{Value, json};
use std::sync::Arc;
use support::{element, read};

/// Rules whose resource descriptions lie each within all before it.
fn nested(count: usize) -> Vec<Value> {
    (1..=count)
        .map(|n| {
            element(
                &json!({"RuleName": format!("a{n}"), "MatchRules": [[{"Prefix": "a".repeat(n)}]]}),
            )
        })
        .collect()
}

#[test]
fn very_many_conflicts_are_counted_up_to_a_bound() {
    // 460 rules make 105 570 pairs.
    let limits = Limits::NONE;
    let report = check(&read(&nested(460), &limits));
    assert_eq!(
        (report.conflicts.len(), report.conflict_count),
        (MAX_LISTED, MAX_COUNTED)
    );
    // 50 rules make 1 225 pairs, of which each is told of where rules may overlap, up to a bound.
    let report = check_under(&read(&nested(50), &limits), Overlap::Allow);
    assert_eq!(
        (report.warnings.len(), report.conflict_count),
        (MAX_LISTED, 0)
    );
    let report = check_under(&read(&nested(40), &limits), Overlap::Allow);
    assert_eq!(report.warnings.len(), 40 * 39 / 2);
}

#[test]
fn warnings_show_the_clauses_they_speak_of() {
    let warned = |changes: &Value| {
        let file = read(&[element(changes)], &Limits::SEEDS);
        let mut warnings = Vec::new();
        lint(&file.rules[0], &mut warnings);
        let told = |fault: Fault| (fault.field, fault.value);
        warnings.into_iter().map(told).collect::<Vec<_>>()
    };
    let said = |field: &str, value: &str| (field.to_owned(), value.to_owned());
    let never = json!({"MatchRules": [[{"Prefix": "a/"}, {"Prefix": "b/"}]]});
    let clauses = "prefix \"a/\" and prefix \"b/\"";
    assert_eq!(
        warned(&never),
        [said("MatchRules[0]", clauses), said("MatchRules", clauses)]
    );
    // As long as any resource is, and one byte more.
    let longest = "a".repeat(63 + 1 + 1024);
    let long = |len: usize| json!({"MatchRules": [[{"Suffix": &format!("{longest}a")[..len]}]]});
    assert_eq!(warned(&long(longest.len())), []);
    assert_eq!(warned(&long(longest.len() + 1)).len(), 1);
    // Of products of one's own nobody knows what their resources are.
    let own = json!({"ProductName": "own", "MatchRules": [[{"Prefix": format!("/{longest}a")}]]});
    assert_eq!(warned(&own), []);
    assert_eq!(
        warned(&json!({"MatchRules": [[{"Prefix": "a/?"}]]})).len(),
        1
    );
    assert_eq!(warned(&json!({"MatchRules": [[{"Suffix": "/a"}]]})), []);
    // One type that nothing emits is told of once, two of two also as a whole, one of two not.
    for (types, fields) in [
        (json!(["No:One"]), vec!["EventTypes[0]"]),
        (
            json!(["No:One", "No:Two"]),
            vec!["EventTypes[0]", "EventTypes[1]", "EventTypes"],
        ),
        (json!(["No:One", "ObjectCreated:*"]), vec!["EventTypes[0]"]),
        (
            json!(["No:One", "No:Two", "ObjectCreated:*"]),
            vec!["EventTypes[0]", "EventTypes[1]"],
        ),
    ] {
        let found: Vec<String> = warned(&json!({"EventTypes": types}))
            .into_iter()
            .map(|told| told.0)
            .collect();
        assert_eq!(found, fields, "{types}");
    }
}

#[test]
fn hints_for_misspelt_types() {
    let hint = |product: &str, event_type: &str| {
        let rules = if product == "oss" {
            json!([[{"Prefix": "a/"}]])
        } else {
            Value::Null
        };
        let rule = json!({"ProductName": product, "EventTypes": [event_type], "MatchRules": rules});
        let file = read(&[element(&rule)], &Limits::SEEDS);
        let mut warnings = Vec::new();
        lint(&file.rules[0], &mut warnings);
        warnings.first().map(|warning: &Fault| {
            let (_, hint) = warning.message.rsplit_once(": ").unwrap();
            hint.to_owned()
        })
    };
    let none = "check the spelling, or publish them yourself";
    for (product, event_type, want) in [
        (
            "oss",
            "ObjectCreated:PutObjec",
            Some("did you mean ObjectCreated:PutObject?"),
        ),
        (
            "oss",
            "ObjectCreated:putobject",
            Some("did you mean ObjectCreated:PutObject?"),
        ),
        (
            "oss",
            "ObjectCreted:*",
            Some("did you mean ObjectCreated:*?"),
        ),
        (
            "oss",
            "ObjectCreated:PutXbjXct",
            Some("did you mean ObjectCreated:PutObject?"),
        ),
        ("oss", "ObjectCreated:XutXbjXct", Some(none)),
        (
            "oss",
            "ObjectCreated:Complete",
            Some("did you mean ObjectCreated:CompleteMultipartUpload?"),
        ),
        ("oss", "Object", Some(none)),
        // The tutorial of seed 000 (3.2) names its types so.
        (
            "oss",
            "PutObject",
            Some("did you mean ObjectCreated:PutObject?"),
        ),
        (
            "oss",
            "postobject",
            Some("did you mean ObjectCreated:PostObject?"),
        ),
        ("oss", "BucketQueried:Anything", None),
        ("oss", "BucketQueried:Any:Thing", None),
        ("oss", "BucketQueried:Any:*", None),
        (
            "oss",
            "XyObjectCreated:PutObject",
            Some("did you mean ObjectCreated:PutObject?"),
        ),
        ("oss", "XyzObjectCreated:PutObject", Some(none)),
        ("dm", "Deliver:Sent", Some(none)),
        ("viapi", "TrimDocumen", Some("did you mean TrimDocument?")),
        ("viapi", "Trim", Some(none)),
    ] {
        assert_eq!(hint(product, event_type).as_deref(), want, "{event_type}");
    }
}

#[test]
fn a_book_counts_its_rules() {
    let rule = |name: &str, prefix: &str| {
        let spec = element(&json!({"RuleName": name, "MatchRules": [[{"Prefix": prefix}]]}));
        Arc::new(Rule::from_spec(serde_json::from_value(spec).unwrap()).unwrap())
    };
    let mut book = RuleBook::default();
    assert!(book.is_empty());
    for (count, name) in (1..).zip(["a", "b", "c"]) {
        book.insert(rule(name, &format!("{name}/"))).unwrap();
        assert_eq!((book.len(), book.is_empty()), (count, false));
    }
    book.remove(&rule("b", "b/").name).unwrap();
    assert_eq!((book.len(), book.rules().count()), (2, 2));
    // As many conflicts as asked for, none included.
    let wide = rule("wide", "");
    for max in 0..4 {
        assert_eq!(book.conflicts_of(&wide, max).len(), max.min(2));
    }
    let spec = element(
        &json!({"RuleName": "both", "MatchRules": [[{"Prefix": "a/"}], [{"Prefix": "c/"}]]}),
    );
    let both = Rule::from_spec(serde_json::from_value(spec).unwrap()).unwrap();
    for max in 0..4 {
        assert_eq!(book.conflicts_of(&both, max).len(), max.min(2));
    }
    assert!(book.check(&wide).is_err());
    assert!(book.check(&rule("d", "d/")).is_ok());
}

#[test]
fn rules_without_resources_conflict_on_no_resource() {
    let job = |name: &str| {
        let spec = element(&json!({
            "RuleName": name, "ProductName": "viapi", "EventTypes": ["SuperResolveVideo"], "MatchRules": null,
        }));
        Rule::from_spec(serde_json::from_value(spec).unwrap()).unwrap()
    };
    let book = RuleBook::open([Arc::new(job("a"))]);
    let conflict = book.check(&job("b")).unwrap_err();
    assert_eq!(conflict.other.as_str(), "a");
    assert_eq!(conflict.witness.event_type.as_str(), "SuperResolveVideo");
    assert_eq!(conflict.witness.resource, "");
}
