//! Yesterday's events, by the commands a person has: replay and preview over what `carillon up` kept.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use support::Service;

/// An S3 body of one put.
fn put(key: &str) -> String {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-11-22T08:00:00.123Z", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "size": 1, "sequencer": format!("00{}", key.len())}},
    }]})
    .to_string()
}

fn send(service: &Service, keys: &[&str]) {
    for key in keys {
        service.run_with(&["send", "-"], &put(key)).ok();
    }
}

fn create<'a>(service: &Service, name: &'a str, ends: [&'a str; 2], to: [&'a str; 2]) {
    let mut arguments = vec!["rule", "create", name, "--event-type", "ObjectCreated:*"];
    arguments.extend(ends);
    arguments.extend(to);
    service.run(&arguments).ok();
}

/// Receives and deletes what is in a queue, `count` messages; gives the keys of their events.
fn keys(service: &Service, queue: &str, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    while keys.len() < count {
        let received = service
            .run(&[
                "queue", "receive", queue, "--wait", "30", "--count", "16", "--delete", "--json",
            ])
            .json();
        let received = received.as_array().unwrap();
        assert!(!received.is_empty(), "{keys:?} came, and no more");
        keys.extend(received.iter().map(|message| {
            let event: Value = serde_json::from_str(message["Decoded"].as_str().unwrap()).unwrap();
            let key = &event["events"][0]["oss"]["object"]["key"];
            key.as_str().unwrap().to_owned()
        }));
    }
    keys.sort();
    keys
}

fn is_empty(service: &Service, queue: &str) -> bool {
    service.run(&["queue", "peek", queue, "--json"]).json() == json!([])
}

/// The message ids of a rule's deliveries, one for each attempt; waits until there are `count`.
fn message_ids(service: &Service, rule: &str, count: usize) -> Vec<String> {
    for _ in 0..1000 {
        let attempts = service
            .run(&["delivery", "list", "--rule", rule, "--json"])
            .json();
        let attempts = attempts.as_array().unwrap();
        if attempts.len() >= count {
            let ids = attempts.iter().map(|attempt| &attempt["MessageId"]);
            return ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        }
    }
    panic!("fewer than {count} attempts are in the log");
}

#[test]
fn a_rule_made_later_gets_earlier_events_and_each_time_under_the_same_ids() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "albums"]).ok();
    service.run(&["queue", "create", "rest"]).ok();
    service
        .run(&["rule", "create", "DefaultEnRule", "--queue", "rest"])
        .ok();
    send(&service, &["a.jpg", "bb.jpg", "ccc.txt"]);
    keys(&service, "rest", 3);

    // Before it is there, preview tells what it would take; and from whom.
    let wanted = [
        "albums",
        "--event-type",
        "ObjectCreated:*",
        "--suffix",
        ".jpg",
    ];
    let mut preview = vec!["rule", "preview"];
    preview.extend(wanted);
    let text = service.run(&preview).ok();
    assert!(
        text.contains("rule \"albums\" would take 2 of 3 events\n  2 from the default rule\n  takes ObjectCreated:PutObject on \"photos/a.jpg\" at 2026-11-22T08:00:00.123Z ("),
        "{text}"
    );
    preview.extend(["--since", "1h", "--json"]);
    let seen = service.run(&preview).json();
    assert_eq!(
        (&seen["Taken"], &seen["Complete"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(seen["TakenFrom"], json!([{"From": "default", "Events": 2}]));

    create(
        &service,
        "albums",
        ["--suffix", ".jpg"],
        ["--queue", "albums"],
    );
    assert!(is_empty(&service, "albums"), "nobody told it of the past");
    let dry = service
        .run(&[
            "replay",
            "--since",
            "1h",
            "--rule",
            "albums",
            "--dry-run",
            "--json",
        ])
        .json();
    assert_eq!((&dry["replayed"], &dry["events"]), (&json!(2), &json!(3)));

    let text = service
        .run(&["replay", "--since", "1h", "--rule", "albums"])
        .ok();
    assert!(
        text.starts_with("replayed 2 of the 3 events accepted from "),
        "{text}"
    );
    assert_eq!(keys(&service, "albums", 2), ["a.jpg", "bb.jpg"]);
    // What was replayed is not kept again: a second replay looks at as many events as the first.
    let again = service
        .run(&["replay", "--since", "1h", "--rule", "albums", "--json"])
        .json();
    assert_eq!(
        (&again["replayed"], &again["events"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(again["next"], Value::Null);
    assert_eq!(keys(&service, "albums", 2), ["a.jpg", "bb.jpg"]);
    let ids = message_ids(&service, "albums", 4);
    assert_eq!(ids.len(), 4);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), 2);
    assert!(
        is_empty(&service, "rest"),
        "the default rule was not told again"
    );
}

#[test]
fn a_replay_for_one_rule_tells_no_other_although_both_cover_the_event() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &["--overlap", "allow"]);
    for queue in ["one", "two"] {
        service.run(&["queue", "create", queue]).ok();
    }
    create(
        &service,
        "first",
        ["--prefix", "photos/"],
        ["--queue", "one"],
    );
    create(&service, "second", ["--suffix", ".jpg"], ["--queue", "two"]);
    send(&service, &["a.jpg"]);
    keys(&service, "one", 1);
    keys(&service, "two", 1);
    service
        .run(&["replay", "--since", "1h", "--rule", "second"])
        .ok();
    assert_eq!(keys(&service, "two", 1), ["a.jpg"]);
    // Without a rule, both; so what the queue of the other holds is of this one alone.
    service.run(&["replay", "--since", "1h"]).ok();
    assert_eq!(keys(&service, "two", 1), ["a.jpg"]);
    assert_eq!(keys(&service, "one", 1), ["a.jpg"]);
    assert_eq!(message_ids(&service, "first", 2).len(), 2);
}

/// An endpoint that answers `status` and tells of each push the message id.
fn endpoint(status: &Arc<AtomicU16>) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    let status = status.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut id) = (0, String::new());
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap(),
                    "x-mns-message-id" => id = value.trim().to_owned(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = status.load(Ordering::SeqCst);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            if tell.send(id).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[test]
fn an_endpoint_that_was_gone_gets_what_it_missed_under_the_same_id() {
    const LONG: Duration = Duration::from_secs(600);
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &["--allow-endpoints", "127.0.0.0/8"]);
    let status = Arc::new(AtomicU16::new(410));
    let (address, told) = endpoint(&status);
    let url = format!("http://{address}/hook");
    create(&service, "hook", ["--prefix", "photos/"], ["--http", &url]);
    send(&service, &["a.jpg"]);
    let missed = told.recv_timeout(LONG).unwrap();
    let letters = || service.run(&["dead-letter", "list", "--json"]).json();
    while letters() == json!([]) {}
    assert_eq!(letters()[0]["MessageId"], missed);

    status.store(204, Ordering::SeqCst);
    let replayed = service
        .run(&[
            "replay", "--since", "1d", "--rule", "hook", "--rate", "100", "--json",
        ])
        .json();
    assert_eq!(replayed["replayed"], 1);
    assert_eq!(told.recv_timeout(LONG).unwrap(), missed);
}

