//! The tables of `tests/cases`: what rules cover, and what is said of unsound ones.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; counts for those who look"
)]

use carillon_core::rule::{Limits, Rule, RuleFile, RuleSpec, Unusable};
use carillon_core::ruleset::{Hits, Overlap, RuleSet, check, check_under};
use serde_json::{Value, json};
use std::sync::Arc;

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

fn file(elements: &[Value]) -> RuleFile {
    RuleFile::read(
        serde_json::to_string(elements).unwrap().as_bytes(),
        &Limits::default(),
    )
    .unwrap()
}

#[test]
fn what_rules_cover() {
    let cases: Value =
        serde_json::from_str(include_str!("../../../tests/cases/rules-match.json")).unwrap();
    let mut count = 0;
    for case in cases.as_array().unwrap() {
        let what = case["what"].as_str().unwrap();
        let elements: Vec<Value> = case["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| {
                let mut rule = rule.clone();
                rule["Endpoint"] = json!({"EndpointType": "queue", "EndpointValue": "q"});
                if rule.get("ProductName").is_none() {
                    rule["ProductName"] = json!("oss");
                }
                rule
            })
            .collect();
        let read = file(&elements);
        assert_eq!(read.faults, [], "{what}");
        let set = RuleSet::build(read.rules.into_iter().map(Arc::new).collect());
        let mut hits = Hits::new();
        for event in case["events"].as_array().unwrap() {
            let (event_type, resource) = (event[0].as_str().unwrap(), event[1].as_str().unwrap());
            let told: Vec<Value> = set
                .judge(event_type, resource, &mut hits)
                .map(|rule| json!(rule.name.as_str()))
                .collect();
            assert_eq!(
                Value::Array(told),
                event[2],
                "{what}: {event_type} on {resource:?}"
            );
            count += 1;
        }
    }
    println!("{count} events");
}

#[test]
fn what_is_said_of_unsound_rules() {
    let cases: Value =
        serde_json::from_str(include_str!("../../../tests/cases/rules-faults.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let read = file(&[element(&case[0])]);
        let found: Vec<&str> = read
            .faults
            .iter()
            .map(|fault| fault.field.as_str())
            .collect();
        let want: Vec<&str> = case[1]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| fault[0].as_str().unwrap())
            .collect();
        assert_eq!(found, want, "{}: {:#?}", case[0], read.faults);
        for (fault, want) in read.faults.iter().zip(case[1].as_array().unwrap()) {
            let (message, part) = (&fault.message, want[1].as_str().unwrap());
            assert!(
                message.contains(part),
                "{}: {message:?} does not say {part:?}",
                case[0]
            );
        }
        assert_eq!(read.rules.is_empty(), !want.is_empty());
        for rule in read.rules {
            // What is written is read again as the same rule.
            let again: RuleSpec =
                serde_json::from_value(serde_json::to_value(rule.to_spec()).unwrap()).unwrap();
            assert_eq!(Rule::from_spec(again), Ok(rule));
        }
    }
}

#[test]
fn a_hundred_faults_are_a_hundred_faults() {
    let elements: Vec<Value> = (0..100)
        .map(|number| match number % 4 {
            0 => element(&json!({"RuleName": format!("a{number}"), "EventTypes": ["*"]})),
            1 => {
                element(&json!({"RuleName": format!("a{number}"), "MatchRules": [[{"Prefix": 7}]]}))
            }
            2 => element(&json!({"RuleName": format!("{number}a")})),
            _ => json!(number),
        })
        .collect();
    let report = check(&file(&elements));
    assert_eq!(report.errors.len(), 100);
    assert_eq!(report.errors[99].rule, "[99]");
    assert!(report.errors.iter().all(|fault| !fault.message.is_empty()));
}

