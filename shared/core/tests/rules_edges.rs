//! Rules at the edges: exactly as many as the limits allow and one more, members that are null, rules that are written
//! and read again, and what a book and a check say of very many.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{
    Fault, Limits, MAX_PATTERN, ResourcePattern, Resources, Rule, RuleFile, RuleSpec,
};
use carillon_core::ruleset::{
    MAX_COUNTED, MAX_LISTED, Overlap, RuleBook, check, check_under, lint,
};
use serde_json::{Value, json};
use std::sync::Arc;
use support::Draw;

/// A sound rule file element, with some members changed.
fn element(changes: &Value) -> Value {
    let mut element = json!({
        "ProductName": "oss", "RuleName": "a", "EventTypes": ["ObjectCreated:*"], "MatchRules": [[{"Prefix": "a/"}]],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "q"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        element[name] = value.clone();
    }
    element
}

fn read(elements: &[Value], limits: &Limits) -> RuleFile {
    RuleFile::read(serde_json::to_string(elements).unwrap().as_bytes(), limits).unwrap()
}

/// Field, value and the message of each fault of one element.
fn faults(changes: &Value) -> Vec<(String, String, String)> {
    let file = read(&[element(changes)], &Limits::SEEDS);
    assert_eq!(file.rules.is_empty(), !file.faults.is_empty());
    let told = |fault: Fault| (fault.field, fault.value, fault.message);
    file.faults.into_iter().map(told).collect()
}

#[test]
fn as_many_as_the_limits_allow_and_one_more() {
    let rules = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|n| element(&json!({"RuleName": format!("a{n}")})))
            .collect()
    };
    assert_eq!(read(&rules(10), &Limits::SEEDS).faults, []);
    let over = read(&rules(11), &Limits::SEEDS).faults;
    assert_eq!(over.len(), 1);
    assert!(
        over[0]
            .message
            .contains("11 rules of this product, the limit is 10")
    );

    let patterns = |count: usize| -> Value {
        (0..count)
            .map(|n| json!([{"Prefix": format!("{n}/")}]))
            .collect()
    };
    let clauses = |count: usize| -> Value {
        let all: Value = (0..count)
            .map(|n| json!({"Prefix": &"abcdefgh"[..=n]}))
            .collect();
        json!([all])
    };
    let queues = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"EndpointType": "queue", "EndpointValue": format!("q{n}")}))
            .collect()
    };
    for count in 1..=7 {
        for (changes, field, part) in [
            (
                json!({"MatchRules": patterns(count)}),
                "MatchRules",
                "at most 5 resource",
            ),
            (
                json!({"MatchRules": clauses(count)}),
                "MatchRules[0]",
                "at most 5 clauses",
            ),
            (
                json!({"Endpoints": queues(count)}),
                "Endpoints",
                "at most 5 endpoints",
            ),
        ] {
            let found = faults(&changes);
            if count <= 5 {
                assert_eq!(found, [], "{changes}");
            } else {
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!((&*found[0].0, &*found[0].1), (field, &*count.to_string()));
                assert!(found[0].2.contains(part), "{found:?}");
            }
        }
    }
    for (len, sound) in [(MAX_PATTERN, true), (MAX_PATTERN + 1, false)] {
        for member in ["Prefix", "Suffix", "Name"] {
            let found = faults(&json!({"MatchRules": [[{member: "x".repeat(len)}]]}));
            assert_eq!(found.is_empty(), sound, "{member} of {len}");
        }
    }
}

#[test]
fn a_topic_stands_alone() {
    let topic = || json!({"EndpointType": "topic", "EndpointValue": "t"});
    let queue = || json!({"EndpointType": "queue", "EndpointValue": "q"});
    assert_eq!(faults(&json!({"Endpoints": [topic()]})), []);
    assert_eq!(faults(&json!({"Endpoints": [queue()]})), []);
    for several in [
        json!([topic(), queue()]),
        json!([queue(), topic()]),
        json!([topic(), {"EndpointType": "topic", "EndpointValue": "u"}]),
    ] {
        let found = faults(&json!({"Endpoints": several}));
        assert_eq!((&*found[0].0, &*found[0].1), ("Endpoints", "t"));
        assert!(found[0].2.contains("excludes all other endpoints"));
    }
}

