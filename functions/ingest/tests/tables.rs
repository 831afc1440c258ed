//! The tables of `tests/cases/source-*.json`: names, keys and error texts.

#![allow(clippy::unwrap_used)]

use carillon_ingest::{Hint, Settings, decode};
use serde::Deserialize;
use serde_json::json;

fn cases<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/cases")
        .join(name);
    let cases: Vec<T> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    cases
}

fn record(source: &str, name: &str, key: &str) -> Vec<u8> {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": source, "eventName": name, "eventTime": "2026-11-20T08:00:00.123Z",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": "1"}},
    }]})
    .to_string()
    .into_bytes()
}

#[test]
fn s3_s_names_mean_what_the_table_says() {
    #[derive(Deserialize)]
    struct Case {
        name: String,
        #[serde(default)]
        settings: Settings,
        r#type: Option<String>,
    }
    for case in cases::<Case>("source-s3-names.json") {
        let decoded = decode(
            &record("aws:s3", &case.name, "k"),
            &Hint::default(),
            &case.settings,
        )
        .unwrap();
        let types: Vec<&str> = decoded
            .events
            .iter()
            .map(|event| event.event_type.as_str())
            .collect();
        match &case.r#type {
            Some(want) => assert_eq!(types, [want], "{}", case.name),
            None => {
                assert!(types.is_empty(), "{} gives {types:?}", case.name);
                let bare = case.name.trim_start_matches("s3:");
                assert!(
                    decoded.ignored[0].contains(bare),
                    "{}: {:?}",
                    case.name,
                    decoded.ignored
                );
            }
        }
    }
}

#[test]
fn keys_are_form_decoded_by_s3_and_verbatim_elsewhere() {
    #[derive(Deserialize)]
    struct Case {
        why: String,
        key: String,
        s3: String,
    }
    let resource = |body: &[u8]| {
        decode(body, &Hint::default(), &Settings::default())
            .unwrap()
            .events
            .remove(0)
            .resource
    };
    for Case { why, key, s3 } in cases::<Case>("source-keys.json") {
        for source in ["aws:s3", "minio:s3"] {
            assert_eq!(
                resource(&record(source, "ObjectCreated:Put", &key)),
                format!("b/{s3}"),
                "{source}: {why}"
            );
        }
        let verbatim = format!("b/{key}");
        assert_eq!(
            resource(&record("ceph:s3", "ObjectCreated:Put", &key)),
            verbatim,
            "Ceph: {why}"
        );
        let bridge = json!({"source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": key}, "reason": "PutObject"}});
        assert_eq!(
            resource(bridge.to_string().as_bytes()),
            verbatim,
            "EventBridge: {why}"
        );
    }
}

/// An error names the field, the value and the cure.
#[test]
fn errors_say_what_where_and_what_to_do() {
    #[derive(Deserialize)]
    struct Case {
        body: String,
        says: Vec<String>,
    }
    for Case { body, says } in cases::<Case>("source-errors.json") {
        let error = decode(body.as_bytes(), &Hint::default(), &Settings::default())
            .map(|decoded| panic!("{body} gives {decoded:?}"))
            .unwrap_err()
            .to_string();
        for word in says {
            assert!(
                error.contains(&word),
                "{body}\nsays: {error}\nand not: {word}"
            );
        }
    }
}

/// Pipes and functions that stand between pass on one record of `Records`, without its frame, or several in an array.
#[test]
fn a_record_without_its_frame_is_read_as_in_it() {
    let record = |key: &str| {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "r",
            "eventTime": "2026-11-20T08:00:00Z", "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1}}})
    };
    let read = |body: serde_json::Value| {
        decode(
            body.to_string().as_bytes(),
            &Hint::default(),
            &Settings::default(),
        )
        .unwrap()
    };
    let framed = read(json!({"Records": [record("a+b")]}));
    assert_eq!(framed.events[0].resource, "b/a b");
    assert_eq!(read(record("a+b")), framed);
    let two = json!({"Records": [record("a+b"), record("c")]});
    assert_eq!(
        read(json!([record("a+b"), record("c")])).events,
        read(two).events
    );
}

/// Sources write numbers as texts and texts as numbers.
#[test]
fn spellings_that_vary_are_read() {
    let body = json!({"Records": [{
        "eventVersion": 2.1, "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": null,
        "eventTime": "2026-11-20T08:00:00Z", "userIdentity": null, "requestParameters": {},
        "s3": {"bucket": {"name": "b", "new": [1]}, "object": {"key": 7, "size": "12", "etag": "\"abc\"", "sequencer": null}},
        "later": {"members": true},
    }]});
    let decoded = decode(
        body.to_string().as_bytes(),
        &Hint::default(),
        &Settings::default(),
    )
    .unwrap();
    let event = &decoded.events[0];
    assert_eq!(event.resource, "b/7");
    let carillon_core::event::Body::Oss(body) = &event.body else {
        panic!("not an OSS body")
    };
    let event: serde_json::Value = serde_json::from_str(body.json()).unwrap();
    assert_eq!(
        event["oss"]["object"],
        json!({"deltaSize": 12, "eTag": "abc", "key": "7", "size": 12})
    );
    assert_eq!(event["eventTime"], "2026-11-20T08:00:00.000Z");
    assert_eq!(event["region"], "us-east-1");
    for absent in [
        "requestParameters",
        "responseElements",
        "userIdentity",
        "xVars",
    ] {
        assert!(event.get(absent).is_none(), "{absent} is invented");
    }
}
