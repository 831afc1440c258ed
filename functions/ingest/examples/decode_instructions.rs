//! Decodes one S3 notification, or parses it as JSON, a number of times: what `benches/instructions.sh` counts the
//! instructions of.
//!
//! `decode_instructions decode|parse TIMES`

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use carillon_ingest::{Hint, Settings, decode};
use std::hint::black_box;

#[path = "../benches/sample/mod.rs"]
mod sample;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(what), Some(Ok(times))) = (
        arguments.next(),
        arguments.next().map(|times| times.parse::<usize>()),
    ) else {
        eprintln!("decode_instructions decode|parse TIMES");
        std::process::exit(2);
    };
    let body = sample::body();
    let (hint, settings) = (Hint::default(), Settings::default());
    for _ in 0..times {
        let body = black_box(body.as_str());
        if what == "decode" {
            black_box(decode(body.as_bytes(), &hint, &settings).unwrap());
        } else {
            black_box(sample::parse(body));
        }
    }
}
