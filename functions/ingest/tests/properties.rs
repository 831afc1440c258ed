//! What must hold for any body: no panic, bounded work, stable and distinct identities.

#![allow(clippy::unwrap_used)]

mod common;

use carillon_core::event::oss::{
    Bucket, Object, Oss, OssEvent, RequestParameters, ResponseElements, UserIdentity,
};
use carillon_core::event::{Body, EventId};
use carillon_ingest::{DecodeError, Decoded, Hint, Settings, SourceKind, decode};
use proptest::prelude::*;
use std::sync::LazyLock;

static BODIES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(common::bodies);

fn plainly(body: &[u8]) -> Result<Decoded, DecodeError> {
    decode(body, &Hint::default(), &Settings::default())
}

/// One way to spoil a body.
#[derive(Clone, Debug)]
enum Spoil {
    CutOff(usize),
    SetByte(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    /// Replaces the value after the n-th colon.
    Value(usize, &'static str),
    Twice,
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let values = prop::sample::select(vec![
        "null",
        "0",
        "-1",
        "1e999",
        "18446744073709551616",
        "\"\"",
        "\"%\"",
        "\"%zz%f\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[[[[[[[[]]]]]]]]",
        "true",
        "\"ew==\"",
        "\"{}\"",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
    ]);
    prop_oneof![
        1 => any::<usize>().prop_map(Spoil::CutOff),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Spoil::SetByte(at, byte)),
        1 => (any::<usize>(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Spoil::Insert(at, bytes)),
        1 => (any::<usize>(), 1..64_usize).prop_map(|(at, len)| Spoil::Remove(at, len)),
        4 => (any::<usize>(), values).prop_map(|(at, value)| Spoil::Value(at, value)),
        1 => Just(Spoil::Twice),
    ]
}

fn spoiled(mut body: Vec<u8>, spoils: &[Spoil]) -> Vec<u8> {
    for spoil in spoils {
        let len = body.len().max(1);
        match spoil {
            Spoil::CutOff(at) => body.truncate(at % len),
            Spoil::SetByte(at, byte) => {
                if let Some(place) = body.get_mut(at % len) {
                    *place = *byte;
                }
            }
            Spoil::Insert(at, bytes) => {
                let at = (at % len).min(body.len());
                body.splice(at..at, bytes.iter().copied());
            }
            Spoil::Remove(at, count) => {
                let at = (at % len).min(body.len());
                let end = (at + count).min(body.len());
                body.drain(at..end);
            }
            Spoil::Value(at, value) => {
                let colons: Vec<usize> = body
                    .iter()
                    .enumerate()
                    .filter(|(_, b)| **b == b':')
                    .map(|(at, _)| at)
                    .collect();
                if let Some(colon) = colons.get(at % colons.len().max(1)) {
                    let rest = &body[colon + 1..];
                    let end = rest
                        .iter()
                        .position(|b| matches!(b, b',' | b'}' | b']' | b'\n'))
                        .unwrap_or(rest.len());
                    body.splice(colon + 1..colon + 1 + end, value.bytes());
                }
            }
            Spoil::Twice => {
                let copy = body.clone();
                body.extend(copy);
            }
        }
        body.truncate(200_000);
    }
    body
}

fn sample() -> impl Strategy<Value = Vec<u8>> {
    (0..BODIES.len()).prop_map(|index| BODIES[index].1.clone())
}

fn hint() -> impl Strategy<Value = Hint> {
    let product = prop::option::of(prop::sample::select(vec![
        "oss", "dm", "viapi", "billing", "", "bad name",
    ]));
    let source = prop::option::of(prop::sample::select(SourceKind::ALL.to_vec()));
    let header = prop::option::of(prop::sample::select(vec![
        "A:B",
        "*",
        "",
        "SuperResolveVideo",
    ]));
    (product, source, header).prop_map(|(product, source, header)| Hint {
        product: product.map(str::to_owned),
        source,
        headers: header
            .into_iter()
            .map(|value| ("x-carillon-event-type".to_owned(), value.to_owned()))
            .collect(),
        ..Hint::default()
    })
}

#[derive(serde::Deserialize)]
struct Published {
    events: Vec<PublishedEvent>,
}

#[derive(serde::Deserialize)]
struct PublishedEvent {
    oss: PublishedOss,
}

#[derive(serde::Deserialize)]
struct PublishedOss {
    #[serde(rename = "ruleId")]
    rule_id: String,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_spoiled_body_panics(
        body in sample(),
        spoils in prop::collection::vec(spoil(), 1..4),
        hint in hint(),
    ) {
        let body = spoiled(body, &spoils);
        if let Ok(decoded) = decode(&body, &hint, &Settings::default()) {
            for event in &decoded.events {
                // What was accepted can be published, packed and read again.
                let len = event.body.published_len(85);
                prop_assert!(len <= 65_536);
                let json = serde_json::to_string(event).unwrap();
                let again: carillon_core::event::Event = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(&again, event);
                if let Body::Oss(body) = &event.body {
                    // A number no machine can hold is sound JSON, and passed on: only the rule's name is looked for.
                    let published: Published = serde_json::from_str(&body.with_rule("r")).unwrap();
                    prop_assert_eq!(&published.events[0].oss.rule_id, "r");
                }
            }
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}", hint in hint()) {
        let _ = decode(text.as_bytes(), &hint, &Settings::default());
    }

    /// Reading what was written gives what was written.
    #[test]
    fn a_written_oss_event_is_read_back(event in oss_event()) {
        let body = serde_json::json!({ "events": [&event] }).to_string();
        let decoded = plainly(body.as_bytes()).unwrap();
        prop_assert_eq!(decoded.events.len(), 1);
        prop_assert_eq!(&decoded.events[0].resource, &event.resource());
        let Body::Oss(body) = &decoded.events[0].body else { panic!("not an OSS body") };
        let read: OssEvent = serde_json::from_str(body.json()).unwrap();
        let mut expected = event;
        let ruled = expected.oss.rule_id.take().is_some();
        if ruled && expected.oss == Oss::default() {
            // The rule's name was the only member: something must stand before the place where the next one goes.
            expected.oss.oss_schema_version = Some("1.0".into());
        }
        prop_assert_eq!(read, expected);
    }

    /// What S3 and EventBridge tell of one operation is one event.
    #[test]
    fn two_roads_give_one_identity(
        (bucket, key) in ("[a-z0-9.-]{3,20}", "[ -~花é+%/]{1,30}"),
        version in prop::option::of("[A-Za-z0-9._]{4,32}"),
        sequencer in "[0-9A-F]{16}",
        kind in prop::sample::select(vec![("ObjectCreated:Put", "Object Created", "PutObject"), ("ObjectRemoved:Delete", "Object Deleted", "DeleteObject")]),
    ) {
        let id = |body: &serde_json::Value| plainly(body.to_string().as_bytes()).unwrap().events[0].id;
        let native = native(&bucket, &key, version.as_deref(), &sequencer, kind.0);
        let bridge = bridge(&bucket, &key, version.as_deref(), &sequencer.to_lowercase(), kind.1, kind.2);
        prop_assert_eq!(id(&native), id(&bridge));
    }

    /// A duplicate has the identity of its original; whatever differs in the source's identity gives another.
    #[test]
    fn identities_are_stable_and_distinct(
        one in ("[a-c]{1,2}", "[a-c/]{1,3}", prop::option::of("[12]"), "[0-3]{2}"),
        two in ("[a-c]{1,2}", "[a-c/]{1,3}", prop::option::of("[12]"), "[0-3]{2}"),
    ) {
        let id = |(bucket, key, version, sequencer): &(String, String, Option<String>, String)| -> EventId {
            let body = native(bucket, key, version.as_deref(), sequencer, "ObjectCreated:Put").to_string();
            plainly(body.as_bytes()).unwrap().events[0].id
        };
        prop_assert_eq!(id(&one), id(&one));
        prop_assert_eq!(id(&one) == id(&two), one == two);
    }
}

fn form_encode(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                (byte as char).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn native(
    bucket: &str,
    key: &str,
    version: Option<&str>,
    sequencer: &str,
    name: &str,
) -> serde_json::Value {
    serde_json::json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "eventTime": "2026-11-20T08:00:00.123Z",
        "responseElements": {"x-amz-request-id": "R1"},
        "s3": {"bucket": {"name": bucket},
               "object": {"key": form_encode(key), "size": 1, "versionId": version, "sequencer": sequencer}},
    }]})
}

