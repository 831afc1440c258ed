//! Cold starts: from exec to the first poll of the runtime API, and the memory held then, for each function and for an empty
//! one; and how long ten thousand rules take from the table's answers to ready.
//!
//! `make cold-start` builds and runs it: `cold_start target/release/examples/empty_function target/lambda/carillon-*/bootstrap`.
//!
//! The first path is the floor. Runs take turns, so that a busy moment of the machine falls on all; the median counts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it may stop at the first surprise, and the time is its business"
)]

#[path = "../tests/services/mod.rs"]
mod double;

use carillon_core::event::Timestamp;
use carillon_core::ports::Records;
use carillon_core::rule::{Rule, RuleSpec};
use carillon_core::ruleset::Snapshot;
use carillon_core::topic::{QueueName, Subscription, Target, Topic, auto_names};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 21;
const RULES: usize = 10_000;

fn main() {
    println!(
        "ten thousand rules, from JSON to ready: {:.1} ms",
        ready().as_secs_f64() * 1e3
    );
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let double = double::Double::start();
    let mut runs: Vec<Vec<(Duration, u64)>> = vec![Vec::new(); paths.len()];
    for _ in 0..ROUNDS {
        for (path, runs) in paths.iter().zip(&mut runs) {
            runs.push(start(path, &double.url));
        }
    }
    let mut floor = None;
    println!(
        "{:<44} {:>8} {:>8} {:>7} {:>9} {:>9}",
        "", "median", "least", "floors", "RSS", "size"
    );
    for (path, runs) in paths.iter().zip(&mut runs) {
        runs.sort_unstable();
        let median = runs[runs.len() / 2].0.as_secs_f64() * 1e3;
        let least = runs[0].0.as_secs_f64() * 1e3;
        let memory = runs.iter().map(|(_, kilobytes)| *kilobytes).max().unwrap();
        let size = std::fs::metadata(path).unwrap().len();
        let floor = *floor.get_or_insert(median);
        println!(
            "{:<44} {median:>5.1} ms {least:>5.1} ms {:>6.2}x {:>6.1} MB {:>6.1} MB",
            path.trim_start_matches("target/"),
            median / floor,
            memory as f64 / 1024.0,
            size as f64 / 1e6,
        );
    }
}

/// Time from exec to the first `GET .../invocation/next`, and the kilobytes resident then.
fn start(path: &str, aws: &str) -> (Duration, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let runtime = listener.local_addr().unwrap().to_string();
    let began = Instant::now();
    let mut child = Command::new(path)
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "cold"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", aws),
            ("CARILLON_TABLE", "t"),
            ("CARILLON_STACK", "s"),
            ("CARILLON_SIGNING_SECRET", "keys"),
            ("CARILLON_MATCH_QUEUE_URL", aws),
            ("CARILLON_DELIVER_QUEUE_URL", aws),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let took = began.elapsed();
    assert!(line.contains("/runtime/invocation/next"), "{line}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = resident.unwrap().trim().trim_end_matches(" kB");
    child.kill().unwrap();
    child.wait().unwrap();
    (took, digits.trim().parse().unwrap())
}

/// Time from what the table's items hold to a snapshot that matches.
fn ready() -> Duration {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let (mut rules, mut topics, mut subscriptions) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..RULES {
        let spec: RuleSpec = serde_json::from_value(serde_json::json!({
            "ProductName": "oss", "RuleName": format!("rule-{number}"),
            "EventTypes": ["ObjectCreated:*", "ObjectRemoved:DeleteObject"],
            "MatchRules": [[{"Prefix": format!("bucket-{}/folder-{number}/", number % 100), "Suffix": ".jpg"}],
                           [{"Name": format!("bucket-{}/cover-{number}.png", number % 100)}]],
            "Endpoints": [{"EndpointType": "queue", "EndpointValue": "resize"}],
        }))
        .unwrap();
        let mut rule = Rule::from_spec(spec).unwrap();
        let names = auto_names(&rule.product, &rule.name, now, 0);
        rule.topic = Some(names.topic());
        topics.push(
            serde_json::to_string(&Topic {
                name: names.topic(),
                made_for: Some((rule.product.clone(), rule.name.clone())),
                created: now,
                modified: now,
                max_message_size: Topic::MAX_MESSAGE_SIZE,
                logging: false,
            })
            .unwrap(),
        );
        let target = Target::Queue(QueueName::parse("resize").unwrap());
        let subscription = Subscription::auto(names.topic(), names.subscription(1), target, now);
        subscriptions.push(serde_json::to_string(&subscription).unwrap());
        rules.push(serde_json::to_string(&rule).unwrap());
    }
    let began = Instant::now();
    let snapshot = Snapshot::build(Records {
        version: 1,
        rules: read(&rules),
        topics: read(&topics),
        subscriptions: read(&subscriptions),
    });
    let took = began.elapsed();
    assert_eq!(snapshot.topics().count(), RULES);
    took
}

fn read<T: serde::de::DeserializeOwned>(docs: &[String]) -> Vec<T> {
    docs.iter()
        .map(|doc| serde_json::from_str(doc).unwrap())
        .collect()
}
