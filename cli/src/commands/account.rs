//! `carillon account` and `carillon network-access`: what SMQ knows of an account and of who reaches it, as far as that means
//! something here.

use crate::client::ServiceArgs;
use crate::failure::Outcome;
use crate::output::{GOOD, plain, print_json, say};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Show and set the account's attributes.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Show them.
    Show,
    /// Set them. There is no log service here, so that logging can only be set to off; the service refuses the rest.
    Update {
        /// Whether operations are logged to a log service.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        log_enabled: Option<bool>,
        /// Whether messages are traced in a log service.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        message_trace_enabled: Option<bool>,
    },
}

impl AccountArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        match &self.command {
            AccountCommand::Show => {
                let data = client.action("GetAccountAttributes", &[])?;
                print_members(&data, self.service.json);
            }
            AccountCommand::Update {
                log_enabled,
                message_trace_enabled,
            } => {
                let given = [
                    ("LogEnabled", log_enabled),
                    ("MessageTraceEnabled", message_trace_enabled),
                ];
                let parameters: Vec<(&str, String)> = given
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value.as_ref()?.to_string())))
                    .collect();
                client.action("SetAccountAttributes", &parameters)?;
                done("changed", "the account", self.service.json);
            }
        }
        Ok(())
    }
}

/// Show who can reach the service, in SMQ's terms; keys and the listen address decide it, and the service refuses to
/// change it by these.
#[derive(Debug, Args)]
pub(crate) struct NetworkAccessArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: NetworkAccessCommand,
}

#[derive(Debug, Subcommand)]
enum NetworkAccessCommand {
    /// Show whether the public endpoint is open.
    Show,
    /// Open it.
    Enable,
    /// Close it.
    Disable,
    /// Let networks in.
    Authorize {
        /// Range of addresses; may be repeated.
        #[arg(required = true, value_name = "CIDR")]
        cidrs: Vec<String>,
    },
    /// Shut networks out.
    Revoke {
        /// Range of addresses; may be repeated.
        #[arg(required = true, value_name = "CIDR")]
        cidrs: Vec<String>,
    },
}

impl NetworkAccessArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let (action, cidrs) = match &self.command {
            NetworkAccessCommand::Show => ("GetEndpointAttribute", None),
            NetworkAccessCommand::Enable => ("EnableEndpoint", None),
            NetworkAccessCommand::Disable => ("DisableEndpoint", None),
            NetworkAccessCommand::Authorize { cidrs } => ("AuthorizeEndpointAcl", Some(cidrs)),
            NetworkAccessCommand::Revoke { cidrs } => ("RevokeEndpointAcl", Some(cidrs)),
        };
        let mut parameters = vec![("EndpointType", "public".to_owned())];
        if let Some(cidrs) = cidrs {
            parameters.push(("AclStrategy", "allow".to_owned()));
            parameters.push(("CidrList", json!(cidrs).to_string()));
        }
        let data = client.action(action, &parameters)?;
        match &self.command {
            NetworkAccessCommand::Show => print_members(&data, self.service.json),
            _ => done("changed", "network access", self.service.json),
        }
        Ok(())
    }
}

/// Members of an object, a line each.
pub(super) fn print_members(data: &Value, json: bool) {
    match data {
        Value::Object(members) if !json => {
            for (name, value) in members {
                say!("{name:<24} {}", plain(value));
            }
        }
        _ => print_json(data),
    }
}

fn done(what: &str, whose: &str, json: bool) {
    if json {
        print_json(&json!({ "Done": what }));
    } else {
        say!("{GOOD}{what}{GOOD:#} {whose}");
    }
}
