//! Seconds of fuzzing in every test run: the fuzz targets over kept inputs and mutations of them, with a seeded generator.
//! The long form, guided by coverage, is in `tests/fuzz`.

use crate::rng::Rng;
use std::panic::catch_unwind;
use std::path::Path;

#[allow(
    unreachable_pub,
    reason = "the fuzz crate shares it, and there it is public"
)]
#[path = "../fuzz/targets.rs"]
pub(crate) mod targets;

/// Inputs worth mutating: one of each shape.
const KEPT: &[&str] = &[
    r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-11-20T08:00:00.123Z","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"movie"},"object":{"key":"hello+world%21.avi","size":1024,"sequencer":"0055"}}}]}"#,
    r#"{"events":[{"eventName":"ObjectCreated:PutObject","oss":{"bucket":{"name":"b"},"object":{"key":"k","deltaSize":-3},"ruleId":"r"},"xVars":{"x:a":"b"}}]}"#,
    r#"{"Type":"Notification","TopicArn":"arn:aws:sns:r:1:t","Message":"{\"Records\":[]}"}"#,
    r#"{"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k","size":5,"sequencer":"00"}}}"#,
    "env_id=1&msg_id=<a@b>&account=a&from=a&rcpt=b&recv_time=2020-01-01 00:00:00&end_time=2020-01-01 00:00:01&status=0&event=deliver&region=r&err_code=250&err_msg=250 Send Mail OK",
    r#"{"jobId":"1","result":{"VideoUrl":""},"status":"PROCESS_SUCCESS"}"#,
    r#"{"v":1,"items":[{"topic":"t","subscription":"s","version":1,"notification":{"message_id":"00000000000000000000000000000001","product":"oss","rule":"r","event_type":"A:B","body":"x","published":1}}]}"#,
    r#"{"v":1,"items":[{"product":"oss","type":"A:B","resource":"b/k","time":1,"id":"00000000000000000000000000000001","body":{"oss":{"at":8,"event":{"oss":{}}}}}]}"#,
    r#"[{"ProductName":"oss","RuleName":"r","EventTypes":["ObjectCreated:*"],"MatchRules":[[{"Prefix":"a/","Suffix":".b","MatchState":"false"}]],"Endpoints":[{"EndpointType":"http","EndpointValue":"https://example.com"}]}]"#,
    "https://user@example.com:8443/a?b=c#d",
    "http://[::ffff:7f00:1]:80/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://localhost.:80",
    "Wed, 21 Oct 2015 07:28:00 GMT\nWed, 21 Oct 2015 07:27:00 GMT",
    "120",
    "99999999999999999999",
    "* oss:ObjectCreate:Append",
    "2016-07-05T15:07:59.000Z",
];

const DICTIONARY: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\\u0000",
    "null",
    "-1",
    "1e309",
    "%",
    "+",
    "\u{feff}",
    "é",
    "*",
    "/",
    "@",
    "\n",
    "9999999999999999999999",
    "oss",
    "at",
];

fn mutate(rng: &mut Rng, input: &mut Vec<u8>) {
    for _ in 0..rng.between(1, 4) {
        let at = rng.below(input.len() + 1);
        match rng.below(6) {
            0 if at < input.len() => input[at] ^= 1 << rng.below(8),
            1 if at < input.len() => {
                input.remove(at);
            }
            2 => input.truncate(at),
            3 => {
                let to = (at + rng.below(24)).min(input.len());
                let piece = input[at..to].to_vec();
                let here = rng.below(input.len() + 1);
                input.splice(here..here, piece);
            }
            4 => {
                let to = (at + rng.below(12)).min(input.len());
                input.drain(at..to);
            }
            _ => {
                let word = *rng.pick(DICTIONARY);
                input.splice(at..at, word.bytes());
            }
        }
    }
}

/// The bytes of all files below a folder, in a fixed order.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(path) {
                found.push(bytes);
            }
        }
    }
    found
}

fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        panic!("{name} panics on {:?}", String::from_utf8_lossy(input));
    }
}

/// What the fuzzer found worth keeping for each target, what once failed among it, and every sample event.
#[test]
fn kept_inputs_make_no_reader_panic() {
    let samples = files("../events");
    assert!(samples.len() > 100, "the samples are there");
    for (name, target, _) in targets::TARGETS {
        let corpus = files(&format!("fuzz/corpus/{name}"));
        assert!(!corpus.is_empty(), "{name} has a kept corpus");
        for input in corpus.iter().chain(&samples) {
            run(name, *target, input);
        }
    }
}

#[test]
fn no_input_makes_a_reader_panic() {
    let mut rng = Rng::new(17);
    for (name, target, rounds) in targets::TARGETS {
        let mut corpus = files(&format!("fuzz/corpus/{name}"));
        corpus.extend(KEPT.iter().map(|text| text.as_bytes().to_vec()));
        corpus.extend(files("../events"));
        for _ in 0..*rounds {
            let mut input = corpus[rng.below(corpus.len())].clone();
            mutate(&mut rng, &mut input);
            run(name, *target, &input);
        }
    }
}
