//! What decoding the largest body may cost in memory, counted by the allocator. One test: another beside it would be
//! counted too.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use base64::Engine as _;
use carillon_ingest::{Hint, MAX_BODY, Settings, decode};
use std::alloc::System;

#[global_allocator]
static MEMORY: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// Most memory that a body of 1 MiB costs beside itself.
const BOUND: usize = 48 * MAX_BODY;

/// `piece` over and over, between `head` and `tail`, of the largest size there can be.
fn filled(head: &str, piece: &str, tail: &str) -> String {
    let times = (MAX_BODY - head.len() - tail.len()) / piece.len();
    let piece = piece.repeat(times);
    let all = format!("{head}{}{tail}", piece.trim_end_matches(','));
    assert!(all.len() > MAX_BODY - 4096);
    all
}

#[test]
fn the_largest_bodies_cost_bounded_memory() {
    let record = r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k","size":1,"sequencer":"0A"}}},"#;
    let nested = |text: &str| {
        let message = serde_json::to_string(text).unwrap();
        format!(r#"{{"Type":"Notification","TopicArn":"arn:aws:sns:r:1:t","Message":{message}}}"#)
    };
    let mut wrapped = filled(r#"{"Records":["#, record, "]}")[..300_000].to_owned();
    for _ in 0..2 {
        wrapped = nested(&wrapped);
    }
    let encoded = base64::engine::general_purpose::STANDARD
        .encode(&filled("{\"x\":[", "0,", "]}")[..MAX_BODY / 4 * 3 - 3]);
    let bodies = [
        ("records", filled(r#"{"Records":["#, record, "]}")),
        (
            "records that are no records",
            filled(r#"{"Records":["#, "0,", "]}"),
        ),
        ("empty records", filled(r#"{"Records":["#, "{},", "]}")),
        (
            "broken records",
            filled(r#"{"Records":["#, r#"{"eventSource":"aws:s3"},"#, "]}"),
        ),
        (
            "events",
            filled(r#"{"events":["#, r#"{"eventName":"A:B","oss":{}},"#, "]}"),
        ),
        ("an unknown object", filled("{", r#""a":0,"#, "}")),
        (
            "an unknown object of one large member",
            filled("{\"x\":[", "0,", "]}"),
        ),
        (
            "one long key",
            filled(
                r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":""#,
                "%41",
                r#""}}}]}"#,
            ),
        ),
        (
            "escapes",
            filled(
                r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":""#,
                r"\u0001",
                r#""}}}]}"#,
            ),
        ),
        ("an array of bodies", filled("[", "{},", "]")),
        ("brackets", "[".repeat(MAX_BODY)),
        ("objects in objects", filled("", "{\"a\":", "")),
        ("mail", filled("env_id=1&msg_id=", "&", "&err_msg=x")),
        ("blanks", " ".repeat(MAX_BODY)),
        (
            "a job",
            filled(
                r#"{"jobId":"1","status":"PROCESS_SUCCESS","result":["#,
                "0,",
                "]}",
            ),
        ),
        (
            "many recipients",
            filled(
                r#"{"eventType":"Delivery","mail":{"messageId":"m"},"delivery":{"recipients":["#,
                "\"a@b\",",
                "]}}",
            ),
        ),
        (
            "one long answer for many recipients",
            filled(
                &format!(
                    r#"{{"eventType":"Delivery","mail":{{"messageId":"m"}},"delivery":{{"smtpResponse":"{}","recipients":["#,
                    "x".repeat(30_000)
                ),
                "\"a@b.example.com/and-more-so-that-there-are-fewer-than-ten-thousand-of-them-in-a-body-of-a-megabyte-well\",",
                "]}}",
            ),
        ),
        (
            "one refused text for many recipients",
            filled(
                &format!(
                    r#"{{"eventType":"Delivery","mail":{{"messageId":"m"}},"delivery":{{"smtpResponse":"{}","recipients":["#,
                    "x".repeat(70_000)
                ),
                "\"a@b.example.com/and-more-so-that-there-are-fewer-than-ten-thousand-of-them-in-a-body-of-a-megabyte-well\",",
                "]}}",
            ),
        ),
        (
            "records in an array",
            filled(
                "[",
                &format!("{{\"Records\":[{}{{}}]}},", "{},".repeat(900)),
                "]",
            ),
        ),
        ("an envelope in an envelope", wrapped),
        ("Base64", encoded),
    ];
    let (hint, settings) = (Hint::default(), Settings::default());
    for (name, body) in &bodies {
        let before = MEMORY.allocated();
        let decoded = decode(body.as_bytes(), &hint, &settings);
        let most = MEMORY.max_allocated() - before;
        println!("up to {name}: {} KiB", most / 1024);
        // The most there ever was: a body that costs less than those before it says nothing new.
        assert!(
            most <= BOUND,
            "{name}: {} KiB for a body of {} KiB",
            most / 1024,
            body.len() / 1024
        );
        drop(decoded);
    }
}
