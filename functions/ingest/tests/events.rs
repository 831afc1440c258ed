//! The folder `events/`: each bare body has its Lambda event, each file its line in the README.

#![allow(clippy::unwrap_used)]

mod common;

use carillon_ingest::{Hint, Settings, decode};
use serde_json::json;

/// What Lambda hands to a function for one message of a queue (Lambda Developer Guide, "Using Lambda with Amazon SQS").
fn sqs_event(stage: &str, index: usize, body: &str) -> String {
    let event = json!({
        "Records": [{
            "messageId": format!("00000000-0000-4000-8000-{index:012}"),
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
    for (index, (name, body)) in common::bodies().into_iter().enumerate() {
        let body = String::from_utf8(body).unwrap();
        golden.check(
            &format!("{}.json", stem(&name)),
            &sqs_event("ingest", index, &body),
        );
    }
    golden.finish();
}

/// A Lambda event is an envelope like others, so that `carillon send` takes either form.
#[test]
fn a_lambda_event_gives_what_its_body_gives() {
    let settings = Settings::default();
    for (name, body) in common::bodies() {
        let wrapped = sqs_event("ingest", 0, std::str::from_utf8(&body).unwrap());
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
