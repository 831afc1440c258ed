//! `carillon up` and the commands that talk to it, as a person and a script would use them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Service, carillon, run, sample};

fn decoded(text: &str) -> Value {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

const TUTORIAL: [&str; 10] = [
    "rule",
    "create",
    "event-notification-test-rule",
    "--event-type",
    "ObjectCreated:PutObject",
    "--event-type",
    "ObjectCreated:PostObject",
    "--full-name",
    "event-notification-test",
    "--queue=MyQueue",
];

#[test]
fn tutorial_3_2_by_commands_gives_the_message_of_the_seed() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &["--account-id", "12345"]);
    service.run(&["queue", "create", "MyQueue"]).ok();
    service.run(&TUTORIAL).ok();
    let put = sample("events/tutorial/s3-put.json");
    let sent = service.run_with(&["send", "-", "--json"], &put).json();
    assert_eq!(sent, json!({"file": "-", "accepted": 1, "status": null}));

    let received = service
        .run(&[
            "queue", "receive", "MyQueue", "--wait", "30", "--delete", "--json",
        ])
        .json();
    let message = &received[0];
    assert_eq!(
        message["Decoded"],
        sample("events/tutorial/expected-3.2.json").trim_end()
    );
    assert_eq!(message["DequeueCount"], 1);

    let left = service.run(&["queue", "peek", "MyQueue", "--json"]).json();
    assert_eq!(left, json!([]), "it was deleted");
    let rules = service.run(&["rule", "list", "--json"]).json();
    assert_eq!(rules[0]["RuleName"], "event-notification-test-rule");
    let topic = rules[0]["TopicName"].as_str().unwrap();
    assert!(
        topic.starts_with("mns-en-topics-oss-event-notification-test-rule-"),
        "{topic}"
    );
}

#[test]
fn an_oss_body_is_answered_with_the_status_header_where_a_rule_covers_it() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    let body = sample("events/tutorial/bucket-referer.json");
    let (status, header, answer) = service.post_events(body.as_bytes());
    assert_eq!(
        (status, header, answer),
        (200, None, json!({"accepted": 1}))
    );
    service.until_judged();

    let held = ["--visibility-timeout", "43200"];
    service
        .run(&[&["queue", "create", "MyQueue"][..], &held].concat())
        .ok();
    service
        .run(&["rule", "create", "DefaultEnRule", "--queue", "MyQueue"])
        .ok();
    let (status, header, _) = service.post_events(body.as_bytes());
    assert_eq!(status, 200);
    assert_eq!(
        decoded(&header.expect("the default rule covers it")),
        json!({"code": "Success", "message": "NotificationSucceed", "type": "EventNotification", "version": "1.0"})
    );
    let received = service
        .run(&["queue", "receive", "MyQueue", "--wait", "30", "--json"])
        .json();
    let event = decoded(received[0]["MessageBody"].as_str().unwrap());
    assert_eq!(
        event["events"][0]["eventName"],
        "BucketQueried:GetBucketReferer"
    );
    assert_eq!(event["events"][0]["oss"]["ruleId"], "DefaultEnRule");
    assert_eq!(
        service.run(&["queue", "peek", "MyQueue", "--json"]).json(),
        json!([]),
        "what came before there was a rule reached nobody"
    );
}

#[test]
fn of_two_racing_rules_that_overlap_exactly_one_is_created() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    for round in 0..8 {
        let names = [format!("prefix-{round}"), format!("suffix-{round}")];
        let bucket = format!("bucket{round}/");
        let ends = [["--prefix", &bucket], ["--prefix-suffix", &bucket]];
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = names
                .iter()
                .zip(ends)
                .map(|(name, end)| {
                    let mut arguments = vec![
                        "rule",
                        "create",
                        name.as_str(),
                        "--event-type",
                        "ObjectCreated:*",
                    ];
                    arguments.extend(["--queue", "q"]);
                    arguments.extend(end);
                    if end[0] == "--prefix-suffix" {
                        arguments.push(".jpg");
                    }
                    let service = &service;
                    scope.spawn(move || service.run(&arguments))
                })
                .collect();
            racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .collect()
        });
        let statuses: BTreeSet<i32> = outcomes.iter().map(|ran| ran.status).collect();
        assert_eq!(statuses, BTreeSet::from([0, 1]), "{outcomes:?}");
        let winner = outcomes.iter().position(|ran| ran.status == 0).unwrap();
        let refusal = &outcomes[1 - winner].err;
        assert!(refusal.contains("EventRuleConflict"), "{refusal}");
        assert!(
            refusal.contains(&names[winner]),
            "names the rule it met: {refusal}"
        );
        assert!(
            refusal.contains("ObjectCreated:") && refusal.contains(&bucket),
            "shows an event: {refusal}"
        );
    }
}