fn bridge(
    bucket: &str,
    key: &str,
    version: Option<&str>,
    sequencer: &str,
    detail_type: &str,
    reason: &str,
) -> serde_json::Value {
    serde_json::json!({
        "version": "0", "source": "aws.s3", "detail-type": detail_type, "account": "111122223333",
        "time": "2026-11-20T08:00:00Z", "region": "us-east-1",
        "detail": {"bucket": {"name": bucket}, "reason": reason, "request-id": "R1",
                   "object": {"key": key, "version-id": version, "sequencer": sequencer}},
    })
}

fn some_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9]{0,8}", ".{0,12}"]
}

fn oss_event() -> impl Strategy<Value = OssEvent> {
    let bucket = prop::option::of((
        prop::option::of(some_text()),
        some_text(),
        prop::option::of(some_text()),
    ))
    .prop_map(|bucket| {
        bucket.map(|(arn, name, owner_identity)| Bucket {
            arn,
            name,
            owner_identity,
        })
    });
    let number = || prop::option::of(any::<i64>());
    let object = prop::option::of((
        number(),
        prop::option::of(some_text()),
        some_text(),
        number(),
        number(),
        number(),
    ))
    .prop_map(|object| {
        object.map(|(delta_size, e_tag, key, position, read_to, size)| Object {
            delta_size,
            e_tag,
            key,
            position,
            read_from: position,
            read_to,
            size,
        })
    });
    let name = "[A-Za-z]{1,12}:[A-Za-z]{1,12}";
    let about = (
        prop::option::of(some_text()),
        prop::option::of(some_text()),
        prop::option::of(some_text()),
    );
    let x_vars = prop::option::of(prop::collection::btree_map(some_text(), some_text(), 0..3));
    (
        name,
        bucket,
        object,
        prop::option::of(Just("1.0".to_owned())),
        prop::option::of("[a-z]{1,5}"),
        about,
        x_vars,
    )
        .prop_map(
            |(
                event_name,
                bucket,
                object,
                oss_schema_version,
                rule_id,
                (ip, request, user),
                x_vars,
            )| OssEvent {
                event_name,
                event_source: Some("acs:oss".into()),
                event_time: Some("2016-07-05T15:07:59.000Z".into()),
                event_version: None,
                oss: Oss {
                    bucket,
                    object,
                    oss_schema_version,
                    rule_id,
                },
                region: ip.clone(),
                request_parameters: ip
                    .map(|source_ip_address| RequestParameters { source_ip_address }),
                response_elements: request.map(|request_id| ResponseElements { request_id }),
                user_identity: user.map(|principal_id| UserIdentity { principal_id }),
                x_vars,
            },
        )
}