/// A plain JSON reader takes the last of two members and says nothing; here it would lose what somebody wrote.
#[test]
fn members_that_stand_twice() {
    let told = |changed: &str| {
        let rule = r#"{"ProductName": "oss", "RuleName": "a", "EventTypes": ["ObjectCreated:*"],
            "MatchRules": [[{"Prefix": "a/"}]], "Endpoint": {"EndpointType": "queue", "EndpointValue": "q"}"#;
        let sound = rule.replace(r#""a""#, r#""b""#).replace("a/", "b/");
        let text = match changed.split_once(" for ") {
            Some((new, old)) => rule.replace(old, new),
            None => format!("{rule}, {changed}"),
        };
        let read = RuleFile::read(
            format!("[{text}}}, {sound}}}]").as_bytes(),
            &Limits::default(),
        )
        .unwrap();
        let faults: Vec<_> = read
            .faults
            .iter()
            .map(|fault| {
                assert_eq!(fault.rule, "a", "{changed}");
                assert!(fault.message.contains("more than once"), "{fault}");
                (fault.field.clone(), fault.value.clone())
            })
            .collect();
        // The other rule of the file is none the worse for it.
        let kept: Vec<&str> = read.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(kept.contains(&"a"), faults.is_empty(), "{changed}");
        assert!(kept.contains(&"b"), "{changed}");
        faults
    };
    let fault = |field: &str, value: &str| vec![(field.to_owned(), value.to_owned())];
    let more = r#""MatchRules": [[{"Prefix": "c/"}]]"#;
    assert_eq!(told(more), fault("MatchRules", r#"[[{"Prefix":"c/"}]]"#));
    assert_eq!(
        told(r#"{"Prefix": "a/", "Prefix": "c/"} for {"Prefix": "a/"}"#),
        fault("MatchRules[0][0].Prefix", r#""c/""#)
    );
    assert_eq!(
        told(r#""EndpointValue": "q", "EndpointValue": "r" for "EndpointValue": "q""#),
        fault("Endpoint.EndpointValue", r#""r""#)
    );
    assert_eq!(
        told(r#""Enabled": true, "Enabled": false"#),
        fault("Enabled", "false")
    );
    // Remarks may stand as often as one likes, and so may members of what is only a remark.
    assert_eq!(told(r#""//": "one", "//": "two""#), []);
    assert_eq!(told(r#""note": {"Name": 1, "Name": 2}"#), []);
}

#[test]
fn files_that_are_none() {
    for (text, want) in [
        ("", "not JSON"),
        ("[", "not JSON"),
        ("{}", "an object"),
        ("7", "a number"),
        ("[]]", "not JSON"),
    ] {
        let error = RuleFile::read(text.as_bytes(), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!(matches!(error, Unusable::NotJson(_)), want == "not JSON");
    }
    assert!(
        RuleFile::read(b"\xef\xbb\xbf[]", &Limits::default())
            .unwrap()
            .rules
            .is_empty()
    );
    assert!(RuleFile::read(b"[\"\xff\"]", &Limits::default()).is_err());
}

#[test]
fn limits_and_names() {
    let many: Vec<Value> = (0..11)
        .map(|number| element(&json!({"RuleName": format!("a{number}")})))
        .collect();
    let text = serde_json::to_vec(&many).unwrap();
    let read = RuleFile::read(&text, &Limits::SEEDS).unwrap();
    assert_eq!(read.faults.len(), 1, "{:?}", read.faults);
    let six: Vec<Value> = (0..6)
        .map(|number| json!([{"Prefix": format!("{number}/")}]))
        .collect();
    let text = serde_json::to_vec(&[element(&json!({"MatchRules": six}))]).unwrap();
    assert_eq!(
        RuleFile::read(&text, &Limits::SEEDS).unwrap().faults[0].field,
        "MatchRules"
    );
    let read = file(&[
        element(&json!({})),
        element(&json!({})),
        element(&json!({"ProductName": "own"})),
    ]);
    assert_eq!(read.faults.len(), 1);
    assert_eq!(
        (read.faults[0].field.as_str(), read.rules.len()),
        ("RuleName", 2)
    );
}

#[test]
fn every_pair_is_listed_then_counted() {
    let elements: Vec<Value> = (0..60)
        .map(|number| element(&json!({"RuleName": format!("a{number}")})))
        .collect();
    let report = check(&file(&elements));
    assert_eq!(
        (report.conflicts.len(), report.conflict_count),
        (1_000, 60 * 59 / 2)
    );
    assert!(!report.is_sound());
}

#[test]
fn oddities_are_warnings() {
    for (changes, field, part) in [
        (
            json!({"MatchRules": [[{"Prefix": "/a"}]]}),
            "MatchRules[0][0].Prefix",
            "never matches",
        ),
        (
            json!({"MatchRules": [[{"Prefix": "a/"}, {"Prefix": "b/"}]]}),
            "MatchRules[0]",
            "never match",
        ),
        (
            json!({"MatchRules": [[{"Prefix": "a/*.jpg"}]]}),
            "MatchRules[0][0].Prefix",
            "stand for themselves",
        ),
        (
            json!({"EventTypes": ["ObjectCreated:*", "ObjectCreated:PutObject"]}),
            "EventTypes[1]",
            "covered by",
        ),
        (
            json!({"EventTypes": ["ObjectCreated:PutObjct"]}),
            "EventTypes[0]",
            "ObjectCreated:PutObject?",
        ),
        (
            json!({"EventTypes": ["ObjectTouched:*"]}),
            "EventTypes[0]",
            "no source",
        ),
        (
            json!({"EventTypes": ["ObjectCreated:Put"]}),
            "EventTypes[0]",
            "ObjectCreated:PutObject?",
        ),
        (
            json!({"ProductName": "dm", "MatchRules": null, "EventTypes": ["Delivered:SendFailed"]}),
            "EventTypes[0]",
            "Deliver:SendFailed?",
        ),
        (
            json!({"ProductName": "viapi", "MatchRules": null, "EventTypes": ["GenerateVideos"]}),
            "EventTypes[0]",
            "GenerateVideo?",
        ),
        (
            json!({"MatchRules": [[{"Prefix": "a/"}, {"Prefix": "a", "MatchState": false}]]}),
            "MatchRules[0]",
            "never match",
        ),
        (
            json!({"MatchRules": [[{"Name": "a"}, {"Prefix": "a/", "MatchState": false}, {"Name": "a/x"}]]}),
            "MatchRules[0]",
            "never match",
        ),
        (json!({"Colour": "red"}), "Colour", "not known"),
        (
            json!({"MatchRules": [[{"Prefix": "a/", "suffix": "b"}]]}),
            "MatchRules[0][0].suffix",
            "not known",
        ),
    ] {
        let report = check(&file(&[element(&changes)]));
        assert!(report.is_sound(), "{changes}");
        let warning = report
            .warnings
            .first()
            .unwrap_or_else(|| panic!("no warning for {changes}"));
        assert_eq!(warning.field, field, "{changes}");
        assert!(
            warning.message.contains(part),
            "{changes}: {}",
            warning.message
        );
    }
    assert_eq!(check(&file(&[element(&json!({}))])).warnings, []);
}

#[test]
fn types_that_sources_emit_are_not_warned_of() {
    for (product, types) in [
        (
            "oss",
            json!([
                "ObjectCreated:*",
                "BucketQueried:*",
                "BucketCreated:PutBucket",
                "ObjectRestore:StartRestore",
                "ReplicationTracked:*",
                "ObjectQueried:HeadObject",
            ]),
        ),
        (
            "oss",
            json!(["BucketQueried:GetBucketCors", "ReplicationTracked:Failed"]),
        ),
        ("dm", json!(["Deliver:*"])),
        ("viapi", json!(["SuperResolveVideo", "DetectCovid19Cad"])),
        ("own", json!(["Anything:AtAll"])),
    ] {
        let rules = if product == "oss" {
            json!([[{"Prefix": "a/"}]])
        } else {
            Value::Null
        };
        let rule = json!({"ProductName": product, "EventTypes": types, "MatchRules": rules});
        let report = check(&file(&[element(&rule)]));
        assert_eq!(
            (report.errors, report.warnings),
            (vec![], vec![]),
            "{types}"
        );
    }
}

#[test]
fn a_rule_that_can_never_match_is_named_whole() {
    let never = json!([
        [{"Prefix": "a/"}, {"Prefix": "b/"}],
        [{"Suffix": ".jpg"}, {"Suffix": "jpg", "MatchState": false}],
    ]);
    let report = check(&file(&[element(&json!({"MatchRules": never}))]));
    let fields: Vec<&str> = report
        .warnings
        .iter()
        .map(|warning| warning.field.as_str())
        .collect();
    assert_eq!(fields, ["MatchRules[0]", "MatchRules[1]", "MatchRules"]);
    assert!(report.warnings[2].message.contains("never takes an event"));

    let types = json!(["Tagged:*", "Untagged:Twice"]);
    let report = check(&file(&[element(&json!({"EventTypes": types}))]));
    let fields: Vec<&str> = report
        .warnings
        .iter()
        .map(|warning| warning.field.as_str())
        .collect();
    assert_eq!(fields, ["EventTypes[0]", "EventTypes[1]", "EventTypes"]);
}

#[test]
fn patterns_within_others() {
    let rule = |name: &str, types: Value, rules: Value| {
        element(&json!({"RuleName": name, "EventTypes": types, "MatchRules": rules}))
    };
    let created = || json!(["ObjectCreated:*"]);
    let elements = [
        rule(
            "wide",
            created(),
            json!([[{"Prefix": "a/"}], [{"Suffix": ".raw"}, {"Prefix": "b/"}]]),
        ),
        rule(
            "inner",
            json!(["ObjectCreated:PutObject"]),
            json!([[{"Prefix": "c/"}], [{"Prefix": "a/b/"}]]),
        ),
        rule("partly", created(), json!([[{"Suffix": ".jpg"}]])),
        rule(
            "other-types",
            json!(["ObjectRemoved:*"]),
            json!([[{"Prefix": "a/b/"}]]),
        ),
        rule("widest", created(), json!([[{"Prefix": "a"}]])),
        rule(
            "same",
            json!(["ObjectRemoved:DeleteObject"]),
            json!([[{"Prefix": "a/b/"}]]),
        ),
        rule(
            "less",
            created(),
            json!([[{"Name": "b"}, {"Suffix": ".raw"}, {"Prefix": "b/tmp/", "MatchState": false}]]),
        ),
    ];
    let read = file(&elements);
    let report = check_under(&read, Overlap::Allow);
    assert!(report.is_sound());
    assert_eq!(report.conflicts, []);
    let mut found: Vec<(String, String, &str)> = report
        .warnings
        .iter()
        .map(|warning| {
            assert!(
                warning.message.contains("it lies within MatchRules["),
                "{warning}"
            );
            let around = warning.message.split('"').rev().nth(1).unwrap();
            (warning.rule.clone(), warning.field.clone(), around)
        })
        .collect();
    found.sort();
    let want = [
        ("inner", "MatchRules[1]", "wide"),
        ("inner", "MatchRules[1]", "widest"),
        ("less", "MatchRules[0]", "wide"),
        ("same", "MatchRules[0]", "other-types"),
        ("wide", "MatchRules[0]", "widest"),
    ];
    let want = want.map(|(rule, field, around)| (rule.to_owned(), field.to_owned(), around));
    assert_eq!(found, want);
    // Where rules may not overlap, the same pairs are conflicts.
    assert_eq!(check(&read).warnings, []);
    assert!(check(&read).conflict_count >= want.len());

    // Within one rule it is a fault, whatever the setting.
    let twice = rule(
        "twice",
        created(),
        json!([[{"Prefix": "a/"}], [{"Prefix": "a/b/"}]]),
    );
    let report = check_under(&file(&[twice]), Overlap::Allow);
    assert_eq!(report.errors.len(), 1);
    let message = &report.errors[0].message;
    assert!(
        message.contains("MatchRules[1] lies within MatchRules[0] (prefix \"a/\")"),
        "{message}"
    );
}
