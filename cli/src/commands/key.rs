//! `carillon key`: the keys that sign HTTP pushes, turned over without a gap.

use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{GOOD, plain, print_json, print_table, say};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// List, rotate and retire the keys that sign HTTP pushes.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// List the keys: what signs, what will, and what overlaps with it.
    List,
    /// Make a successor. The old key overlaps with it for a week; nothing that is pushed meanwhile fails.
    Rotate {
        /// Which key. Receivers of MNS's signature fetch its new certificate by themselves. After a rotation of webhooks,
        /// the receiver of every subscription must be given its new keys within the week.
        #[arg(value_enum, default_value_t = KindArg::Mns)]
        kind: KindArg,
    },
    /// End a key at once, for one that somebody else has got hold of. It must have a successor: rotate first.
    Retire {
        /// Its name, as `carillon key list` shows it.
        name: String,
    },
    /// Make new Standard Webhooks keys for one subscription. Old and new sign for a week.
    RotateSecret {
        /// The topic.
        topic: String,
        /// Name of the subscription.
        subscription: String,
    },
    /// End the old Standard Webhooks keys of one subscription at once; the newest alone sign.
    RetireSecret {
        /// The topic.
        topic: String,
        /// Name of the subscription.
        subscription: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    /// The RSA key of MNS's signature, and its certificate.
    Mns,
    /// The secret behind the Standard Webhooks keys of all subscriptions.
    Webhooks,
}

impl KeyArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        match &self.command {
            KeyCommand::List => {
                let held = client.action("ListSigningKeys", &[])?;
                if self.service.json {
                    print_json(&held["Keys"]);
                } else {
                    table(held["Keys"].as_array().map_or(&[][..], Vec::as_slice));
                }
            }
            KeyCommand::Rotate { kind } => {
                let kind = match kind {
                    KindArg::Mns => "mns",
                    KindArg::Webhooks => "webhooks",
                };
                let made = client.action("RotateSigningKey", &[("KeyType", kind.to_owned())])?;
                if self.service.json {
                    print_json(&made);
                } else {
                    say!(
                        "{GOOD}made{GOOD:#} key {}, which signs from {}",
                        plain(&made["KeyName"]),
                        time(&made["SignsFrom"])
                    );
                }
            }
            KeyCommand::Retire { name } => {
                client.action("RetireSigningKey", &[("KeyName", name.clone())])?;
                if self.service.json {
                    print_json(&json!({"KeyName": name, "Done": "retired"}));
                } else {
                    say!("{GOOD}retired{GOOD:#} key {name}");
                }
            }
            KeyCommand::RotateSecret {
                topic,
                subscription,
            } => self.turn_over(&client, "RotateWebhookSecret", topic, subscription)?,
            KeyCommand::RetireSecret {
                topic,
                subscription,
            } => self.turn_over(&client, "RetireWebhookSecret", topic, subscription)?,
        }
        Ok(())
    }

    fn turn_over(
        &self,
        client: &Client,
        action: &str,
        topic: &str,
        subscription: &str,
    ) -> Result<(), Failure> {
        let parameters = [
            ("TopicName", topic.to_owned()),
            ("SubscriptionName", subscription.to_owned()),
        ];
        let held = client.action(action, &parameters)?;
        if self.service.json {
            print_json(&held);
            return Ok(());
        }
        let list = |name: &str| held[name].as_array().cloned().unwrap_or_default();
        let pairs = list("WebhookSecrets")
            .into_iter()
            .zip(list("WebhookPublicKeys"));
        let rows = pairs.map(|(secret, public)| vec![plain(&secret), plain(&public)]);
        print_table(&["secret, newest first", "public key"], rows.collect());
        Ok(())
    }
}

fn table(keys: &[Value]) {
    let row = |key: &Value| {
        vec![
            plain(&key["KeyName"]),
            plain(&key["KeyType"]),
            plain(&key["State"]),
            time(&key["SignsFrom"]),
            time(&key["OverlapsUntil"]),
        ]
    };
    let headings = ["key", "type", "state", "signs from", "overlaps until"];
    print_table(&headings, keys.iter().map(row).collect());
}

/// Epoch seconds as a person reads them.
fn time(seconds: &Value) -> String {
    let Some(seconds) = seconds.as_i64() else {
        return String::new();
    };
    carillon_core::event::Timestamp::from_millis(seconds.saturating_mul(1_000)).to_iso()
}