/// Bounds: a body at the limit is looked at, one above is not; envelopes end somewhere.
#[test]
fn size_and_depth_are_bounded() {
    let many = |count: usize| format!("{{\"events\":[{}]}}", vec!["{}"; count].join(","));
    assert!(matches!(
        plainly(many(10_000).as_bytes()),
        Err(DecodeError::AllRefused { more: 9_999, .. })
    ));
    assert_eq!(
        plainly(many(10_001).as_bytes()),
        Err(DecodeError::TooMany { count: 10_001 })
    );
    let records = many(100_000).replace("events", "Records");
    assert_eq!(
        plainly(records.as_bytes()),
        Err(DecodeError::TooMany { count: 100_000 })
    );
    let over = vec![b' '; 1024 * 1024 + 1];
    let error = plainly(&over).unwrap_err().to_string();
    assert!(
        error.contains("1048577") && error.contains("1048576"),
        "{error}"
    );
    assert!(matches!(
        plainly(&over[1..]),
        Err(DecodeError::UnknownSource { .. })
    ));

    let wrap = |inner: &str| {
        serde_json::json!({"Type": "Notification", "TopicArn": "arn:aws:sns:r:1:t", "Message": inner}).to_string()
    };
    let event = r#"{"events":[{"eventName":"A:B"}]}"#.to_owned();
    let deep = |layers: usize| (0..layers).fold(event.clone(), |body, _| wrap(&body));
    assert_eq!(plainly(deep(6).as_bytes()).unwrap().events.len(), 1);
    assert_eq!(plainly(deep(7).as_bytes()), Err(DecodeError::TooDeep));
    let brackets = "[".repeat(100_000);
    assert!(plainly(brackets.as_bytes()).is_err());
    let braces = "{\"events\":".repeat(50_000);
    assert!(plainly(braces.as_bytes()).is_err());
}

#[test]
fn what_is_no_utf8_is_told_by_its_place() {
    let error = plainly(b"{\"events\": [\xff]}").unwrap_err();
    assert_eq!(error, DecodeError::NotUtf8 { at: 12 });
    assert!(error.to_string().contains("byte 12"));
}
