//! `carillon check`: what is wrong with a rule file, and what is odd.

use super::rules::{OverlapArg, read};
use crate::failure::{Failure, Outcome};
use crate::output::{BAD, DIM, GOOD, print_json, say};
use carillon_core::ruleset::{MAX_COUNTED, check_under};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Validate a rule file, without a service.
///
/// Lists every fault, every pair of rules that claim one event (the first thousand, each with such an event, then a
/// count), and what is sound but hardly meant. Exit status: 0 sound, 1 faults or conflicts, 2 unusable file.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Rule file: a JSON array of objects with the parameters of CreateEventRule; - for standard input.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// What to do with rules that claim one event; allowed, patterns within those of another rule are warned of.
    #[arg(long, value_enum, default_value_t)]
    overlap: OverlapArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(crate) fn run(&self) -> Outcome {
        let file = read(&self.rules)?;
        let report = check_under(&file, self.overlap.into());
        if self.json {
            let conflicts: Vec<_> = report
                .conflicts
                .iter()
                .map(|conflict| {
                    json!({
                        "rules": [conflict.other.as_str(), conflict.rule.as_str()],
                        "witness": {
                            "eventName": conflict.witness.event_type.as_str(),
                            "resource": conflict.witness.resource,
                        },
                    })
                })
                .collect();
            print_json(&json!({
                "errors": report.errors,
                "warnings": report.warnings,
                "conflicts": conflicts,
                "conflictCount": report.conflict_count,
            }));
        } else {
            for fault in &report.errors {
                say!("{BAD}error:{BAD:#} {fault}");
            }
            for conflict in &report.conflicts {
                say!("{BAD}conflict:{BAD:#} {conflict}");
            }
            let unlisted = report.conflict_count - report.conflicts.len();
            if unlisted > 0 {
                let least = if report.conflict_count >= MAX_COUNTED {
                    "at least "
                } else {
                    ""
                };
                say!("{BAD}conflict:{BAD:#} and {least}{unlisted} more pairs");
            }
            for warning in &report.warnings {
                say!("{DIM}warning:{DIM:#} {warning}");
            }
        }
        if !report.is_sound() {
            return Err(Failure::Refused(format!(
                "{}: {} faults, {} conflicts",
                self.rules.display(),
                report.errors.len(),
                report.conflict_count
            )));
        }
        if !self.json {
            say!("{GOOD}sound{GOOD:#} {} rules", file.rules.len());
        }
        Ok(())
    }
}
