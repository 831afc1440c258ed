//! The folder `events/`: each bare body has its Lambda event, each file its line in the README.

#![allow(clippy::unwrap_used)]

mod common;

use carillon_core::delivery::{Delivery, Notification};
use carillon_core::envelope::Packer;
use carillon_core::event::{Event, Timestamp};
use carillon_core::rule::RuleName;
use carillon_core::topic::auto_names;
use carillon_ingest::{Hint, Settings, decode};
use serde_json::json;

/// What Lambda hands to a function for one message of a queue (Lambda Developer Guide, "Using Lambda with Amazon SQS").
fn sqs_event(stage: &str, name: &str, body: &str) -> String {
    // From the name, so that a new sample leaves the others alone.
    let number = name.bytes().fold(0_u64, |number, byte| {
        number.wrapping_mul(31).wrapping_add(byte.into())
    });
    let number = number % 1_000_000_000_000;
    let event = json!({
        "Records": [{
            "messageId": format!("00000000-0000-4000-8000-{number:012}"),
            "receiptHandle": "EXAMPLE",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1795248000000",
                "SenderId": "AIDAEXAMPLEPRINCIPAL",
                "ApproximateFirstReceiveTimestamp": "1795248000000",
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:111122223333:carillon-{stage}"),
            "awsRegion": "us-east-1",
        }]
    });
    serde_json::to_string_pretty(&event).unwrap() + "\n"
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[test]
fn each_body_has_its_lambda_event() {
    let mut golden = common::Golden::new("../../events/ingest");
    for (name, body) in common::bodies() {
        let body = String::from_utf8(body).unwrap();
        golden.check(
            &format!("{}.json", stem(&name)),
            &sqs_event("ingest", &name, &body),
        );
    }
    golden.finish();
}

/// A Lambda event is an envelope like others, so that `carillon send` takes either form.
#[test]
fn a_lambda_event_gives_what_its_body_gives() {
    let settings = Settings::default();
    for (name, body) in common::bodies() {
        let wrapped = sqs_event("ingest", "sample", std::str::from_utf8(&body).unwrap());
        let bare = decode(&body, &Hint::default(), &settings);
        let wrapped = decode(wrapped.as_bytes(), &Hint::default(), &settings);
        match (bare, wrapped) {
            (Ok(bare), Ok(wrapped)) => {
                assert_eq!(bare.events, wrapped.events, "{name}");
                assert_eq!(bare.ignored, wrapped.ignored, "{name}");
            }
            (Err(bare), Err(wrapped)) => {
                assert_eq!(bare.to_string(), wrapped.to_string(), "{name}")
            }
            (bare, wrapped) => panic!("{name}: bare {bare:?}, wrapped {wrapped:?}"),
        }
    }
}

#[test]
fn each_body_stands_in_the_readme_with_source_and_licence() {
    let readme = std::fs::read_to_string(common::top().join("events/README.md")).unwrap();
    for (name, _) in common::bodies() {
        assert!(
            readme.contains(&format!("| {name} |")),
            "events/README.md has no line for {name}"
        );
    }
}

/// Bodies whose events the samples of the later stages carry, each with the rule of `events/match/rules.json` that covers
/// them.
const LATER: &[(&str, &str)] = &[
    ("s3-put.json", "photos"),
    ("s3-tutorial-put.json", "event-notification-test-rule"),
    ("oss-bucket-level.json", "DefaultEnRule"),
    ("ses-pub-bounce.json", "failed-mail"),
    ("job-superresolvevideo.json", "SuperResolveVideoRule"),
    ("own-event.json", "invoices"),
];

fn events_of(name: &str) -> Vec<Event> {
    let body = std::fs::read(common::top().join("events/ingest/bodies").join(name)).unwrap();
    let hint = Hint {
        received: Timestamp::parse("2026-11-22T12:00:00Z").unwrap(),
        ..Hint::default()
    };
    decode(&body, &hint, &Settings::default()).unwrap().events
}

#[test]
fn later_stages_have_samples_of_what_reaches_them() {
    let mut matching = common::Golden::new("../../events/match");
    let mut delivering = common::Golden::new("../../events/deliver");
    matching.keep("rules.json");
    for (name, rule) in LATER {
        let events = events_of(name);
        let mut packer = Packer::new();
        let mut deliveries = Packer::new();
        for event in &events {
            packer.push(event).unwrap();
            deliveries.push(&delivery(event, rule)).unwrap();
        }
        matching.check(name, &sqs_event("match", name, &packer.finish()[0]));
        delivering.check(name, &sqs_event("deliver", name, &deliveries.finish()[0]));
    }
    matching.finish();
    delivering.finish();
}

/// As match would make it, with the names that `carillon invoke` gives the topics of a rule file.
fn delivery(event: &Event, rule: &str) -> Delivery {
    let rule = RuleName::parse(rule).unwrap();
    let names = auto_names(&event.product, &rule, Timestamp::default(), 0);
    let topic = names.topic();
    Delivery {
        notification: Notification {
            message_id: event.id.message_id(topic.as_str()),
            product: event.product.clone(),
            event_type: event.event_type.clone(),
            resource: event.resource.clone(),
            body: event.body.publish(rule.as_str()),
            rule,
            published: Timestamp::parse("2026-11-22T12:00:00Z").unwrap(),
            tag: None,
        },
        topic,
        subscription: names.subscription(1),
        version: 1,
        attempts: 0,
        history: Vec::new(),
        redriven: None,
        resends: 0,
    }
}
