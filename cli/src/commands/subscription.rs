//! `carillon subscription`: who hangs on a topic.

use super::all_pages;
use crate::client::ServiceArgs;
use crate::failure::Outcome;
use crate::output::{GOOD, plain, print_json, print_table, say};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Create, list and change subscriptions.
#[derive(Debug, Args)]
pub(crate) struct SubscriptionArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: SubscriptionCommand,
}

#[derive(Debug, Subcommand)]
enum SubscriptionCommand {
    /// Subscribe an endpoint to a topic.
    Create {
        /// The topic.
        topic: String,
        /// Name of the subscription.
        name: String,
        /// HTTP endpoint to push to.
        #[arg(
            long,
            value_name = "URL",
            required_unless_present = "queue",
            conflicts_with = "queue"
        )]
        http: Option<String>,
        /// Queue to push to.
        #[arg(long, value_name = "QUEUE")]
        queue: Option<String>,
        /// Form of a push: XML, JSON or SIMPLIFIED.
        #[arg(long, default_value = "SIMPLIFIED")]
        format: String,
        /// How failures are retried: BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY.
        #[arg(long, default_value = "BACKOFF_RETRY")]
        strategy: String,
        /// Only messages with this tag.
        #[arg(long)]
        tag: Option<String>,
        /// Queue that takes what could not be delivered.
        #[arg(long, value_name = "QUEUE")]
        dead_letter_queue: Option<String>,
    },
    /// List the subscriptions of a topic.
    List {
        /// The topic.
        topic: String,
    },
    /// Show one subscription, for admin keys with its secrets.
    Show {
        /// The topic.
        topic: String,
        /// Name of the subscription.
        name: String,
    },
    /// Change a subscription.
    Update {
        /// The topic.
        topic: String,
        /// Name of the subscription.
        name: String,
        /// BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY.
        #[arg(long)]
        strategy: Option<String>,
        /// Queue that takes what could not be delivered.
        #[arg(long, value_name = "QUEUE")]
        dead_letter_queue: Option<String>,
    },
    /// Unsubscribe; what waits for it is cancelled.
    Delete {
        /// The topic.
        topic: String,
        /// Name of the subscription.
        name: String,
    },
}

impl SubscriptionArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let named = |topic: &String, name: &String| {
            vec![
                ("TopicName", topic.clone()),
                ("SubscriptionName", name.clone()),
            ]
        };
        let done = |what: &str, topic: &str, name: &str| {
            if self.service.json {
                print_json(&json!({"TopicName": topic, "SubscriptionName": name, "Done": what}));
            } else {
                say!("{GOOD}{what}{GOOD:#} subscription {name} of topic {topic}");
            }
        };
        match &self.command {
            SubscriptionCommand::Create {
                topic,
                name,
                http,
                queue,
                format,
                strategy,
                tag,
                dead_letter_queue,
            } => {
                let mut parameters = named(topic, name);
                let (kind, endpoint) = match (http, queue) {
                    (Some(url), _) => ("http", url),
                    (None, queue) => ("queue", queue.as_ref().unwrap_or(name)),
                };
                parameters.extend([
                    ("PushType", kind.to_owned()),
                    ("Endpoint", endpoint.clone()),
                    ("NotifyContentFormat", format.clone()),
                    ("NotifyStrategy", strategy.clone()),
                ]);
                parameters.extend(tag.iter().map(|tag| ("MessageTag", tag.clone())));
                parameters.extend(
                    dead_letter_queue
                        .iter()
                        .map(|queue| ("DlqPolicy", dlq(queue))),
                );
                client.action("Subscribe", &parameters)?;
                done("created", topic, name);
            }
            SubscriptionCommand::Update {
                topic,
                name,
                strategy,
                dead_letter_queue,
            } => {
                let mut parameters = named(topic, name);
                parameters.extend(
                    strategy
                        .iter()
                        .map(|strategy| ("NotifyStrategy", strategy.clone())),
                );
                parameters.extend(
                    dead_letter_queue
                        .iter()
                        .map(|queue| ("DlqPolicy", dlq(queue))),
                );
                client.action("SetSubscriptionAttributes", &parameters)?;
                done("changed", topic, name);
            }
            SubscriptionCommand::Delete { topic, name } => {
                client.action("Unsubscribe", &named(topic, name))?;
                done("deleted", topic, name);
            }
            SubscriptionCommand::Show { topic, name } => {
                print_json(&client.action("GetSubscriptionAttributes", &named(topic, name))?);
            }
            SubscriptionCommand::List { topic } => {
                let all = all_pages(
                    &client,
                    "ListSubscriptionByTopic",
                    &[("TopicName", topic.clone())],
                )?;
                if self.service.json {
                    print_json(&Value::from(all));
                } else {
                    let columns = [
                        "SubscriptionName",
                        "Endpoint",
                        "NotifyContentFormat",
                        "NotifyStrategy",
                    ];
                    let rows = all
                        .iter()
                        .map(|held| columns.iter().map(|column| plain(&held[*column])).collect())
                        .collect();
                    print_table(&["subscription", "endpoint", "format", "strategy"], rows);
                }
            }
        }
        Ok(())
    }
}

fn dlq(queue: &str) -> String {
    json!({"Enabled": true, "DeadLetterTargetQueue": queue}).to_string()
}
