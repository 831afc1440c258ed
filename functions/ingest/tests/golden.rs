//! Every body of `events/ingest/bodies`, against a reviewed output in `tests/golden`. `UPDATE_GOLDEN=1` writes them anew;
//! a change of theirs is a change that receivers see.

#![allow(clippy::unwrap_used)]

mod common;

use carillon_core::event::{Body, Event, Timestamp};
use carillon_ingest::{Hint, Settings, decode};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    name: String,
    body: String,
    product: Option<String>,
    source: Option<String>,
    headers: Vec<(String, String)>,
    settings: Settings,
}

/// The rule whose name stands in the outputs.
const RULE: &str = "a-rule";

fn event(event: &Event) -> Value {
    let (encoding, published) = match &event.body {
        Body::Oss(body) => (
            "base64",
            serde_json::from_str(&body.with_rule(RULE)).unwrap(),
        ),
        Body::Plain(text) => ("plain", Value::from(text.as_str())),
        Body::Base64(text) => ("base64", Value::from(text.as_str())),
    };
    json!({
        "product": event.product,
        "type": event.event_type,
        "resource": event.resource,
        "time": event.time.to_iso(),
        "id": event.id,
        "encoding": encoding,
        "published": published,
    })
}

fn run(body: &[u8], asked: &Asked) -> Value {
    let hint = Hint {
        product: asked.product.clone(),
        headers: asked.headers.clone(),
        source: asked.source.as_ref().map(|source| source.parse().unwrap()),
        received: Timestamp::parse("2026-11-22T12:00:00Z").unwrap(),
    };
    match decode(body, &hint, &asked.settings) {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(decoded) => {
            let mut output = serde_json::Map::new();
            output.insert("kind".into(), decoded.kind.map(|kind| kind.as_str()).into());
            if !decoded.events.is_empty() {
                output.insert("events".into(), decoded.events.iter().map(event).collect());
            }
            if !decoded.ignored.is_empty() {
                output.insert("ignored".into(), decoded.ignored.into());
            }
            if !decoded.refused.is_empty() {
                let refused = decoded.refused.iter();
                let refused = refused.map(
                    |refused| json!({"body": refused.body, "reason": refused.reason.to_string()}),
                );
                output.insert("refused".into(), refused.collect());
            }
            Value::Object(output)
        }
    }
}

#[test]
fn every_body_gives_its_reviewed_output() {
    let mut golden = common::Golden::new("tests/golden");
    for (name, body) in common::bodies() {
        let output = run(&body, &Asked::default());
        golden.check(
            &format!("{name}.golden.json"),
            &(serde_json::to_string_pretty(&output).unwrap() + "\n"),
        );
    }
    golden.finish();
}

#[test]
fn what_is_asked_for_changes_what_comes_out() {
    let cases: Vec<Asked> = serde_json::from_str(include_str!("cases/asked.json")).unwrap();
    let bodies: std::collections::BTreeMap<_, _> = common::bodies().into_iter().collect();
    let mut golden = common::Golden::new("tests/golden/asked");
    for asked in cases {
        let output = run(&bodies[&asked.body], &asked);
        golden.check(
            &format!("{}.json", asked.name),
            &(serde_json::to_string_pretty(&output).unwrap() + "\n"),
        );
    }
    golden.finish();
}

/// Nothing passes in silence: each body gives an event, a reason to pass it over, or a reason to refuse it.
#[test]
fn every_body_is_understood_or_refused_with_a_reason() {
    for (name, body) in common::bodies() {
        match decode(&body, &Hint::default(), &Settings::default()) {
            Ok(decoded) => {
                let said = decoded.events.len() + decoded.ignored.len() + decoded.refused.len();
                assert!(said > 0, "{name} passes in silence");
            }
            Err(error) => assert!(error.to_string().len() > 20, "{name}: {error}"),
        }
    }
}