#[test]
fn faults_show_the_value_they_speak_of() {
    for (changes, field, value) in [
        (
            json!({"RuleName": "DefaultEnRule", "EventTypes": ["A:x"], "MatchRules": null}),
            "EventTypes",
            r#"["A:x"]"#,
        ),
        (
            json!({"MatchRules": [[{"Name": "a", "Suffix": "b"}]]}),
            "MatchRules[0][0]",
            r#"{"Name":"a","Suffix":"b"}"#,
        ),
        (
            json!({"ProductName": "dm", "EventTypes": ["Deliver:*"]}),
            "MatchRules",
            r#"[[{"Prefix":"a/"}]]"#,
        ),
        (
            json!({"MatchRules": [[{"Prefix": "b/"}], [{"Prefix": "a/"}, {"Suffix": ".x", "MatchState": false}], [{"Prefix": "a/b"}]]}),
            "MatchRules",
            "prefix \"a/b\"",
        ),
    ] {
        let found = faults(&changes);
        assert_eq!((&*found[0].0, &*found[0].1), (field, value), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
    let fault = Fault::new("films", "RuleName", &"x".repeat(129), "shorten it");
    assert_eq!(
        fault.to_string(),
        format!(
            "rule \"films\", field RuleName, value \"{}…\": shorten it",
            "x".repeat(128)
        )
    );
    let whole = Fault::new("films", "", &"x".repeat(128), "drop it");
    assert_eq!(
        whole.to_string(),
        format!("rule \"films\", value \"{}\": drop it", "x".repeat(128))
    );
}

#[test]
fn the_default_rule_takes_the_reserved_description_and_no_other() {
    let default = |rules: Value| {
        faults(
            &json!({"RuleName": "DefaultEnRule", "EventTypes": ["Default"], "MatchRules": rules}),
        )
    };
    let reserved = "mns-en-reserved-default";
    for sound in [
        Value::Null,
        json!([[{"Name": reserved}]]),
        json!([[{"Name": reserved, "Prefix": "", "Suffix": "", "MatchState": true}]]),
    ] {
        assert_eq!(default(sound), []);
    }
    for unsound in [
        json!([[{"Prefix": "a/"}]]),
        json!([[{"Name": "a"}]]),
        json!([[{"Name": reserved, "Prefix": "a"}]]),
        json!([[{"Name": reserved, "Suffix": "a"}]]),
        json!([[{"Name": reserved, "MatchState": false}]]),
        json!([[{"Name": reserved}, {"Name": "a"}]]),
    ] {
        assert_eq!(default(unsound.clone())[0].0, "MatchRules", "{unsound}");
    }
    let types = |types: Value| {
        faults(&json!({"RuleName": "DefaultEnRule", "EventTypes": types, "MatchRules": null}))
    };
    assert_eq!(types(json!([]))[0].0, "EventTypes");
    assert_eq!(types(json!(["Default", "A:x"]))[0].0, "EventTypes");
    assert_eq!(types(json!(["Default", "Default"])), []);
}

#[test]
fn full_names_of_other_clouds_are_reduced_and_lookalikes_are_kept() {
    let pattern = |member: &str, text: &str| {
        let rule = element(&json!({"MatchRules": [[{member: text}]]}));
        let file = read(&[rule], &Limits::SEEDS);
        let Some(Rule {
            resources: Resources::AnyOf(held),
            ..
        }) = file.rules.first()
        else {
            return file.faults[0].message.clone();
        };
        match &held[0][0].pattern {
            ResourcePattern::Name(name) => name.clone(),
            ResourcePattern::Ends { prefix, .. } => prefix.clone(),
        }
    };
    for (text, want) in [
        ("acs:oss:cn-hangzhou:123:b/k:1", "b/k:1"),
        ("arn:aws:s3:::b/k:1", "b/k:1"),
        ("arn:aws-cn:s3:::b", "b"),
        ("arn:aws:sns:r:1:t", "arn:aws:sns:r:1:t"),
        ("arn:gcp:s3:::b", "arn:gcp:s3:::b"),
        ("a:b:s3:::c", "a:b:s3:::c"),
        ("acs:mns:r:1:t", "acs:mns:r:1:t"),
    ] {
        assert_eq!(pattern("Name", text), want);
        assert_eq!(pattern("Prefix", text), want);
    }
    for (text, part) in [
        ("acs:oss:r:1", "acs:oss:region:account:bucket/key"),
        ("acs:oss:r:1:", "lacks its bucket"),
        ("arn:aws:s3:r::b", "arn:aws:s3:::bucket/key"),
        ("arn:aws:s3::1:b", "arn:aws:s3:::bucket/key"),
        ("arn:aws:s3:::", "lacks its bucket"),
    ] {
        let said = pattern("Name", text);
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn members_that_are_null_are_as_if_they_were_absent() {
    let endpoint = || json!({"EndpointType": "queue", "EndpointValue": "q"});
    for changes in [
        json!({"Endpoint": null}),
        json!({"Endpoint": endpoint(), "Endpoints": null}),
        json!({"Endpoint": endpoint(), "Endpoints": [endpoint()]}),
        json!({"Enabled": null}),
        json!({"DeliveryMode": "DIRECT", "ClientToken": "x"}),
        json!({"MatchRules": [[{"Prefix": "a/", "Name": null, "Suffix": null, "MatchState": null}]]}),
    ] {
        let file = read(&[element(&changes)], &Limits::SEEDS);
        assert_eq!(
            (&*file.faults, &*file.warnings),
            (&[][..], &[][..]),
            "{changes}"
        );
        assert_eq!(
            file.rules,
            read(&[element(&json!({}))], &Limits::SEEDS).rules
        );
    }
    for (state, enabled) in [
        (json!(true), true),
        (json!(false), false),
        (json!("False"), false),
        (json!("TRUE"), true),
    ] {
        let file = read(&[element(&json!({"Enabled": state}))], &Limits::SEEDS);
        assert_eq!(file.rules[0].enabled, enabled);
    }
    for (changes, field) in [
        (json!({"Enabled": "yes"}), "Enabled"),
        (json!({"Enabled": 1}), "Enabled"),
        (json!({"MatchRules": null}), "MatchRules"),
    ] {
        assert_eq!(faults(&changes)[0].0, field);
    }
}

#[test]
fn a_rule_without_a_name_is_named_by_its_place() {
    for name in [json!(""), Value::Null, json!(7)] {
        let file = read(
            &[element(&json!({})), element(&json!({"RuleName": name}))],
            &Limits::SEEDS,
        );
        let rules: Vec<&str> = file
            .faults
            .iter()
            .map(|fault| fault.rule.as_str())
            .collect();
        assert_eq!(rules, ["[1]"], "{name}");
    }
}

#[test]
fn one_unreadable_member_is_one_fault() {
    for (changes, fields) in [
        (json!({"EventTypes": [5]}), vec!["EventTypes[0]"]),
        (json!({"EventTypes": 5}), vec!["EventTypes"]),
        (
            json!({"MatchRules": [[{"Prefix": 5}]]}),
            vec!["MatchRules[0][0].Prefix"],
        ),
        (
            json!({"MatchRules": [[{"Prefix": 5}], [{}]]}),
            vec!["MatchRules[0][0].Prefix", "MatchRules[1][0]"],
        ),
        (
            json!({"MatchRules": 5, "EventTypes": []}),
            vec!["MatchRules", "EventTypes"],
        ),
        (
            json!({"Endpoints": [{"EndpointType": 5, "EndpointValue": "q"}], "RuleName": "1"}),
            vec!["Endpoints[0].EndpointType", "RuleName"],
        ),
    ] {
        let found: Vec<String> = faults(&changes).into_iter().map(|fault| fault.0).collect();
        assert_eq!(found, fields, "{changes}");
    }
}

#[test]
fn what_is_written_is_read_again_as_the_same_rule() {
    let mut draw = Draw::new(20_201_009);
    let mut sound = 0;
    for number in 0..2_000 {
        let rule = support::rule(&mut draw, number);
        let written = serde_json::to_string(&rule.to_spec()).unwrap();
        let spec: RuleSpec = serde_json::from_str(&written).unwrap();
        // Generated rules may describe a resource twice, which no reader lets in.
        if let Ok(again) = Rule::from_spec_within(spec, &Limits::NONE) {
            assert_eq!(again.resources, rule.resources, "{written}");
            assert_eq!(again.enabled, rule.enabled, "{written}");
            sound += 1;
        }
    }
    assert!(sound > 500, "{sound}");
}

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
        ("oss", "BucketQueried:Anything", None),
        ("oss", "BucketQueried:Any:Thing", None),
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
    assert!(book.check(&wide).is_err());
    assert!(book.check(&rule("d", "d/")).is_ok());
}
