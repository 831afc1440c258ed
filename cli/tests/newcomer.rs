//! What somebody meets who tries the command for the first time: hints where something is taken and hardly meant, and
//! mistakes that must cost nothing but themselves.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::{Service, carillon, run};

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn put(key: &str) -> String {
    json!({"events": [{"eventName": "ObjectCreated:PutObject",
        "oss": {"bucket": {"name": "b"}, "object": {"key": key}}}]})
    .to_string()
}

fn names(service: &Service) -> Vec<Value> {
    let listed = service.run(&["rule", "list", "--json"]).json();
    let rules = listed.as_array().unwrap().iter();
    rules.map(|rule| rule["RuleName"].clone()).collect()
}

#[test]
fn a_rule_that_is_hardly_meant_is_stored_and_warned_of() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    // The tutorial of seed 000 (3.2) names its types so; what is stored would never take an event.
    let created = service.run(&[
        "rule",
        "create",
        "tutorial",
        "--event-type",
        "PutObject",
        "--full-name",
        "b",
        "--queue",
        "q",
    ]);
    assert_eq!(created.status, 0, "{created:?}");
    assert!(
        created.out.contains("created rule tutorial"),
        "{}",
        created.out
    );
    for word in [
        "warning",
        "tutorial",
        "EventTypes[0]",
        "did you mean ObjectCreated:PutObject?",
    ] {
        assert!(created.err.contains(word), "{word}: {}", created.err);
    }
    let updated = service.run(&[
        "rule",
        "update",
        "tutorial",
        "--event-type",
        "ObjectCreated:PutObject",
        "--full-name",
        "b",
        "--queue",
        "q",
    ]);
    assert_eq!((updated.status, updated.err.as_str()), (0, ""));
}

#[test]
fn a_file_with_a_fault_creates_no_rule_and_tells_of_all_faults() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(&data.path().join("store"), &[]);
    service.run(&["queue", "create", "q"]).ok();
    let sound = r#"{"ProductName": "oss", "RuleName": "a", "EventTypes": ["ObjectCreated:*"],
        "MatchRules": [[{"Prefix": "a/"}]], "Endpoint": {"EndpointType": "queue", "EndpointValue": "q"}}"#;
    let twice = sound.replace(
        r#""MatchRules""#,
        r#""MatchRules": [[{"Prefix": "z/"}]], "MatchRules""#,
    );
    let twice = twice.replace(r#""a""#, r#""b""#);
    let empty = sound
        .replace(r#"["ObjectCreated:*"]"#, "[]")
        .replace(r#""a""#, r#""c""#);
    let both = file(
        data.path(),
        "both.json",
        &format!("[{sound}, {twice}, {empty}]"),
    );
    let refused = service.run(&["rule", "create", "--file", &both]);
    assert_eq!(refused.status, 1);
    for word in [
        "rule \"b\", field MatchRules",
        "more than once",
        "rule \"c\", field EventTypes",
    ] {
        assert!(refused.err.contains(word), "{word}: {}", refused.err);
    }
    assert_eq!(names(&service), Vec::<Value>::new());
    let small = file(
        data.path(),
        "small.json",
        &sound.replace("EventTypes", "eventTypes"),
    );
    let refused = service.run(&["rule", "create", "--file", &small]);
    for word in ["field eventTypes", "not known", "field EventTypes"] {
        assert!(refused.err.contains(word), "{word}: {}", refused.err);
    }
    let one = file(data.path(), "one.json", &format!("\u{feff}{sound}"));
    service.run(&["rule", "create", "--file", &one]).ok();
    assert_eq!(names(&service), ["a"]);
}

#[test]
fn a_refused_file_keeps_no_other_back_and_a_zero_has_a_reason() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(&data.path().join("store"), &[]);
    let good = file(data.path(), "good.json", &put("1"));
    let bad = file(data.path(), "bad.json", "{");
    let last = file(data.path(), "last.json", &put("2"));
    let sent = service.run(&["send", &good, &bad, &last]);
    assert_eq!(sent.status, 1);
    let accepted = |name: &str| format!("accepted 1 event from {name}");
    assert!(sent.out.contains(&accepted(&good)), "{}", sent.out);
    assert!(sent.out.contains(&accepted(&last)), "{}", sent.out);
    assert!(
        sent.err
            .contains(&format!("{bad}: InvalidArgument: not JSON")),
        "{}",
        sent.err
    );
    assert!(
        sent.err.contains("1 of 3 files were refused"),
        "{}",
        sent.err
    );

    let trial = file(
        data.path(),
        "trial.json",
        r#"{"Service": "Amazon S3", "Event": "s3:TestEvent"}"#,
    );
    let sent = service.run(&["send", &trial]).ok();
    assert!(sent.contains("accepted 0 events"), "{}", sent);
    assert!(sent.contains("s3:TestEvent: S3 tries"), "{}", sent);
    let sent = service.run(&["send", "--json", &trial]).json();
    assert_eq!(sent["accepted"], 0);
    assert!(
        sent["ignored"]
            .as_str()
            .unwrap()
            .starts_with("s3:TestEvent"),
        "{sent}"
    );
    // The answer's own form stays; the reason stands beside it, in letters that a header may hold.
    let strange = json!({"Records": [
        {"eventSource": "aws:s3", "eventName": "ObjectRestore:Post", "s3": {"bucket": {"name": "b"}, "object": {"key": "é"}}},
        {"eventSource": "aws:s3", "eventName": "IntelligentTiering", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}},
    ]});
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let mut answer = agent
        .post(format!("{}/events", service.url))
        .send(strange.to_string())
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    assert_eq!(text, r#"{"accepted":0}"#);
    let why = answer.headers()["x-carillon-ignored"].to_str().unwrap();
    assert!(
        why.starts_with("ObjectRestore:Post: ") && why.ends_with("(and 1 more)"),
        "{why}"
    );
}

/// A consumer that must act once remembers ids: a copy in the queue carries the id of the first, as one that is pushed.
#[test]
fn copies_of_a_notification_have_one_id_in_the_queue() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    let rule = [
        "rule",
        "create",
        "r",
        "--event-type",
        "ObjectCreated:*",
        "--full-name",
        "b",
        "--queue",
        "q",
    ];
    service.run(&rule).ok();
    let put = put("k");
    for _ in 0..2 {
        assert_eq!(service.post_events(put.as_bytes()).0, 200);
    }
    let received = || {
        let received = service.run(&[
            "queue", "receive", "q", "--wait", "30", "--delete", "--json",
        ]);
        received.json()[0]["MessageId"]
            .as_str()
            .expect("a message came")
            .to_owned()
    };
    let (first, copy) = (received(), received());
    assert_eq!(first, copy, "the same event, published twice");
}

