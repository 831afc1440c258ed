//! What decoding one S3 record costs, beside what `serde_json` needs to parse the same text in the same run.
//!
//! `cargo bench -p carillon-ingest` prints a line for each, and the ratios. The measure is the median of many rounds of
//! the two in turn, so that a busy machine slows both alike.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use carillon_ingest::{Hint, Settings, decode};
use serde::Deserialize;
use std::hint::black_box;
use std::time::Instant;

/// The members that decoding reads, owned, as a first draft would have them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code)]
struct Typed {
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Record {
    event_version: String,
    event_source: String,
    aws_region: String,
    event_time: String,
    event_name: String,
    user_identity: User,
    request_parameters: Request,
    response_elements: Response,
    s3: S3,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct User {
    principal_id: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Request {
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Response {
    #[serde(rename = "x-amz-request-id")]
    request_id: String,
    #[serde(rename = "x-amz-id-2")]
    id_2: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct S3 {
    s3_schema_version: String,
    configuration_id: String,
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Bucket {
    name: String,
    owner_identity: User,
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Object {
    key: String,
    size: u64,
    e_tag: String,
    version_id: Option<String>,
    sequencer: String,
}

const ROUNDS: usize = 200;
const TIMES: usize = 500;

/// Nanoseconds of one call.
fn time<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(work());
    }
    start.elapsed().as_nanos() as f64 / TIMES as f64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../events/ingest/bodies/s3-object-created-put.json"
    );
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(sample).unwrap()).unwrap();
    // On the wire S3 writes no blanks.
    let body = value.to_string();
    let body = body.as_str();
    let (hint, settings) = (Hint::default(), Settings::default());

    let mut as_value = Vec::with_capacity(ROUNDS);
    let mut as_typed = Vec::with_capacity(ROUNDS);
    let mut decoded = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        as_value.push(time(|| {
            serde_json::from_str::<serde_json::Value>(black_box(body)).unwrap()
        }));
        as_typed.push(time(|| {
            serde_json::from_str::<Typed>(black_box(body)).unwrap()
        }));
        decoded.push(time(|| {
            decode(black_box(body.as_bytes()), &hint, &settings).unwrap()
        }));
    }
    let (as_value, as_typed, decoded) = (median(as_value), median(as_typed), median(decoded));
    println!("one S3 record, {} bytes", body.len());
    println!("serde_json to Value             {as_value:8.0} ns");
    println!("serde_json to owned structs     {as_typed:8.0} ns");
    println!("decode to an event              {decoded:8.0} ns");
    println!("decode / parse to Value         {:8.2}", decoded / as_value);
    println!("decode / parse to owned structs {:8.2}", decoded / as_typed);
}
