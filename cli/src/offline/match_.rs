//! `carillon match`: events in, the rules that take them out, line by line.

use super::line::Line;
use super::rules::{OverlapArg, Sets, load};
use crate::failure::{Failure, Outcome};
use crate::output::complain;
use carillon_core::event::Product;
use carillon_core::ruleset::{Hits, RuleSet};
use clap::Args;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

/// Say which rules take which events, without a service.
///
/// Reads NDJSON: each line one element of the `events` array of an OSS notification. Writes one line of JSON for each,
/// in order: {"rules":["name"],"default":false}; a line that cannot be read gives {"error":"..."} there, is named on
/// stderr, and makes the exit status 1. Blank lines are passed over. Events of other products carry "product", and
/// "resource" where their rules describe resources.
#[derive(Debug, Args)]
pub(crate) struct MatchArgs {
    /// Rule file: a JSON array of objects with the parameters of CreateEventRule.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// File of events, or - for standard input.
    #[arg(default_value = "-")]
    events: PathBuf,
    /// What to do with rules that claim one event.
    #[arg(long, value_enum, default_value_t)]
    overlap: OverlapArg,
}

/// Longest line, in bytes: well over what any event takes, and a bound on memory.
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// Size of the buffers for reading and writing.
const BUFFER: usize = 256 * 1024;

impl MatchArgs {
    pub(crate) fn run(&self) -> Outcome {
        let sets = load(&self.rules, self.overlap.into())?;
        let output = BufWriter::with_capacity(BUFFER, io::stdout().lock());
        let done = if self.events.as_os_str() == "-" {
            judge(
                &sets,
                BufReader::with_capacity(BUFFER, io::stdin().lock()),
                output,
            )
        } else {
            let file = std::fs::File::open(&self.events)
                .map_err(|error| Failure::file(&self.events, &error))?;
            judge(&sets, BufReader::with_capacity(BUFFER, file), output)
        };
        match done {
            Ok(0) => Ok(()),
            Ok(bad) => Err(Failure::Refused(format!(
                "{bad} of the lines could not be read as events"
            ))),
            // A closed pipe (`| head`) is the reader's choice, not an error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::file(&self.events, &error)),
        }
    }
}

/// Judges line by line. Gives the number of lines that could not be read.
fn judge<R: Read>(sets: &Sets, mut input: BufReader<R>, mut output: impl Write) -> io::Result<u64> {
    let none = RuleSet::default();
    let storage = sets.get(&Product::Oss).unwrap_or(&none);
    let (mut line, mut resource, mut hits) = (Vec::new(), String::new(), Hits::new());
    let (mut number, mut bad) = (0u64, 0u64);
    loop {
        // Whoever waits for the answers to what was sent gets them before we wait for more.
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            output.flush()?;
            return Ok(bad);
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        // Editors of some systems begin a file with this mark.
        let mark = match number {
            1 if line.starts_with("\u{feff}".as_bytes()) => '\u{feff}'.len_utf8(),
            _ => 0,
        };
        let read = if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            skip_line(&mut input)?;
            Err(format!(
                "the line is longer than {MAX_LINE} bytes: an event is at most 64 KiB"
            ))
        } else {
            Line::read(&line[mark..], &mut resource)
        };
        match read {
            Ok(event) => {
                let set = match &event.product {
                    None => storage,
                    Some(product) => sets.get(product).unwrap_or(&none),
                };
                set.covering(&event.event_type, &resource, &mut hits);
                write_hits(&mut output, set, &hits)?;
            }
            Err(message) => {
                bad += 1;
                complain!("line {number}: {message}");
                serde_json::to_writer(&mut output, &serde_json::json!({ "error": message }))?;
                output.write_all(b"\n")?;
            }
        }
    }
}

/// Rule names are letters, digits and hyphens: they need no escapes.
fn write_hits(output: &mut impl Write, set: &RuleSet, hits: &[u32]) -> io::Result<()> {
    output.write_all(br#"{"rules":["#)?;
    for (place, hit) in hits.iter().enumerate() {
        output.write_all(if place == 0 { b"\"" } else { b",\"" })?;
        output.write_all(set.rules()[*hit as usize].name.as_str().as_bytes())?;
        output.write_all(b"\"")?;
    }
    let by_default = hits.is_empty() && set.default_rule().is_some();
    output.write_all(if by_default {
        b"],\"default\":true}\n"
    } else {
        b"],\"default\":false}\n"
    })
}

/// Passes over the rest of a line.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let held = input.fill_buf()?;
        if held.is_empty() {
            return Ok(());
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(held.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}
