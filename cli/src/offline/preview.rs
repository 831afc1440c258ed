//! `carillon preview`: what a rule that is not stored yet would do.

use super::line::Line;
use super::rules::{load, read};
use crate::failure::{Failure, Outcome};
use crate::output::{complain, print_json, say};
use carillon_core::event::Product;
use carillon_core::ruleset::{Moved, Overlap, RuleSet, preview};
use clap::Args;
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::PathBuf;

/// Show which events a rule would take, and from whom, without a service.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Rule file of the rules that hold today.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// Rule file with the one rule to preview.
    #[arg(long, value_name = "FILE")]
    rule: PathBuf,
    /// File of events, one a line, or - for standard input.
    #[arg(default_value = "-")]
    events: PathBuf,
    /// How many events and conflicts to list.
    #[arg(long, default_value_t = 20, value_name = "N")]
    examples: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl PreviewArgs {
    pub(crate) fn run(&self) -> Outcome {
        let sets = load(&self.rules, Overlap::Allow)?;
        let file = read(&self.rule)?;
        for fault in &file.faults {
            complain!("{}: {fault}", self.rule.display());
        }
        let [rule] = file.rules.as_slice() else {
            return Err(Failure::Refused(format!(
                "{} holds {} sound rules: give an array of exactly one",
                self.rule.display(),
                file.rules.len()
            )));
        };
        let (events, bad) = self.read_events(&rule.product)?;
        let none = RuleSet::default();
        let set = sets.get(&rule.product).unwrap_or(&none);
        let pairs = events
            .iter()
            .map(|(event_type, resource)| (event_type.as_str(), resource.as_str()));
        let preview = preview(set, rule, pairs, self.examples);

        if self.json {
            let taken: Vec<Value> = preview
                .taken
                .iter()
                .map(|(from, count)| json!({ "from": from.to_string(), "events": count }))
                .collect();
            let conflicts: Vec<Value> = preview
                .conflicts
                .iter()
                .map(|conflict| {
                    json!({
                        "rule": conflict.other.as_str(),
                        "witness": {
                            "eventName": conflict.witness.event_type.as_str(),
                            "resource": conflict.witness.resource,
                        },
                    })
                })
                .collect();
            print_json(&json!({
                "events": preview.events,
                "taken": preview.taken_count(),
                "from": taken,
                "lost": preview.lost,
                "takenExamples": preview.taken_examples.iter().map(moved).collect::<Vec<_>>(),
                "lostExamples": preview.lost_examples.iter().map(moved).collect::<Vec<_>>(),
                "conflicts": conflicts,
            }));
        } else {
            let text = preview.text(rule.name.as_str(), |_| String::new());
            say!("{}", text.trim_end());
        }
        match bad {
            0 => Ok(()),
            bad => Err(Failure::Refused(format!(
                "{bad} of the lines could not be read as events"
            ))),
        }
    }

    /// Types and resources of the product's events, and how many lines could not be read.
    fn read_events(&self, product: &Product) -> Result<(Vec<(String, String)>, usize), Failure> {
        let input: Box<dyn BufRead> = if self.events.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            let file = std::fs::File::open(&self.events)
                .map_err(|error| Failure::file(&self.events, &error))?;
            Box::new(std::io::BufReader::new(file))
        };
        let (mut events, mut bad) = (Vec::new(), 0);
        for (number, line) in input.split(b'\n').enumerate() {
            let line = line.map_err(|error| Failure::file(&self.events, &error))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let mut resource = String::new();
            match Line::read(&line, &mut resource) {
                Ok(event) if event.product.as_ref().unwrap_or(&Product::Oss) == product => {
                    events.push((event.event_type.into_owned(), resource));
                }
                Ok(_) => {}
                Err(message) => {
                    bad += 1;
                    complain!("line {}: {message}", number + 1);
                }
            }
        }
        Ok((events, bad))
    }
}

fn moved(moved: &Moved) -> Value {
    json!({ "event": moved.event, "eventName": moved.event_type, "resource": moved.resource, "from": moved.from.to_string() })
}
