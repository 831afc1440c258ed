//! `carillon send`: direct publish.

use super::read_input;
use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{DIM, GOOD, complain, print_json, progress, say};
use base64::Engine as _;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Publish events of any form that ingest accepts.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    service: ServiceArgs,
    /// File that holds the body, or - for standard input; several are sent one after another, and one that is refused
    /// keeps none of the others back.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Each line of the files is a body of its own.
    #[arg(long)]
    lines: bool,
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
        if self.lines {
            return self.send_lines(&client, &headers);
        }
        let mut refused = 0_u64;
        for path in &self.files {
            let published = match client.publish(read_input(path)?, &headers) {
                Ok(published) => published,
                Err(Failure::Refused(why)) if self.files.len() > 1 => {
                    refused += 1;
                    complain!("{}: {why}", path.display());
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let status = published.status.as_deref().and_then(status);
            if self.service.json {
                let mut told = json!({
                    "file": path.display().to_string(),
                    "accepted": published.accepted,
                    "status": status,
                });
                if let Some(why) = published.ignored {
                    told["ignored"] = why.into();
                }
                print_json(&told);
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
            if let Some(why) = &published.ignored {
                say!("{DIM}nothing to tell: {why}{DIM:#}");
            }
            if let Some(status) = status {
                say!("{DIM}x-oss-process-status: {status}{DIM:#}");
            }
        }
        if refused > 0 {
            return Err(Failure::Refused(format!(
                "{refused} of {} files were refused; all others were accepted",
                self.files.len()
            )));
        }
        Ok(())
    }
}

impl SendArgs {
    /// Publishes each line; a refused one is told with its place, and the others are sent all the same.
    fn send_lines(&self, client: &Client, headers: &[(&'static str, String)]) -> Outcome {
        let (mut accepted, mut refused) = (0, 0_u64);
        for path in &self.files {
            let bytes = read_input(path)?;
            let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            let bar = progress(Some(lines.len() as u64), "sending", self.service.json);
            for (index, line) in lines.into_iter().enumerate() {
                bar.inc(1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match client.publish(line.to_vec(), headers) {
                    Ok(published) => accepted += published.accepted,
                    Err(Failure::Refused(why)) => {
                        refused += 1;
                        bar.suspend(|| {
                            complain!("{}, line {}: {why}", path.display(), index + 1);
                        });
                    }
                    Err(failure) => return Err(failure),
                }
            }
            bar.finish_and_clear();
        }
        if self.service.json {
            print_json(&json!({"accepted": accepted, "refused": refused}));
        } else {
            say!("{GOOD}accepted{GOOD:#} {accepted} events");
        }
        if refused > 0 {
            return Err(Failure::Refused(format!(
                "{refused} lines were refused; all others were accepted"
            )));
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
