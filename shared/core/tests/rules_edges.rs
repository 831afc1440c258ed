//! Reading rules at the edges: exactly as many as the limits allow and one more, members that are null or unreadable, and
//! rules that are written and read again.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::rule::{Fault, Limits, MAX_PATTERN, ResourcePattern, Resources, Rule, RuleSpec};
use serde_json::{Value, json};
use support::{Draw, element, read};

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
        // Half an alternative is compared with no other, and neither is an empty one.
        (
            json!({"MatchRules": [[{"Prefix": "a/"}, {}], [{"Prefix": "a/b"}]]}),
            vec!["MatchRules[0][1]"],
        ),
        (
            json!({"MatchRules": [[], [{"Prefix": "a/b"}]]}),
            vec!["MatchRules[0]"],
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
        if rule.resources == Resources::All {
            continue;
        }
        let written = serde_json::to_string(&rule.to_spec()).unwrap();
        let spec: RuleSpec = serde_json::from_str(&written).unwrap();
        match Rule::from_spec_within(spec, &Limits::NONE) {
            Ok(again) => {
                assert_eq!(again.resources, rule.resources, "{written}");
                assert_eq!(again.enabled, rule.enabled, "{written}");
                sound += 1;
            }
            // Generated rules may describe a resource twice, which no reader lets in.
            Err(faults) => {
                for fault in faults {
                    assert!(
                        fault.message.contains("may not overlap"),
                        "{fault} of {written}"
                    );
                }
            }
        }
    }
    assert!(sound > 500, "{sound}");
}
