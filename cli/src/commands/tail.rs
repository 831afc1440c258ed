//! `carillon tail`: deliveries as they happen.

use super::pieces;
use super::selection::Selection;
use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{BAD, DIM, GOOD, complain, plain};
use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::Value;
use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

/// Seconds that one request waits for an attempt: the service's own bound.
const WAIT: &str = "30";
/// First and longest pause before a service that went away is looked for again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(3)];
/// What may pass.
const RETRIED: Style = AnsiColor::Yellow.on_default().bold();

/// Follow attempts of deliveries as they happen, until interrupted.
///
/// The service is asked with a long poll, so an attempt shows within milliseconds and a quiet service costs two requests
/// a minute. When the service restarts, tail waits for it and goes on where it stopped: nothing is missed.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    selection: Selection,
    /// Show so many of the newest attempts first.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    last: usize,
    /// End after so many attempts.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

impl Tail {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        let mut selection = self.selection.parameters();
        // Before the newest are read, so that nothing comes in between; what comes twice is shown once.
        let start = follow(&client, &selection, None, "0")?;
        let mut after = plain(&start["NextToken"]);
        let mut printer = Printer {
            json: self.service.json,
            left: self.count.unwrap_or(usize::MAX),
            seen: HashSet::new(),
        };
        if self.last > 0 {
            let mut newest = pieces(&client, "ListDeliveries", &selection, self.last)?;
            newest.reverse();
            for attempt in &newest {
                printer.seen.insert(identity(attempt));
                printer.print(attempt);
            }
        }
        // From here on only what is new is asked for: an end in the past would never be reached.
        selection.retain(|(name, _)| *name != "Since");
        let mut pause = PAUSES[0];
        while printer.left > 0 {
            let answer = match follow(&client, &selection, Some(&after), WAIT) {
                Ok(answer) => answer,
                Err(failure) if passes(&failure) => {
                    if pause == PAUSES[0] {
                        complain!(
                            "{DIM}the service does not answer ({failure}); waiting for it{DIM:#}"
                        );
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSES[1]);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if pause != PAUSES[0] {
                complain!("{DIM}the service answers again{DIM:#}");
                pause = PAUSES[0];
            }
            for attempt in answer["PageData"].as_array().into_iter().flatten() {
                if !printer.seen.remove(&identity(attempt)) {
                    printer.print(attempt);
                }
            }
            after = plain(&answer["NextToken"]);
        }
        Ok(())
    }
}

fn follow(
    client: &Client,
    selection: &[(&str, String)],
    after: Option<&str>,
    wait: &str,
) -> Result<Value, Failure> {
    let mut parameters = selection.to_vec();
    parameters.push(("WaitSeconds", wait.to_owned()));
    parameters.push(("MaxResults", "100".to_owned()));
    parameters.extend(after.map(|after| ("NextToken", after.to_owned())));
    client.action("FollowDeliveries", &parameters)
}

/// Whether the service may be there again in a moment.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::Unusable(_) => true,
        Failure::Refused(why) => ["ServiceUnavailable", "TooManyRequests", "InternalError"]
            .iter()
            .any(|code| why.starts_with(code)),
    }
}

/// What tells one attempt from another.
fn identity(attempt: &Value) -> String {
    [
        "MessageId",
        "TopicName",
        "SubscriptionName",
        "Number",
        "Time",
    ]
    .map(|member| plain(&attempt[member]))
    .join(" ")
}

struct Printer {
    json: bool,
    /// How many are still to be shown.
    left: usize,
    /// Shown already, and perhaps coming again.
    seen: HashSet<String>,
}

impl Printer {
    fn print(&mut self, attempt: &Value) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let mut out = anstream::stdout().lock();
        let written = if self.json {
            writeln!(out, "{attempt}")
        } else {
            writeln!(out, "{}", line(attempt))
        };
        if written.and_then(|()| out.flush()).is_err() {
            // The reader has gone (`| head`): that is the end.
            self.left = 0;
        }
    }
}

fn line(attempt: &Value) -> String {
    let text = |member: &str| plain(&attempt[member]);
    let (style, outcome) = match text("Outcome").as_str() {
        "success" => (GOOD, "delivered"),
        "retry" => (RETRIED, "failed   "),
        _ => (BAD, "hopeless "),
    };
    let line = format!(
        "{DIM}{}{DIM:#} {style}{outcome}{style:#} {} -> {} {DIM}{}{DIM:#} attempt {} {} {} ms {}",
        text("Time"),
        text("RuleName"),
        text("SubscriptionName"),
        text("MessageId"),
        text("Number"),
        text("StatusCode"),
        text("TookMilliseconds"),
        text("Detail"),
    );
    line.trim_end().to_owned()
}