#[test]
fn an_event_is_explained_from_the_command_line_itself() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    let explained = service.run(&["rule", "explain", &put("k")]).ok();
    assert!(explained.contains("\"b/k\""), "{explained}");
    // What stands in the body beside it is not passed over in silence.
    let two = put("k").replace(
        "[{",
        "[{\"eventName\": \"A:B\", \"oss\": {\"bucket\": {\"name\": \"c\"}}}, {",
    );
    let explained = service.run(&["rule", "explain", &two]).ok();
    assert!(explained.starts_with("A:B on \"c\""), "{explained}");
    assert!(explained.contains("further events (1)"), "{explained}");
}

/// `explain` asked about an event must name the resource that it is judged by when it is published.
#[test]
fn an_object_without_a_name_is_explained_as_it_is_judged() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    let rules = file(data.path(), "rules.json", "[]");
    for (oss, resource) in [
        (json!({"bucket": {"name": "b"}}), "b"),
        (json!({"bucket": {"name": "b"}, "object": null}), "b"),
        (json!({"bucket": {"name": "b"}, "object": {}}), "b/"),
        (
            json!({"bucket": {"name": "b"}, "object": {"key": null}}),
            "b/",
        ),
        (
            json!({"bucket": {"name": "b"}, "object": {"key": ""}}),
            "b/",
        ),
        (
            json!({"bucket": {"name": "b"}, "object": {"key": "/k"}}),
            "b//k",
        ),
        (
            json!({"bucket": {"name": "b"}, "object": {"key": 7}}),
            "b/7",
        ),
    ] {
        let event = json!({"eventName": "ObjectModified:Any", "oss": oss}).to_string();
        let explained = service.run(&["rule", "explain", &event, "--json"]).json();
        assert_eq!(explained["Resource"], resource, "{event}");
        let decoded = run(carillon().args(["invoke", "ingest", "-"]), &event).json();
        let item = &decoded["sent"][0]["message"]["items"][0];
        assert_eq!(item["resource"], resource, "{event}");
        if event.contains(":7") {
            // `match` wants names in quotes, and says so.
            continue;
        }
        let offline = run(
            carillon().args(["explain", "--rules", &rules, "--json", &event]),
            "",
        );
        assert_eq!(offline.json()["resource"], resource, "{event}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_with_one_that_is() {
    let refused = run(carillon().args(["up", "--listen", "localhost:9324"]), "");
    assert_eq!(refused.status, 2);
    assert!(refused.err.contains("127.0.0.1:9324"), "{}", refused.err);
}
