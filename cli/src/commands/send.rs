//! `carillon send`: direct publish.

use super::read_input;
use crate::client::ServiceArgs;
use crate::failure::Outcome;
use crate::output::{DIM, GOOD, print_json, say};
use base64::Engine as _;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Publish events of any form that ingest accepts.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    service: ServiceArgs,
    /// File that holds the body, or - for standard input; several are sent one after another.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the body is, where its shape does not say so itself.
    #[arg(long, value_name = "KIND")]
    source: Option<String>,
    /// Product of a body that does not name it: dm, viapi, or one of your own.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
}

impl SendArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let mut headers = Vec::new();
        headers.extend(
            self.source
                .iter()
                .map(|kind| ("x-carillon-source", kind.clone())),
        );
        headers.extend(
            self.product
                .iter()
                .map(|name| ("x-carillon-product", name.clone())),
        );
        for path in &self.files {
            let published = client.publish(read_input(path)?, &headers)?;
            let status = published.status.as_deref().and_then(status);
            if self.service.json {
                print_json(&json!({
                    "file": path.display().to_string(),
                    "accepted": published.accepted,
                    "status": status,
                }));
                continue;
            }
            let events = if published.accepted == 1 {
                "event"
            } else {
                "events"
            };
            say!(
                "{GOOD}accepted{GOOD:#} {} {events} from {}",
                published.accepted,
                path.display()
            );
            if let Some(status) = status {
                say!("{DIM}x-oss-process-status: {status}{DIM:#}");
            }
        }
        Ok(())
    }
}

/// The JSON that the header holds in Base64.
fn status(header: &str) -> Option<Value> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(header)
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}
