//! The commands that need no service, as a process: output, order, exit status.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A file that is gone with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("carillon-offline-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Temporary(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn carillon(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_carillon"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn rule(name: &str, event_type: &str, clause: Value) -> Value {
    json!({
        "ProductName": "oss", "RuleName": name, "EventTypes": [event_type], "MatchRules": [[clause]],
        "Endpoint": {"EndpointType": "queue", "EndpointValue": "q"},
    })
}

fn event(name: &str, bucket: &str, key: &str) -> String {
    json!({"eventName": name, "oss": {"bucket": {"name": bucket}, "object": {"key": key}, "ruleId": "ignored"}}).to_string()
}

#[test]
fn match_answers_line_by_line() {
    let default = json!({
        "ProductName": "oss", "RuleName": "DefaultEnRule", "EventTypes": ["Default"],
        "Endpoint": {"EndpointType": "queue", "EndpointValue": "q"},
    });
    let movies = rule("movies", "ObjectCreated:*", json!({"Prefix": "movie/"}));
    let rules = Temporary::new("rules", &json!([movies, default]).to_string());
    let lines = [
        event("ObjectCreate:AppendObject", "movie", "é \"x\".avi"),
        "{\"eventName\":".to_owned(),
        event("ObjectRemoved:DeleteObject", "movie", "x"),
        json!({"eventName": "SuperResolveVideo", "product": "viapi"}).to_string(),
    ];
    let output = carillon(&["match", "--rules", rules.path()], &lines.join("\n"));
    let printed: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(printed.len(), 4);
    assert_eq!(printed[0], json!({"rules": ["movies"], "default": false}));
    assert!(printed[1]["error"].is_string());
    assert_eq!(printed[2], json!({"rules": [], "default": true}));
    assert_eq!(printed[3], json!({"rules": [], "default": false}));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("line 2"));
}

/// Editors of some systems begin a file with a byte order mark.
#[test]
fn a_mark_before_the_first_event_is_passed_over() {
    let movies = rule("movies", "ObjectCreated:*", json!({"Prefix": "movie/"}));
    let rules = Temporary::new("marked-rules", &format!("\u{feff}{}", json!([movies])));
    let line = event("ObjectCreated:PutObject", "movie", "x.avi");
    let output = carillon(
        &["match", "--rules", rules.path()],
        &format!("\u{feff}{line}\r\n{line}"),
    );
    let answer = "{\"rules\":[\"movies\"],\"default\":false}\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), answer.repeat(2));
    assert_eq!(output.status.code(), Some(0));
    let file = Temporary::new("marked-event", &format!("\u{feff}{line}"));
    let output = carillon(&["explain", "--rules", rules.path(), file.path()], "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn invoke_tells_why_a_body_gives_no_event() {
    let output = carillon(&["invoke", "ingest", "-"], r#"{"Event": "s3:TestEvent"}"#);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nothing to tell: s3:TestEvent"), "{said}");
}

#[test]
fn overlaps_are_refused_unless_allowed() {
    let rules = Temporary::new(
        "overlap",
        &json!([
            rule("prefix", "ObjectCreated:*", json!({"Prefix": "movie/"})),
            rule(
                "suffix",
                "ObjectCreated:PutObject",
                json!({"Suffix": ".avi"})
            ),
        ])
        .to_string(),
    );
    let line = event("ObjectCreated:PutObject", "movie", "x.avi");
    let refused = carillon(&["match", "--rules", rules.path()], &line);
    assert_eq!(
        (refused.status.code(), refused.stdout.as_slice()),
        (Some(1), b"".as_slice())
    );
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("movie/x.avi")
    );
    let allowed = carillon(
        &["match", "--rules", rules.path(), "--overlap", "allow", "-"],
        &line,
    );
    assert_eq!(
        String::from_utf8(allowed.stdout).unwrap(),
        "{\"rules\":[\"prefix\",\"suffix\"],\"default\":false}\n"
    );
    assert_eq!(allowed.status.code(), Some(0));

    let checked = carillon(&["check", "--rules", rules.path(), "--json"], "");
    assert_eq!(checked.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["errors"], json!([]));
    assert_eq!(
        report["conflicts"],
        json!([{"rules": ["prefix", "suffix"],
                "witness": {"eventName": "ObjectCreated:PutObject", "resource": "movie/x.avi"}}])
    );
}

#[test]
fn check_tells_sound_unsound_and_unusable_apart() {
    let sound = Temporary::new(
        "sound",
        &json!([rule("a", "ObjectCreated:*", json!({"Prefix": "a/"}))]).to_string(),
    );
    assert_eq!(
        carillon(&["check", "--rules", sound.path()], "")
            .status
            .code(),
        Some(0)
    );
    let odd = Temporary::new(
        "odd",
        &json!([rule("a", "ObjectCreated:*", json!({"Prefix": 7}))]).to_string(),
    );
    let output = carillon(&["check", "--rules", odd.path(), "--json"], "");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors"][0]["field"], "MatchRules[0][0].Prefix");
    let none = Temporary::new("none", "{}");
    assert_eq!(
        carillon(&["check", "--rules", none.path()], "")
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        carillon(&["check", "--rules", "/no/such/file"], "")
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn explain_names_the_winner_and_what_kept_the_others_away() {
    let rules = Temporary::new(
        "explain",
        &json!([
            rule("movie", "ObjectCreated:*", json!({"Prefix": "movie/"})),
            rule("photos", "ObjectCreated:*", json!({"Prefix": "photos/"})),
        ])
        .to_string(),
    );
    let line = event("ObjectCreated:PutObject", "movies", "x.avi");
    let output = carillon(&["explain", "--rules", rules.path(), &line], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("prefix differs at byte 6: have \"movies/\"..., want \"movie/\""),
        "{text}"
    );
    let line = event("ObjectCreated:PutObject", "movie", "x.avi");
    let output = carillon(&["explain", "--rules", rules.path(), "--json", "-"], &line);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&answer["rules"], &answer["others"][0]["rule"]),
        (&json!(["movie"]), &json!("photos"))
    );
}