#[test]
fn what_was_accepted_survives_a_kill_at_any_moment() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    service
        .run(&[
            "rule",
            "create",
            "all",
            "--event-type",
            "ObjectCreated:*",
            "--full-name",
            "b",
            "--queue",
            "q",
        ])
        .ok();
    let mut accepted = BTreeSet::new();
    let mut service = service;
    for round in 0..5 {
        for number in 0..20 {
            let key = format!("{round}-{number}");
            let body = json!({"events": [{
                "eventName": "ObjectCreated:PutObject", "eventTime": "2026-11-22T00:00:00.000Z",
                "oss": {"bucket": {"name": "b"}, "object": {"key": key}},
            }]});
            let (status, _, answer) = service.post_events(body.to_string().as_bytes());
            assert_eq!((status, answer), (200, json!({"accepted": 1})));
            accepted.insert(key);
        }
        // No pause: the last events are anywhere between the stages.
        service.kill();
        service = Service::start(data.path(), &[]);
    }
    let mut seen = BTreeSet::new();
    while seen.len() < accepted.len() {
        let batch = service
            .run(&[
                "queue", "receive", "q", "--count", "16", "--wait", "30", "--delete", "--json",
            ])
            .json();
        let batch = batch.as_array().unwrap();
        assert!(
            !batch.is_empty(),
            "{} of {} arrived",
            seen.len(),
            accepted.len()
        );
        for message in batch {
            let event = decoded(message["MessageBody"].as_str().unwrap());
            seen.insert(
                event["events"][0]["oss"]["object"]["key"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    assert_eq!(seen, accepted);
}

#[test]
fn bad_bodies_are_refused_with_the_reason_and_nothing_is_enqueued() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    service
        .run(&["rule", "create", "DefaultEnRule", "--queue", "q"])
        .ok();
    let huge = vec![b'x'; 2 << 20];
    let cases: [(&str, &[u8], u16, &str); 6] = [
        ("plain text", b"hello", 400, "unknown source"),
        ("cut short", br#"{"events":[{"eventName":"#, 400, "line 1"),
        ("not UTF-8", b"{\"events\":[\xff]}", 400, "UTF-8"),
        (
            "unknown source",
            br#"{"hello":"world"}"#,
            400,
            "Understood are",
        ),
        ("wrong type", br#"{"events":"none"}"#, 400, "events"),
        ("2 MB", &huge, 413, "bytes"),
    ];
    for (what, body, want, words) in cases {
        let (status, header, answer) = service.post_events(body);
        assert_eq!(status, want, "{what}: {answer}");
        assert_eq!(header, None, "{what}");
        let message = answer["Message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{what}: {answer}");
        assert!(
            answer["Code"].is_string() && answer["RequestId"].is_string(),
            "{what}: {answer}"
        );
    }
    // The next good event passes all stages behind whatever might have been enqueued.
    service
        .run_with(
            &["send", "-"],
            &sample("events/tutorial/bucket-referer.json"),
        )
        .ok();
    let received = service
        .run(&[
            "queue", "receive", "q", "--count", "16", "--wait", "30", "--json",
        ])
        .json();
    assert_eq!(received.as_array().unwrap().len(), 1);
}

#[test]
fn refusals_name_the_field_the_value_and_the_cure() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    let create = |extra: &[&str]| {
        let mut arguments = vec!["rule", "create"];
        arguments.extend(extra);
        service.run(&arguments).fails(1)
    };
    let error = create(&[
        "9lives",
        "--event-type",
        "A:B",
        "--full-name",
        "b",
        "--queue",
        "q",
    ]);
    assert!(
        error.contains("RuleName") && error.contains("9lives") && error.contains("first a letter"),
        "{error}"
    );
    let error = create(&["r", "--full-name", "b", "--queue", "q"]);
    assert!(error.contains("EventTypes"), "{error}");
    let error = create(&[
        "r",
        "--event-type",
        "A:B",
        "--full-name",
        "b",
        "--queue",
        "nowhere",
    ]);
    assert!(
        error.contains("QueueNotExist") && error.contains("nowhere"),
        "{error}"
    );
    let error = create(&[
        "r",
        "--event-type",
        "A:B",
        "--full-name",
        "b",
        "--topic",
        "nowhere",
    ]);
    assert!(
        error.contains("TopicNotExist") && error.contains("nowhere"),
        "{error}"
    );
    let error = service.run(&["rule", "show", "nobody"]).fails(1);
    assert!(
        error.contains("EventRuleNotExist") && error.contains("nobody"),
        "{error}"
    );
    let error = service.run(&["queue", "receive", "nowhere"]).fails(1);
    assert!(error.contains("QueueNotExist"), "{error}");
}

#[test]
fn the_exit_status_tells_unusable_from_refused() {
    let nobody = run(
        carillon().args(["rule", "list", "--endpoint", "http://127.0.0.1:1"]),
        "",
    );
    let error = nobody.fails(2);
    assert!(error.contains("carillon up"), "says what to do: {error}");
    run(
        carillon().args(["rule", "list", "--endpoint", "not a url"]),
        "",
    )
    .fails(2);
    run(carillon().args(["no-such-command"]), "").fails(2);
    let everywhere = run(carillon().args(["up", "--listen", "0.0.0.0:0"]), "").fails(2);
    assert!(everywhere.contains("--access-key"), "{everywhere}");
    run(carillon().args(["up", "--access-key", "nosecret"]), "").fails(2);

    let data = tempfile::tempdir().unwrap();
    let _first = Service::start(data.path(), &[]);
    let second = run(
        carillon()
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path()),
        "",
    );
    let error = second.fails(2);
    assert!(
        error.contains(&data.path().display().to_string()),
        "names the folder: {error}"
    );
}

#[test]
fn with_keys_only_signed_requests_are_answered() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(
        data.path(),
        &[
            "--access-key",
            "root:secret",
            "--access-key",
            "viewer:other:read-only",
        ],
    );
    let error = service.run(&["rule", "list"]).fails(1);
    assert!(
        error.contains("Signature")
            || error.contains("AccessKey")
            || error.contains("AccessDenied"),
        "{error}"
    );
    let (status, ..) = service.post_events(br#"{"events":[]}"#);
    assert_eq!(status, 403);
    let as_key = |id: &str, secret: &str, arguments: &[&str]| {
        let mut command = carillon();
        command.args(arguments).args(["--endpoint", &service.url]);
        command
            .env("CARILLON_ACCESS_KEY_ID", id)
            .env("CARILLON_ACCESS_KEY_SECRET", secret);
        run(&mut command, &sample("events/tutorial/bucket-referer.json"))
    };
    as_key("root", "secret", &["queue", "create", "q"]).ok();
    as_key(
        "root",
        "secret",
        &["rule", "create", "DefaultEnRule", "--queue", "q"],
    )
    .ok();
    as_key("root", "secret", &["send", "-"]).ok();
    let received = as_key(
        "root",
        "secret",
        &[
            "queue", "receive", "q", "--wait", "30", "--delete", "--json",
        ],
    )
    .json();
    assert_eq!(received.as_array().unwrap().len(), 1);
    as_key("viewer", "other", &["rule", "list"]).ok();
    as_key("viewer", "other", &["queue", "create", "mine"]).fails(1);
    as_key("root", "guess", &["rule", "list"]).fails(1);
}
