//! `carillon topic`: what rules publish to.

use super::account::print_members;
use super::all_pages;
use crate::client::ServiceArgs;
use crate::failure::Outcome;
use crate::output::{GOOD, plain, print_json, print_table, say};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Create, list and delete topics.
#[derive(Debug, Args)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    /// Create a topic.
    Create {
        /// Its name.
        name: String,
        /// Largest message in bytes, 1024 to 65536.
        #[arg(long, value_name = "BYTES")]
        max_message_size: Option<u32>,
    },
    /// Change a topic.
    Update {
        /// Its name.
        name: String,
        /// Largest message in bytes, 1024 to 65536.
        #[arg(long, value_name = "BYTES")]
        max_message_size: u32,
    },
    /// List topics, those made for rules included.
    List,
    /// Show one topic.
    Show {
        /// Its name.
        name: String,
    },
    /// Delete a topic and its subscriptions.
    Delete {
        /// Its name.
        name: String,
    },
}

impl TopicArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let done = |what: &str, name: &str| {
            if self.service.json {
                print_json(&json!({"TopicName": name, "Done": what}));
            } else {
                say!("{GOOD}{what}{GOOD:#} topic {name}");
            }
        };
        match &self.command {
            TopicCommand::Create {
                name,
                max_message_size,
            } => {
                let mut parameters = vec![("TopicName", name.clone())];
                parameters
                    .extend(max_message_size.map(|size| ("MaxMessageSize", size.to_string())));
                client.action("CreateTopic", &parameters)?;
                done("created", name);
            }
            TopicCommand::Update {
                name,
                max_message_size,
            } => {
                let size = ("MaxMessageSize", max_message_size.to_string());
                client.action("SetTopicAttributes", &[("TopicName", name.clone()), size])?;
                done("changed", name);
            }
            TopicCommand::Delete { name } => {
                client.action("DeleteTopic", &[("TopicName", name.clone())])?;
                done("deleted", name);
            }
            TopicCommand::Show { name } => {
                let topic = client.action("GetTopicAttributes", &[("TopicName", name.clone())])?;
                print_members(&topic, self.service.json);
            }
            TopicCommand::List => {
                let topics = all_pages(&client, "ListTopic", &[])?;
                if self.service.json {
                    print_json(&Value::from(topics));
                } else {
                    let rows = topics
                        .iter()
                        .map(|topic| vec![plain(&topic["TopicName"])])
                        .collect();
                    print_table(&["topic"], rows);
                }
            }
        }
        Ok(())
    }
}
