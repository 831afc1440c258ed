//! `carillon dead-letter`: what could not be delivered, and why.

use super::pieces;
use super::queue::decoded;
use super::selection::Selection;
use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{DIM, GOOD, plain, print_json, print_table, progress, say};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Look at dead letters, send them again, delete them.
#[derive(Debug, Args)]
pub(crate) struct DeadLetterArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: DeadLetterCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLetterCommand {
    /// List dead letters, newest first.
    List {
        #[command(flatten)]
        selection: Selection,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Only those whose reason, resource or event type contains this.
        #[arg(long, value_name = "TEXT")]
        containing: Option<String>,
    },
    /// Show one, with its body and its attempts.
    Show {
        /// Its id, as list prints it.
        id: String,
    },
    /// Send again, under the same message ids: those named, those selected, or --all.
    Redrive(Which),
    /// Delete: those named, those selected, or --all.
    Delete(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// Ids, as list prints them.
    ids: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Every dead letter.
    #[arg(long)]
    all: bool,
}

impl Which {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = self.selection.parameters();
        if !self.ids.is_empty() {
            parameters.push(("Ids", json!(self.ids).to_string()));
        }
        if self.all {
            parameters.push(("All", "true".to_owned()));
        }
        parameters
    }
}

impl DeadLetterArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        match &self.command {
            DeadLetterCommand::List {
                selection,
                limit,
                containing,
            } => {
                let mut letters =
                    pieces(&client, "ListDeadLetters", &selection.parameters(), *limit)?;
                if let Some(text) = containing {
                    letters.retain(|letter| {
                        ["Reason", "Resource", "EventType"]
                            .iter()
                            .any(|member| plain(&letter[*member]).contains(text))
                    });
                }
                self.list(letters);
            }
            DeadLetterCommand::Show { id } => {
                let letter = client.action("GetDeadLetter", &[("Id", id.clone())])?;
                self.show(&letter);
            }
            DeadLetterCommand::Redrive(which) => {
                let data = self.redrive(&client, which)?;
                self.done("sent again", &data, "Redriven");
            }
            DeadLetterCommand::Delete(which) => {
                let data = client.action("DeleteDeadLetters", &which.parameters())?;
                self.done("deleted", &data, "Deleted");
            }
        }
        Ok(())
    }

    /// Those selected are counted first and then sent again piece by piece, so that a person sees how far it is; what
    /// fails again meanwhile is not sent once more.
    fn redrive(&self, client: &Client, which: &Which) -> Result<Value, Failure> {
        let whole =
            !which.ids.is_empty() || (!which.all && which.selection.parameters().is_empty());
        if whole {
            return client.action("RedriveDeadLetters", &which.parameters());
        }
        let letters = pieces(
            client,
            "ListDeadLetters",
            &which.selection.parameters(),
            usize::MAX,
        )?;
        let ids: Vec<&Value> = letters.iter().map(|letter| &letter["Id"]).collect();
        let bar = progress(Some(ids.len() as u64), "sending again", self.service.json);
        let mut redriven = 0;
        for part in ids.chunks(100) {
            let part_ids = [("Ids", json!(part).to_string())];
            let data = client.action("RedriveDeadLetters", &part_ids)?;
            redriven += data["Redriven"].as_u64().unwrap_or(0);
            bar.inc(part.len() as u64);
        }
        bar.finish_and_clear();
        Ok(json!({ "Redriven": redriven }))
    }

    fn list(&self, letters: Vec<Value>) {
        if self.service.json {
            print_json(&Value::from(letters));
            return;
        }
        let columns = [
            "Id",
            "Time",
            "Kind",
            "RuleName",
            "SubscriptionName",
            "EventType",
            "Resource",
            "Attempts",
            "Reason",
        ];
        let rows = letters
            .iter()
            .map(|letter| {
                columns
                    .iter()
                    .map(|column| plain(&letter[*column]))
                    .collect()
            })
            .collect();
        print_table(
            &[
                "id",
                "time",
                "kind",
                "rule",
                "subscription",
                "event",
                "resource",
                "attempts",
                "reason",
            ],
            rows,
        );
    }

    fn show(&self, letter: &Value) {
        if self.service.json {
            print_json(letter);
            return;
        }
        let Value::Object(members) = letter else {
            return;
        };
        for (name, value) in members {
            match (name.as_str(), value) {
                ("Body", Value::String(body)) => {
                    say!("{DIM}body{DIM:#}");
                    say!("{}", decoded(body).unwrap_or_else(|| body.clone()));
                }
                ("History", Value::Array(attempts)) => {
                    say!("{DIM}attempts{DIM:#}");
                    for attempt in attempts {
                        let parts = ["Time", "Outcome", "StatusCode", "Detail"]
                            .map(|member| plain(&attempt[member]));
                        say!("  {}", parts.join("  ").trim_end());
                    }
                }
                _ => say!("{DIM}{name:<16}{DIM:#} {}", plain(value)),
            }
        }
    }

    fn done(&self, what: &str, data: &Value, member: &str) {
        if self.service.json {
            print_json(data);
        } else {
            say!("{GOOD}{what}{GOOD:#} {}", plain(&data[member]));
        }
    }
}
