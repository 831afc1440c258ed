//! `carillon delivery`: every attempt, newest first.

use super::pieces;
use super::selection::Selection;
use crate::client::ServiceArgs;
use crate::failure::Outcome;
use crate::output::{plain, print_json, print_table};
use clap::{Args, Subcommand};
use serde_json::Value;

/// Look up attempts of deliveries.
#[derive(Debug, Args)]
pub(crate) struct DeliveryArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: DeliveryCommand,
}

#[derive(Debug, Subcommand)]
enum DeliveryCommand {
    /// List attempts, newest first.
    List {
        #[command(flatten)]
        selection: Selection,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show every attempt for one message.
    Show {
        /// The message.
        message_id: String,
    },
}

impl DeliveryArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let attempts = match &self.command {
            DeliveryCommand::List { selection, limit } => {
                pieces(&client, "ListDeliveries", &selection.parameters(), *limit)?
            }
            DeliveryCommand::Show { message_id } => {
                let parameters = [("MessageId", message_id.clone())];
                pieces(&client, "ListDeliveries", &parameters, usize::MAX)?
            }
        };
        if self.service.json {
            print_json(&Value::from(attempts));
            return Ok(());
        }
        let columns = [
            "Time",
            "MessageId",
            "RuleName",
            "SubscriptionName",
            "Number",
            "Outcome",
            "StatusCode",
            "TookMilliseconds",
            "Detail",
        ];
        let rows = attempts
            .iter()
            .map(|attempt| {
                columns
                    .iter()
                    .map(|column| plain(&attempt[*column]))
                    .collect()
            })
            .collect();
        let headings = [
            "time",
            "message",
            "rule",
            "subscription",
            "attempt",
            "outcome",
            "status",
            "ms",
            "detail",
        ];
        print_table(&headings, rows);
        Ok(())
    }
}
