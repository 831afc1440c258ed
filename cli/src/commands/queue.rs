//! `carillon queue`: queues as endpoints, and what is in them.

use super::{all_pages, read_input};
use crate::client::{Client, QueueMessage, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{DIM, GOOD, plain, print_json, print_table, say};
use base64::Engine as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Create, list and read queues.
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Create a queue.
    Create {
        /// Its name.
        name: String,
        /// Seconds a received message stays invisible, 1 to 43200.
        #[arg(long, value_name = "SECONDS")]
        visibility_timeout: Option<u32>,
        /// Seconds a message is kept, 60 to 604800.
        #[arg(long, value_name = "SECONDS")]
        message_retention_period: Option<u32>,
        /// Seconds a sent message stays invisible, 0 to 604800.
        #[arg(long, value_name = "SECONDS")]
        delay_seconds: Option<u32>,
        /// Seconds a receive waits for a message, 0 to 30.
        #[arg(long, value_name = "SECONDS")]
        polling_wait_seconds: Option<u32>,
        /// Largest body in bytes, 1024 to 65536.
        #[arg(long, value_name = "BYTES")]
        maximum_message_size: Option<u32>,
    },
    /// List queues.
    List,
    /// Show one queue.
    Show {
        /// Its name.
        name: String,
    },
    /// Delete a queue and its messages.
    Delete {
        /// Its name.
        name: String,
    },
    /// Send a message.
    Send {
        /// The queue.
        name: String,
        /// File that holds the body, or - for standard input.
        file: PathBuf,
        /// Seconds the message stays invisible.
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        delay: u32,
    },
    /// Receive messages; without --delete they come back after the visibility timeout.
    Receive {
        /// The queue.
        name: String,
        /// At most this many, 1 to 16.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
        count: u8,
        /// Seconds to wait for the first, 0 to 30.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=30))]
        wait: u8,
        /// Delete what was received.
        #[arg(long)]
        delete: bool,
        /// Print bodies as they are, without decoding Base64.
        #[arg(long)]
        raw: bool,
    },
    /// Look at messages without taking them.
    Peek {
        /// The queue.
        name: String,
        /// At most this many, 1 to 16.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
        count: u8,
        /// Print bodies as they are, without decoding Base64.
        #[arg(long)]
        raw: bool,
    },
}

impl QueueArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        match &self.command {
            QueueCommand::Create {
                name,
                visibility_timeout,
                message_retention_period,
                delay_seconds,
                polling_wait_seconds,
                maximum_message_size,
            } => {
                let mut parameters = vec![("QueueName", name.clone())];
                let settings = [
                    ("VisibilityTimeout", visibility_timeout),
                    ("MessageRetentionPeriod", message_retention_period),
                    ("DelaySeconds", delay_seconds),
                    ("PollingWaitSeconds", polling_wait_seconds),
                    ("MaximumMessageSize", maximum_message_size),
                ];
                let given = settings
                    .iter()
                    .filter_map(|(name, value)| Some((*name, value.as_ref()?.to_string())));
                parameters.extend(given);
                client.action("CreateQueue", &parameters)?;
                self.done("created", name);
                Ok(())
            }
            QueueCommand::Delete { name } => {
                client.action("DeleteQueue", &[("QueueName", name.clone())])?;
                self.done("deleted", name);
                Ok(())
            }
            QueueCommand::List => self.list(&client),
            QueueCommand::Show { name } => {
                print_json(&client.action("GetQueueAttributes", &[("QueueName", name.clone())])?);
                Ok(())
            }
            QueueCommand::Send { name, file, delay } => {
                let body = String::from_utf8(read_input(file)?)
                    .map_err(|_| Failure::Unusable("a message body must be UTF-8 text".into()))?;
                let id = client.send_message(name, &body, *delay)?;
                if self.service.json {
                    print_json(&json!({"MessageId": id}));
                } else {
                    say!("{GOOD}sent{GOOD:#} {id}");
                }
                Ok(())
            }
            QueueCommand::Receive {
                name,
                count,
                wait,
                delete,
                raw,
            } => {
                let messages = client.receive(name, *count, *wait)?;
                self.print(&messages, *raw);
                if *delete {
                    for receipt in messages
                        .iter()
                        .filter_map(|message| message.receipt_handle.as_deref())
                    {
                        client.delete_message(name, receipt)?;
                    }
                }
                Ok(())
            }
            QueueCommand::Peek { name, count, raw } => {
                self.print(&client.peek(name, *count)?, *raw);
                Ok(())
            }
        }
    }

    fn done(&self, what: &str, name: &str) {
        if self.service.json {
            print_json(&json!({"QueueName": name, "Done": what}));
        } else {
            say!("{GOOD}{what}{GOOD:#} queue {name}");
        }
    }

    fn list(&self, client: &Client) -> Outcome {
        let queues = all_pages(client, "ListQueue", &[])?;
        if self.service.json {
            print_json(&Value::from(queues));
            return Ok(());
        }
        let columns = [
            "QueueName",
            "ActiveMessages",
            "InactiveMessages",
            "DelayMessages",
        ];
        let rows = queues
            .iter()
            .map(|queue| {
                columns
                    .iter()
                    .map(|column| plain(&queue[*column]))
                    .collect()
            })
            .collect();
        print_table(&["queue", "active", "inactive", "delayed"], rows);
        Ok(())
    }

    fn print(&self, messages: &[QueueMessage], raw: bool) {
        if self.service.json {
            let all: Vec<Value> = messages
                .iter()
                .map(|message| {
                    let mut value = json!(message);
                    if let Some(text) = decoded(&message.message_body) {
                        value["Decoded"] = text.into();
                    }
                    value
                })
                .collect();
            print_json(&Value::from(all));
            return;
        }
        if messages.is_empty() {
            say!("{DIM}no message{DIM:#}");
        }
        for message in messages {
            say!(
                "{DIM}{} received {} time(s){DIM:#}",
                message.message_id,
                message.dequeue_count
            );
            match decoded(&message.message_body) {
                Some(text) if !raw => say!("{text}"),
                _ => say!("{}", message.message_body),
            }
        }
    }
}

/// The text that a body of Base64 holds, JSON laid out as the seeds print it. OSS bodies are Base64; mail and vision
/// bodies are not, and a plain body is left alone.
pub(crate) fn decoded(body: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(body)
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(format!("{value:#}"))
}
