//! What decoding one S3 record costs, beside what `serde_json` needs to parse the same text in the same run.
//!
//! `cargo bench -p carillon-ingest` prints a line for each, and the ratios. The measure is the median of many rounds of
//! the two in turn, so that a busy machine slows both alike.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use carillon_ingest::{Hint, Settings, decode};
use std::hint::black_box;
use std::time::Instant;

mod sample;

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
    let body = sample::body();
    let body = body.as_str();
    let (hint, settings) = (Hint::default(), Settings::default());

    let mut as_value = Vec::with_capacity(ROUNDS);
    let mut as_typed = Vec::with_capacity(ROUNDS);
    let mut decoded = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        as_value.push(time(|| {
            serde_json::from_str::<serde_json::Value>(black_box(body)).unwrap()
        }));
        as_typed.push(time(|| sample::parse(black_box(body))));
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
