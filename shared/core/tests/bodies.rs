//! Bodies of events: what is published, what is read back, and what is learnt of an event later.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::mail::{KEYS, MailResult};
use carillon_core::event::oss::{
    Bucket, Completion, Object, Oss, OssBody, OssEvent, RequestParameters,
};
use carillon_core::event::{Body, Timestamp};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn oss(text: &str) -> OssBody {
    OssBody::from_raw(&raw(text)).unwrap()
}

#[test]
fn the_rule_s_name_goes_last_into_the_oss_member() {
    for (event, want) in [
        (
            r#"{"eventName":"A:B","oss":{"bucket":{"name":"b"}},"region":"r"}"#,
            r#"{"events":[{"eventName":"A:B","oss":{"bucket":{"name":"b"},"ruleId":"films"},"region":"r"}]}"#,
        ),
        (
            r#"{"oss":{},"region":"r"}"#,
            r#"{"events":[{"oss":{"ruleId":"films"},"region":"r"}]}"#,
        ),
        (
            r#"{"oss":{ }}"#,
            r#"{"events":[{"oss":{ "ruleId":"films"}}]}"#,
        ),
        // A name that is there already gives way.
        (
            r#"{"oss":{"ruleId":"other","bucket":{}}}"#,
            r#"{"events":[{"oss":{"bucket":{},"ruleId":"films"}}]}"#,
        ),
        // No `oss` member at all.
        (
            r#"{"eventName":"A:B"}"#,
            r#"{"events":[{"eventName":"A:B","oss":{"ossSchemaVersion":"1.0","ruleId":"films"}}]}"#,
        ),
        (
            r#"{"oss":null}"#,
            r#"{"events":[{"oss":{"ossSchemaVersion":"1.0","ruleId":"films"}}]}"#,
        ),
        (
            r#"{"oss":{"ruleId":"other"}}"#,
            r#"{"events":[{"oss":{"ossSchemaVersion":"1.0","ruleId":"films"}}]}"#,
        ),
    ] {
        let body = oss(event);
        assert_eq!(body.with_rule("films"), want, "{event}");
        assert_eq!(body.publish("films"), BASE64.encode(want));
        assert!(!body.json().contains("other"));
        // As queue messages carry it.
        let carried = serde_json::to_string(&body).unwrap();
        assert_eq!(serde_json::from_str::<OssBody>(&carried).unwrap(), body);
    }
    for (event, why) in [
        ("[]", "it is [], want an object"),
        (r#"[{"bucket":{}}]"#, "want an object"),
        (r#""oss""#, "want an object"),
        (r#"{"oss":5}"#, "member `oss` is 5, want an object"),
        (r#"{"oss":"{}"}"#, "want an object"),
    ] {
        let error = OssBody::from_raw(&raw(event)).unwrap_err().to_string();
        assert!(
            error.starts_with("not an OSS event: ") && error.contains(why),
            "{error}"
        );
    }
}

#[test]
fn bodies_differ_by_their_text_and_by_where_the_rule_goes() {
    let event = r#"{"a":{},"oss":{}}"#;
    assert_eq!(oss(event), oss(event));
    assert_ne!(oss(event), oss(r#"{"b":{},"oss":{}}"#));
    assert_ne!(
        OssBody::from_text(event.to_owned(), 6),
        OssBody::from_text(event.to_owned(), 15)
    );
}

#[test]
fn lengths_are_known_before_a_body_is_published() {
    let event = r#"{"oss":{"bucket":{"name":"b"}},"pad":""}"#;
    for pad in 0..7 {
        let text = event.replace("\"pad\":\"", &format!("\"pad\":\"{}", "x".repeat(pad)));
        for rule in ["f", "fi", "films"] {
            for body in [
                Body::Oss(oss(&text)),
                Body::Plain(text.clone()),
                Body::Base64(text.clone()),
            ] {
                assert_eq!(
                    body.published_len(rule.len()),
                    body.publish(rule).len(),
                    "{text}"
                );
            }
        }
    }
    assert_eq!(Body::Plain("k=v".into()).publish("films"), "k=v");
    assert_eq!(Body::Base64("k=v".into()).publish("films"), "az12");
}

fn typed() -> OssEvent {
    OssEvent {
        event_name: "ObjectCreated:PutObject".into(),
        oss: Oss {
            bucket: Some(Bucket {
                name: "b".into(),
                ..Bucket::default()
            }),
            object: Some(Object {
                key: "k".into(),
                ..Object::default()
            }),
            oss_schema_version: Some("1.0".into()),
            rule_id: None,
        },
        request_parameters: Some(RequestParameters {
            source_ip_address: "1.2.3.4".into(),
        }),
        ..OssEvent::default()
    }
}

const TYPED: &str = r#"{"eventName":"ObjectCreated:PutObject","oss":{"bucket":{"name":"b"},"object":{"key":"k"},"ossSchemaVersion":"1.0"},"requestParameters":{"sourceIPAddress":"1.2.3.4"}}"#;

#[test]
fn typed_events_are_written_without_what_is_not_known() {
    let event = typed();
    assert_eq!(OssBody::from_event(&event).json(), TYPED);
    // The rule is the covering one's, never the publisher's word.
    let mut named = event.clone();
    named.oss.rule_id = Some("other".into());
    assert_eq!(OssBody::from_event(&named).json(), TYPED);
    assert_eq!(event.resource(), "b/k");
    let mut bucket = event.clone();
    bucket.oss.object = None;
    assert_eq!(bucket.resource(), "b");
    bucket.oss.bucket = None;
    assert_eq!(bucket.resource(), "");
    let mut nowhere = event;
    nowhere.oss.bucket = None;
    assert_eq!(
        nowhere.resource(),
        "",
        "an object of no bucket is no resource"
    );
}

#[test]
fn what_is_learnt_later_is_written_into_the_event() {
    let vars = |of: &[(&str, &str)]| -> BTreeMap<String, String> {
        let owned = of
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    };
    let body = OssBody::from_event(&typed());
    let completed = |delta_size, stale, x_vars: &[(&str, &str)]| {
        body.completed(&Completion {
            delta_size,
            stale,
            x_vars: vars(x_vars),
        })
    };
    let text = |object: &str, rest: &str| {
        format!(
            r#"{{"eventName":"ObjectCreated:PutObject","oss":{{"bucket":{{"name":"b"}},"object":{{{object}}},"ossSchemaVersion":"1.0"}},"requestParameters":{{"sourceIPAddress":"1.2.3.4"}}{rest}}}"#
        )
    };
    for (got, want) in [
        (completed(None, false, &[]), TYPED.to_owned()),
        (
            completed(Some(-5), false, &[]),
            text(r#""deltaSize":-5,"key":"k""#, ""),
        ),
        (
            completed(None, true, &[]),
            text(r#""key":"k","stale":true"#, ""),
        ),
        (
            completed(Some(7), true, &[("a", "1"), ("b", "\"2")]),
            text(
                r#""deltaSize":7,"key":"k","stale":true"#,
                r#","xVars":{"a":"1","b":"\"2"}"#,
            ),
        ),
    ] {
        assert_eq!(got.json(), want);
        // The rule's name still goes where it belongs.
        let read: serde_json::Value = serde_json::from_str(&got.with_rule("films")).unwrap();
        assert_eq!(read["events"][0]["oss"]["ruleId"], "films");
    }

    // What the source said itself stands.
    let said = OssBody::from_event(&OssEvent {
        x_vars: Some(vars(&[("own", "1")])),
        oss: Oss {
            object: Some(Object {
                delta_size: Some(3),
                key: "k".into(),
                ..Object::default()
            }),
            ..typed().oss
        },
        ..typed()
    });
    let with = Completion {
        delta_size: Some(9),
        stale: false,
        x_vars: vars(&[("other", "2")]),
    };
    assert_eq!(said.completed(&with), said);
    // Events of another form are left alone.
    for other in [
        r#"{"oss":{"bucket":{"name":"b"},"ossSchemaVersion":"1.0"}}"#,
        r#"{"oss":{"object":{"key":"k"}}}"#,
        r#"{"oss":{"ossSchemaVersion":"1.0","object":{"key":"k"}}}"#,
        r#"{"oss":{}}"#,
        r#"{"oss":{"bucket":{},"object":{},"ossSchemaVersion":"1.0"}}"#,
        r#"{"oss":{"bucket":{},"ossSchemaVersion":"1.0"},"object":{"key":"k"}}"#,
    ] {
        assert_eq!(oss(other).completed(&with), oss(other), "{other}");
    }
}

#[test]
#[should_panic(expected = "the `oss` member ends at `at`")]
fn a_decoder_that_misplaces_the_oss_member_is_stopped() {
    let _ = OssBody::from_text(r#"{"oss":{}}"#.to_owned(), 7);
}

#[test]
fn mail_results_are_read_by_their_keys_in_their_order() {
    let values: Vec<String> = (0..12).map(|n| format!("v{n}")).collect();
    let pairs: Vec<String> = KEYS
        .iter()
        .zip(&values)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let whole = pairs.join("&");
    let read = MailResult::parse(&whole);
    assert_eq!(read.to_text(), whole);
    assert_eq!(
        [
            &read.env_id,
            &read.msg_id,
            &read.account,
            &read.from,
            &read.rcpt,
            &read.recv_time
        ],
        [
            &values[0], &values[1], &values[2], &values[3], &values[4], &values[5]
        ]
    );
    assert_eq!(
        [
            &read.end_time,
            &read.status,
            &read.event,
            &read.region,
            &read.err_code,
            &read.err_msg
        ],
        [
            &values[6],
            &values[7],
            &values[8],
            &values[9],
            &values[10],
            &values[11]
        ]
    );
    for (text, want) in [
        // A key counts only after a `&` and before a `=`.
        ("xenv_id=1&msg_id=2", ["", "2", ""]),
        ("env_id&msg_id=2", ["", "2", ""]),
        ("env_idx=1&env_id=2&msg_id=3", ["2", "3", ""]),
        (
            "env_id=1 msg_id=2&msg_id=3&account=4",
            ["1 msg_id=2", "3", "4"],
        ),
        ("env_id=&msg_id=&account=", ["", "", ""]),
        ("env_id=env_id=&msg_id=1", ["env_id=", "1", ""]),
        // Out of their order the later of the list wins its place, and the earlier is text.
        ("msg_id=1&env_id=2", ["2", "", ""]),
        ("account=4&env_id=1&account=5", ["1", "", "5"]),
    ] {
        let read = MailResult::parse(text);
        assert_eq!(
            [&*read.env_id, &*read.msg_id, &*read.account],
            want,
            "{text}"
        );
    }
}

#[test]
fn times_in_the_usual_form_and_beside_it() {
    for (text, millis) in [
        ("1970-01-01T00:00:00.000Z", Some(0)),
        ("1970-01-01T00:00:00.001Z", Some(1)),
        ("1969-12-31T23:59:59.999Z", Some(-1)),
        ("2016-07-05T15:07:59.000Z", Some(1_467_731_279_000)),
        ("2000-02-29T00:00:00.000Z", Some(951_782_400_000)),
        ("1900-02-28T00:00:00.000Z", Some(-2_203_977_600_000)),
        ("1900-03-01T00:00:00.000Z", Some(-2_203_891_200_000)),
        ("2024-12-31T23:59:59.999Z", Some(1_735_689_599_999)),
        ("2016-07-05T15:07:59Z", Some(1_467_731_279_000)),
        ("2016-07-05T23:07:59+08:00", Some(1_467_731_279_000)),
        ("2016-07-05 15:07:59", Some(1_467_731_279_000)),
        ("2016-07-05T15:07:59.123456Z", Some(1_467_731_279_123)),
        ("2016-07-05T15:07:59.000X", None),
        ("2016-13-05T15:07:59.000Z", None),
        ("2016-00-05T15:07:59.000Z", None),
        ("2016-07-00T15:07:59.000Z", None),
        ("2016-02-30T15:07:59.000Z", None),
        ("2016-07-05T24:07:59.000Z", None),
        ("2016-07-05T15:60:59.000Z", None),
        ("2016-07-05T15:07:61.000Z", None),
        ("2016-07-05T15:07:5:.000Z", None),
        ("yesterday", None),
    ] {
        let read = Timestamp::parse(text).ok().map(Timestamp::as_millis);
        assert_eq!(read, millis, "{text}");
    }
    let error = Timestamp::parse(&"x".repeat(99)).unwrap_err();
    assert_eq!(error.value.len(), 64);
}

#[test]
fn times_are_written_and_reckoned() {
    let at = Timestamp::from_millis;
    assert_eq!(at(1_467_731_279_007).to_iso(), "2016-07-05T15:07:59.007Z");
    assert_eq!(
        at(1_467_731_279_007).to_string(),
        "2016-07-05T15:07:59.007Z"
    );
    assert_eq!(at(i64::MAX).to_iso(), format!("{}ms", i64::MAX));
    assert_eq!(at(5).plus(Duration::from_secs(2)), at(2_005));
    assert_eq!(at(i64::MAX - 1).plus(Duration::MAX), at(i64::MAX));
    assert_eq!(at(7).since(at(5)), Duration::from_millis(2));
    assert_eq!(at(5).since(at(7)), Duration::ZERO);
}
