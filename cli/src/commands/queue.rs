//! `carillon queue`: queues as endpoints, and what is in them.

use super::account::print_members;
use super::{all_pages, read_input};
use crate::client::{Client, QueueMessage, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{DIM, GOOD, plain, print_json, print_table, progress, say};
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
        #[command(flatten)]
        attributes: Attributes,
    },
    /// Change the attributes given, and leave the others.
    Update {
        /// Its name.
        name: String,
        #[command(flatten)]
        attributes: Attributes,
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
    /// Send a message, or many.
    Send {
        /// The queue.
        name: String,
        /// Files that hold a body each, or - for standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Each line of the files is a body.
        #[arg(long)]
        lines: bool,
        /// Seconds the messages stay invisible; without it, as long as the queue says.
        #[arg(long, value_name = "SECONDS")]
        delay: Option<u32>,
    },
    /// Delete received messages by the handles that receive --json prints.
    DeleteMessage {
        /// The queue.
        name: String,
        /// ReceiptHandle of a message; may be repeated.
        #[arg(required = true)]
        handles: Vec<String>,
    },
    /// Make a received message visible again after some seconds from now; gives its new handle.
    ChangeVisibility {
        /// The queue.
        name: String,
        /// ReceiptHandle of the message.
        handle: String,
        /// Seconds from now, 0 to 43200.
        seconds: u32,
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

/// Attributes of a queue.
#[derive(Debug, Args)]
struct Attributes {
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
    /// Queue that messages move to when they were received too often.
    #[arg(long, value_name = "QUEUE", requires = "max_receive_count")]
    dead_letter_queue: Option<String>,
    /// Receptions after which a message moves there.
    #[arg(long, value_name = "N", requires = "dead_letter_queue")]
    max_receive_count: Option<u32>,
}

impl Attributes {
    /// As parameters of an action.
    fn parameters(&self, name: &str) -> Vec<(&'static str, String)> {
        let numbers = [
            ("VisibilityTimeout", self.visibility_timeout),
            ("MessageRetentionPeriod", self.message_retention_period),
            ("DelaySeconds", self.delay_seconds),
            ("PollingWaitSeconds", self.polling_wait_seconds),
            ("MaximumMessageSize", self.maximum_message_size),
        ];
        let numbers = numbers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.to_string())));
        let mut parameters = vec![("QueueName", name.to_owned())];
        parameters.extend(numbers);
        if let (Some(queue), Some(count)) = (&self.dead_letter_queue, self.max_receive_count) {
            let policy =
                json!({"Enabled": true, "DeadLetterTargetQueue": queue, "MaxReceiveCount": count});
            parameters.push(("DlqPolicy", policy.to_string()));
        }
        parameters
    }
}

/// The bodies of files: one each, or one a line.
fn bodies(files: &[PathBuf], lines: bool) -> Result<Vec<String>, Failure> {
    let mut bodies = Vec::new();
    for file in files {
        let text = String::from_utf8(read_input(file)?).map_err(|_| {
            Failure::Unusable(format!(
                "{} is not UTF-8, and a message body must be",
                file.display()
            ))
        })?;
        if lines {
            let full = text.lines().filter(|line| !line.trim().is_empty());
            bodies.extend(full.map(str::to_owned));
        } else {
            bodies.push(text);
        }
    }
    Ok(bodies)
}

impl QueueArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        match &self.command {
            QueueCommand::Create { name, attributes } => {
                client.action("CreateQueue", &attributes.parameters(name))?;
                self.done("created", name);
                Ok(())
            }
            QueueCommand::Update { name, attributes } => {
                client.action("SetQueueAttributes", &attributes.parameters(name))?;
                self.done("changed", name);
                Ok(())
            }
            QueueCommand::Delete { name } => {
                client.action("DeleteQueue", &[("QueueName", name.clone())])?;
                self.done("deleted", name);
                Ok(())
            }
            QueueCommand::List => self.list(&client),
            QueueCommand::Show { name } => {
                let queue = client.action("GetQueueAttributes", &[("QueueName", name.clone())])?;
                print_members(&queue, self.service.json);
                Ok(())
            }
            QueueCommand::Send {
                name,
                files,
                lines,
                delay,
            } => self.send(&client, name, &bodies(files, *lines)?, *delay),
            QueueCommand::DeleteMessage { name, handles } => {
                for handle in handles {
                    client.delete_message(name, handle)?;
                }
                self.done("deleted from", name);
                Ok(())
            }
            QueueCommand::ChangeVisibility {
                name,
                handle,
                seconds,
            } => {
                let (handle, visible) = client.change_visibility(name, handle, *seconds)?;
                if self.service.json {
                    print_json(&json!({"ReceiptHandle": handle, "NextVisibleTime": visible}));
                } else {
                    say!("{GOOD}changed{GOOD:#} its handle is now {handle}");
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

    /// Sends bodies, sixteen at a time; the ids are printed as they come.
    fn send(&self, client: &Client, name: &str, bodies: &[String], delay: Option<u32>) -> Outcome {
        let bar = progress(
            Some(bodies.len() as u64),
            "sending",
            self.service.json || bodies.len() < 2,
        );
        let mut sent = 0;
        for batch in bodies.chunks(16) {
            let answers = client.send_messages(name, batch, delay)?;
            for answer in answers {
                match answer {
                    Ok(id) if self.service.json => print_json(&json!({"MessageId": id})),
                    Ok(id) if bodies.len() == 1 => say!("{GOOD}sent{GOOD:#} {id}"),
                    Ok(_) => {}
                    Err(refusal) => {
                        bar.abandon();
                        return Err(Failure::Refused(format!(
                            "message {} of {}: {refusal}; {sent} were sent",
                            sent + 1,
                            bodies.len()
                        )));
                    }
                }
                sent += 1;
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        if bodies.len() != 1 && !self.service.json {
            say!("{GOOD}sent{GOOD:#} {sent} messages");
        }
        Ok(())
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
