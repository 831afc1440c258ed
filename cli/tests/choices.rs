//! What an operator may add to ingest, on the running service.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use support::{Service, carillon, run};

/// A store whose every object has the same metadata; gives its address.
fn store() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let answer = if request[0].starts_with("HEAD /movie/a%20b.avi") {
                "HTTP/1.1 200 OK\r\nx-amz-meta-x-project: carillon\r\nconnection: close\r\n\r\n"
            } else {
                "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n"
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn put(size: u32, sequencer: &str) -> String {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-20T08:00:00.000Z",
        "s3": {"bucket": {"name": "movie"}, "object": {"key": "a+b.avi", "size": size, "sequencer": sequencer}},
    }]})
    .to_string()
}

/// Publishes a body, and gives the event of that size when it arrives. Others are passed over: after a kill, what a
/// consumer deleted in the last second may come again.
fn told(service: &Service, body: &str) -> Value {
    let (status, _, answer) = service.post_events(body.as_bytes());
    assert_eq!((status, answer), (200, json!({"accepted": 1})));
    let sent: Value = serde_json::from_str(body).unwrap();
    loop {
        let received = service.run(&[
            "queue", "receive", "q", "--wait", "30", "--delete", "--json",
        ]);
        let received = received.json();
        let text = received[0]["Decoded"].as_str().expect("a message came");
        let event = serde_json::from_str::<Value>(text).unwrap()["events"][0].clone();
        if event["oss"]["object"]["size"] == sent["Records"][0]["s3"]["object"]["size"] {
            return event;
        }
    }
}

#[test]
fn sizes_late_events_custom_parameters_and_copies() {
    let data = tempfile::tempdir().unwrap();
    let store = store();
    let flags = [
        "--delta-size",
        "index",
        "--mark-stale",
        "--duplicate-window",
        "5m",
        "--x-vars",
        "head-object",
        "--object-store",
        &store,
    ];
    let service = Service::start(data.path(), &flags);
    service.run(&["queue", "create", "q"]).ok();
    let rule = [
        "rule",
        "create",
        "all",
        "--event-type",
        "ObjectCreated:*",
        "--prefix",
        "movie/",
        "--queue",
        "q",
    ];
    service.run(&rule).ok();

    let first = told(&service, &put(10, "0A"));
    assert_eq!(first["oss"]["object"]["deltaSize"], 10);
    assert_eq!(first["xVars"], json!({"x:project": "carillon"}));
    let second = told(&service, &put(4, "0C"));
    assert_eq!(second["oss"]["object"]["deltaSize"], -6);
    assert_eq!(second["oss"]["object"].get("stale"), None);
    // A copy is accepted and goes nowhere: the next message is that of the late event.
    let (status, _, answer) = service.post_events(put(4, "0C").as_bytes());
    assert_eq!((status, answer), (200, json!({"accepted": 1})));
    let late = told(&service, &put(7, "0B"));
    assert_eq!(late["oss"]["object"]["stale"], true);
    assert_eq!(late["oss"]["object"].get("deltaSize"), None);
    assert_eq!(late["oss"]["ruleId"], "all");

    // What is remembered outlives the process.
    service.kill();
    let service = Service::start(data.path(), &flags);
    let (status, _, _) = service.post_events(put(4, "0C").as_bytes());
    assert_eq!(status, 200);
    let after = told(&service, &put(9, "0D"));
    assert_eq!(after["oss"]["object"]["deltaSize"], 5);
}

#[test]
fn choices_that_cannot_be_are_refused_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| {
        let mut command = carillon();
        command
            .args(["up", "--data"])
            .arg(data.path())
            .args(arguments);
        run(&mut command, "").fails(2)
    };
    let error = refused(&["--x-vars", "head-object"]);
    assert!(error.contains("--object-store http://"), "{error}");
    let error = refused(&["--x-vars", "head-object", "--object-store", "minio"]);
    assert!(error.contains("http://127.0.0.1:9000"), "{error}");
    let error = refused(&["--duplicate-window", "5 minutes"]);
    assert!(error.contains("5m"), "{error}");
    let error = refused(&["--delta-size", "exact"]);
    assert!(error.contains("index"), "{error}");
}
