//! `carillon rule apply` and `carillon tail`, as a person and a script would use them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use support::{Service, carillon};

fn rule(name: &str, prefix: &str) -> Value {
    json!({"ProductName": "oss", "RuleName": name, "EventTypes": ["ObjectCreated:*"],
        "MatchRules": [[{"Prefix": prefix}]],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "q"}]})
}

struct Place {
    service: Service,
    data: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let service = Service::start(&data.path().join("store"), &[]);
        service.run(&["queue", "create", "q"]).ok();
        Place { service, data }
    }

    fn file(&self, rules: &Value) -> PathBuf {
        let path = self.data.path().join("rules.json");
        std::fs::write(&path, rules.to_string()).unwrap();
        path
    }

    fn apply(&self, rules: &Value, more: &[&str]) -> support::Ran {
        let file = self.file(rules);
        let arguments = [&["rule", "apply", file.to_str().unwrap()], more].concat();
        self.service.run(&arguments)
    }
}

#[test]
fn a_plan_is_shown_and_applied_only_when_told_to() {
    let place = Place::new();
    let file = json!([rule("a", "a/"), rule("b", "b/")]);
    let plan = place.apply(&file, &["--dry-run"]).ok();
    assert!(plan.contains("+ create rule a (oss)"), "{plan}");
    assert!(plan.contains("MatchRules   a/*"), "{plan}");
    assert!(plan.contains("plan: 2 to create"), "{plan}");
    // No terminal to ask at, and no --yes: refused, with what to do.
    let refused = place.apply(&file, &[]).fails(1);
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(
        place.service.run(&["rule", "list", "--json"]).json(),
        json!([])
    );

    let done = place.apply(&file, &["--yes"]).ok();
    assert!(done.contains("applied 2 to create"), "{done}");
    let again = place.apply(&file, &["--yes"]).ok();
    assert!(again.contains("nothing to do: 2 unchanged"), "{again}");

    place.service.run(&["rule", "disable", "b"]).ok();
    let next = json!([rule("b", "b/"), rule("c", "a/")]);
    let plan = place.apply(&next, &["--yes", "--json"]).json();
    assert_eq!(plan["Applied"], true);
    let steps = plan["Steps"].as_array().unwrap().iter();
    let steps: Vec<_> = steps
        .map(|step| (&step["Action"], &step["RuleName"]))
        .collect();
    assert_eq!(
        json!(steps),
        json!([["Delete", "a"], ["Enable", "b"], ["Create", "c"]])
    );
    let kept = place.apply(&json!([]), &["--keep-others"]).ok();
    assert!(kept.contains("nothing to do"), "{kept}");
}

#[test]
fn a_faulty_file_is_told_whole_and_nothing_is_applied() {
    let place = Place::new();
    place
        .apply(&json!([rule("held", "held/")]), &["--yes"])
        .ok();
    let mut nowhere = rule("nowhere", "n/");
    nowhere["Endpoints"][0]["EndpointValue"] = json!("no-such-queue");
    for (file, told) in [
        (
            json!([rule("1st", "a/"), rule("2nd", "b/")]),
            ["1st", "2nd"],
        ),
        (
            json!([rule("x", "x/"), rule("y", "x/y/")]),
            ["\"x\"", "\"y\""],
        ),
        (json!([nowhere]), ["nowhere", "no-such-queue"]),
    ] {
        let refused = place.apply(&file, &["--yes"]).fails(1);
        for part in told {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
    place.apply(&json!({"not": "a list"}), &["--yes"]).fails(2);
    let rules = place.service.run(&["rule", "list", "--json"]).json();
    assert_eq!(rules[0]["RuleName"], "held");
    assert_eq!(rules.as_array().unwrap().len(), 1);
}

#[test]
fn what_is_exported_is_what_was_applied() {
    let place = Place::new();
    let mut off = rule("off", "off/");
    off["Enabled"] = json!(false);
    let default = json!({"ProductName": "oss", "RuleName": "DefaultEnRule", "EventTypes": ["Default"],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "q"}]});
    let own = json!({"ProductName": "billing", "RuleName": "all", "EventTypes": ["Invoice:*"],
        "MatchRules": [[{"Prefix": "x", "Suffix": "y"}], [{"Name": "z"}, {"MatchState": false, "Suffix": "w"}]],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "q"}]});
    place
        .apply(&json!([off, default, own, rule("on", "on/")]), &["--yes"])
        .ok();
    let exported = place.service.run(&["rule", "export"]).json();
    assert_eq!(exported.as_array().unwrap().len(), 4);
    let same = place.apply(&exported, &["--yes"]).ok();
    assert!(same.contains("nothing to do: 4 unchanged"), "{same}");
    // The same rules in an empty service are the same rules.
    let other = Place::new();
    other.apply(&exported, &["--yes"]).ok();
    assert_eq!(other.service.run(&["rule", "export"]).json(), exported);
}

/// An address that stays free while nobody listens on it: below the ports that systems give to whoever asks for any.
fn address() -> String {
    let first = std::process::id() % 10_000;
    let mut addresses = (0..10_000).map(|n| format!("127.0.0.1:{}", 20_000 + (first + n) % 10_000));
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    free.expect("one of ten thousand ports is free")
}

/// The service is killed and started again on the same address: the follower waits for it and shows what comes then.
#[test]
fn a_tail_goes_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("store");
    let address = address();
    let service = Service::start(&store, &["--listen", &address]);
    service.run(&["queue", "create", "q"]).ok();
    let created = [
        "rule",
        "create",
        "r",
        "--event-type",
        "ObjectCreated:*",
        "--full-name",
        "event-notification-test",
        "--queue=q",
    ];
    service.run(&created).ok();
    let mut tail = carillon()
        .args(["tail", "--rule", "r", "--json", "--count", "2"])
        .args(["--endpoint", &service.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(tail.stdout.take().unwrap());
    let mut told = BufReader::new(tail.stderr.take().unwrap());
    let put = support::sample("events/tutorial/s3-put.json");
    let mut line = String::new();
    service.run_with(&["send", "-"], &put).ok();
    shown.read_line(&mut line).unwrap();
    let first: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&first["RuleName"], &first["Outcome"]),
        (&json!("r"), &json!("success"))
    );

    service.kill();
    line.clear();
    told.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for it"), "{line}");
    let service = Service::start(&store, &["--listen", &address]);
    let later = put.replace("577BCD4FF3D45CE477F2", "577BCD4FF3D45CE477F3");
    service.run_with(&["send", "-"], &later).ok();
    line.clear();
    shown.read_line(&mut line).unwrap();
    let second: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(second["RuleName"], "r");
    assert!(tail.wait().unwrap().success(), "it was asked for two");
}
