//! Seconds of fuzzing in every test run: every sample with bytes changed, by a seeded generator, so that a failure comes
//! again. What is decoded must pack and be read again; nothing may panic. Every source is reached, and the count is
//! printed (`cargo test -p carillon-ingest --test fuzz -- --nocapture`).

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use carillon_core::envelope::{Packer, open_events};
use carillon_ingest::{DeltaSize, Hint, Settings, SourceKind, decode};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// xorshift64*: which bytes change does not matter, only that many do, and the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

const WORDS: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "1e309",
    "1.0",
    "18446744073709551616",
    "%",
    "%zz",
    "+",
    "&",
    "=",
    "\u{feff}",
    "é",
    "\u{ffff}",
    "*",
    "/",
    "\n",
    "\u{0}",
    "\"\"",
    "\"ew==\"",
    "[]",
    "{}",
    "\"Records\":",
    "\"detail\":",
    "\"Message\":",
    "\"jobId\":",
];

fn mutate(draw: &mut Draw, body: &mut Vec<u8>) {
    for _ in 0..1 + draw.below(3) {
        let at = draw.below(body.len() + 1);
        match draw.below(6) {
            0 if at < body.len() => body[at] ^= 1 << draw.below(8),
            1 if at < body.len() => drop(body.remove(at)),
            2 => {
                let end = (at + draw.below(16)).min(body.len());
                body.drain(at..end);
            }
            3 => {
                let end = (at + draw.below(64)).min(body.len());
                let piece = body[at..end].to_vec();
                let to = draw.below(body.len() + 1);
                body.splice(to..to, piece);
            }
            4 if draw.below(8) == 0 => body.truncate(at),
            _ => {
                let word = WORDS[draw.below(WORDS.len())];
                body.splice(at..at, word.bytes());
            }
        }
    }
}

#[test]
fn changed_samples_of_every_source_neither_panic_nor_break_the_packing() {
    let plain = Settings::default();
    let all = Settings {
        delta_size: DeltaSize::Index,
        mark_stale: true,
        x_vars_from_metadata: true,
        x_vars_from_head_object: true,
        invented: carillon_ingest::Invented::Emit,
        cloudtrail: carillon_ingest::CloudTrailScope::All,
        keyless_delete_objects: true,
        tiering_is_storage_class: true,
        ..Settings::default()
    };
    let hint = Hint::default();
    // Bare bodies of a product of the user's own are told by their header alone.
    let own = Hint {
        product: Some("billing".into()),
        headers: vec![("x-carillon-event-type".into(), "Invoice:Sent".into())],
        ..Hint::default()
    };
    // With these two it changes other bytes, for longer. The fuzzer that is guided by coverage is `make fuzz`.
    let number = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
    let seed = number("CARILLON_FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15);
    let patience = Duration::from_secs(number("CARILLON_FUZZ_SECONDS").unwrap_or(0));
    println!("seed {seed}");
    let began = Instant::now();
    let mut draw = Draw(seed.max(1));
    let mut reached: HashMap<SourceKind, usize> = HashMap::new();
    let mut runs = 0;
    let samples: Vec<_> = common::bodies().into_iter().collect();
    let passes = (0..).take_while(|pass| *pass == 0 || began.elapsed() < patience);
    for (name, sample) in passes.flat_map(|_| &samples) {
        for round in 0..800 {
            let mut body = sample.clone();
            mutate(&mut draw, &mut body);
            let settings = if round % 2 == 0 { &plain } else { &all };
            let hint = if name.starts_with("own-") && round % 3 == 0 {
                &own
            } else {
                &hint
            };
            runs += 1;
            let Ok(decoded) = decode(&body, hint, settings) else {
                continue;
            };
            if let Some(kind) = decoded.kind {
                *reached.entry(kind).or_default() += 1;
            }
            let mut packer = Packer::new();
            let packed: Vec<_> = decoded
                .events
                .into_iter()
                .filter(|event| packer.push(event).is_ok())
                .collect();
            let read: Vec<_> = packer
                .finish()
                .iter()
                .flat_map(|message| open_events(message).unwrap())
                .collect();
            assert_eq!(read, packed, "{name}: {:?}", String::from_utf8_lossy(&body));
        }
    }
    for kind in SourceKind::ALL {
        let times = reached.get(kind).copied().unwrap_or_default();
        println!("{kind}: read {times} times");
        assert!(times > 20, "{kind} was read {times} times in {runs} runs");
    }
    println!("{runs} runs");
}