#[test]
fn a_replay_that_was_cut_off_goes_on_where_it_stopped_also_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    let sent = ["a", "bb", "ccc", "dddd", "eeeee"];
    send(&service, &sent);
    service.run(&["queue", "create", "all"]).ok();
    create(&service, "all", ["--prefix", "photos/"], ["--queue", "all"]);
    let first = service
        .run(&[
            "replay", "--since", "1h", "--rule", "all", "--limit", "2", "--json",
        ])
        .json();
    assert_eq!(
        (&first["events"], &first["replayed"]),
        (&json!(2), &json!(2))
    );
    let place = first["next"].as_str().unwrap();

    // Accepted is kept: killed at any moment after the answer, the events are there.
    service.kill();
    let service = Service::start(data.path(), &[]);
    let rest = service
        .run(&["replay", "--from", place, "--rule", "all", "--json"])
        .json();
    assert_eq!((&rest["events"], &rest["replayed"]), (&json!(3), &json!(3)));
    assert_eq!(
        (&rest["since"], &rest["until"]),
        (&first["since"], &first["until"])
    );
    // At least once: what the killed process had under way comes again.
    let mut arrived = BTreeSet::new();
    while arrived.len() < sent.len() {
        arrived.extend(keys(&service, "all", 1));
    }
    assert_eq!(arrived, sent.map(str::to_owned).into());
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    create(&service, "resting", ["--prefix", "a"], ["--queue", "q"]);
    service.run(&["rule", "disable", "resting"]).ok();
    for (arguments, status, part) in [
        (
            vec!["--since", "1h", "--rule", "gone"],
            1,
            "EventRuleNotExist: product \"oss\" has no rule \"gone\"",
        ),
        (
            vec!["--since", "1h", "--rule", "resting"],
            1,
            "EventRuleDisabled: rule \"resting\" (field RuleName) is disabled",
        ),
        (vec!["--since", "soon"], 1, "Since, value \"soon\""),
        (
            vec!["--since", "1h", "--until", "2h"],
            1,
            "it is after Until",
        ),
        (vec!["--from", "nowhere"], 1, "NextToken, value \"nowhere\""),
        (vec![], 2, "--since"),
        (
            vec!["--since", "1h", "--from", "x"],
            2,
            "cannot be used with",
        ),
        (vec!["--since", "1h", "--rate", "0"], 2, "--rate"),
    ] {
        let mut all = vec!["replay"];
        all.extend(&arguments);
        let error = service.run(&all).fails(status);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    drop(service);

    let service = Service::start(data.path(), &["--keep-events", "0"]);
    let error = service.run(&["replay", "--since", "1h"]).fails(1);
    assert!(error.contains("keeps no history of events"), "{error}");
    let error = service
        .run(&[
            "rule",
            "preview",
            "x",
            "--event-type",
            "A:B",
            "--prefix",
            "a",
        ])
        .fails(1);
    assert!(error.contains("keeps no history"), "{error}");
}
