//! `carillon bench push`: HTTP pushes to a receiver on loopback.

use crate::failure::{Failure, Outcome};
use crate::output::{print_json, print_table, say};
use carillon_deliver::bench::Rate;
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// Measure HTTP pushes to a receiver on loopback: unsigned, signed, and the signatures alone. Signed pushes and
/// signatures take turns, so that a busy machine is as hard on both.
///
/// The floor beside them: requests of the same size over the same connections, without any HTTP client.
#[derive(Debug, Args)]
pub(crate) struct BenchPushArgs {
    /// Seconds for each figure.
    #[arg(long, default_value_t = 3, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl BenchPushArgs {
    pub(crate) fn run(&self) -> Outcome {
        let phase = Duration::from_secs(self.seconds);
        let figures = crate::up::runtime()?
            .block_on(carillon_deliver::bench::push(phase))
            .map_err(|error| Failure::Unusable(error.to_string()))?;
        if self.json {
            print_json(&json!(figures));
            return Ok(());
        }
        let row = |what: &str, rate: Rate| {
            let cost = rate.processor_micros;
            vec![
                what.to_owned(),
                format!("{:.0}", rate.per_second),
                cost.map_or_else(|| "-".to_owned(), |micros| format!("{micros:.1}")),
                rate.receiver_micros
                    .map_or_else(|| "-".to_owned(), |micros| format!("{micros:.1}")),
            ]
        };
        print_table(
            &[
                "what",
                "a second",
                "processor us each",
                "of it the receiver's",
            ],
            vec![
                row(
                    "the same bytes over the same connections, no HTTP client (floor)",
                    figures.floor,
                ),
                row("unsigned pushes", figures.unsigned),
                row(
                    "all signatures of a push alone (floor of signed pushes)",
                    figures.signatures,
                ),
                row("signed pushes", figures.signed),
            ],
        );
        let percent = |ratio: f64| format!("{:.0} %", ratio * 100.0);
        say!(
            "signed pushes reach {} of what signing alone allows, on {} processors, which the receiver shares",
            percent(figures.signed_to_signatures),
            figures.processors
        );
        if let (Some(all), Some(ours)) = (
            figures.signed_to_signatures_by_processor,
            figures.signed_to_signatures_without_receiver,
        ) {
            say!(
                "by processor time, which a busy machine changes little: {}; without the receiver's share: {}",
                percent(all),
                percent(ours)
            );
        }
        Ok(())
    }
}
