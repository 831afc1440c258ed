//! `carillon bench growth`: how the cost of one notification grows with rules, subscriptions and what waits.

use super::{BenchLoadArgs, Report};
use crate::failure::{Failure, Outcome};
use crate::output::{print_json, say};
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Measure how the cost of a notification grows with rules, with subscriptions of one topic, and with deliveries that wait
/// for a dead endpoint.
///
/// Each row is a run of `carillon bench load` at a rate far below the most, so that times are those of the work and not of
/// a queue. Prints Markdown, a table and charts.
#[derive(Debug, Args)]
pub(crate) struct BenchGrowthArgs {
    /// Numbers of rules.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,10000,100000")]
    rules: Vec<u64>,
    /// Numbers of subscriptions of each topic.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    subscriptions: Vec<u16>,
    /// Numbers of waiting deliveries.
    #[arg(long, value_delimiter = ',', default_value = "0,10000,100000,1000000")]
    backlog: Vec<usize>,
    /// Notifications a second.
    #[arg(long, default_value_t = 2_000.0, value_name = "N")]
    rate: f64,
    /// Notifications of each run.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    notifications: usize,
    /// Folder to make the stores in; without it, the system's for temporary files.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One run.
struct Row {
    of: &'static str,
    size: usize,
    report: Report,
}

impl BenchGrowthArgs {
    pub(crate) fn run(&self) -> Outcome {
        let runtime = crate::up::runtime()?;
        let mut rows = Vec::new();
        for &rules in &self.rules {
            let args = self.load(rules, 1, 0);
            rows.push(self.row(&runtime, "rules", rules as usize, &args)?);
        }
        for &subscriptions in &self.subscriptions {
            let args = self.load(10, subscriptions, 0);
            let size = usize::from(subscriptions);
            rows.push(self.row(&runtime, "subscriptions", size, &args)?);
        }
        for &backlog in &self.backlog {
            let args = self.load(10, 1, backlog);
            rows.push(self.row(&runtime, "waiting deliveries", backlog, &args)?);
        }
        if self.json {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| json!({"of": row.of, "size": row.size, "report": row.report}))
                .collect();
            print_json(&json!(rows));
        } else {
            say!("{}", self.markdown(&rows));
        }
        Ok(())
    }

    fn load(&self, rules: u64, subscriptions: u16, backlog: usize) -> BenchLoadArgs {
        let each = usize::from(subscriptions);
        let events = (self.notifications / each).max(20);
        BenchLoadArgs {
            rate: Some(self.rate / each as f64),
            rules,
            subscriptions,
            backlog,
            // A body of ten events with a thousand subscriptions would be a burst of ten thousand.
            per_body: if each > 1 { 1 } else { 10 },
            folder: self.folder.clone(),
            ..BenchLoadArgs::of(events)
        }
    }

    fn row(
        &self,
        runtime: &tokio::runtime::Runtime,
        of: &'static str,
        size: usize,
        args: &BenchLoadArgs,
    ) -> Result<Row, Failure> {
        let report = runtime.block_on(args.measure())?;
        if report.missing > 0 {
            return Err(Failure::Refused(format!(
                "{of} {size}: {} messages did not arrive",
                report.missing
            )));
        }
        Ok(Row { of, size, report })
    }

    fn markdown(&self, rows: &[Row]) -> String {
        let mut text = format!(
            "`carillon bench growth`, {} notifications a second in each run.\n\n\
             | of | how many | processor us a notification | due to received p50 ms | p99 ms | memory MB | store MB | start ms |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.rate
        );
        for row in rows {
            let report = &row.report;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.1} | {:.1} | {:.0} | {:.0} | {} |",
                row.of,
                row.size,
                row.cost(),
                report.arrival.p50,
                report.arrival.p99,
                row.memory(),
                report.store_bytes as f64 / 1e6,
                report.start_millis,
            );
        }
        chart(&mut text, "processor us a notification", rows, Row::cost);
        chart(&mut text, "due to received, p99 ms", rows, |row| {
            row.report.arrival.p99
        });
        chart(&mut text, "memory MB", rows, Row::memory);
        text
    }
}

impl Row {
    fn cost(&self) -> f64 {
        self.report.service_processor_micros_per_event / f64::from(self.report.subscriptions)
    }

    /// The most that was seen.
    fn memory(&self) -> f64 {
        let samples = self.report.samples.iter();
        let most = samples.map(|sample| sample.resident).max();
        most.unwrap_or(0) as f64 / 1e6
    }
}

/// Bars, each as long as its figure beside the largest.
fn chart(text: &mut String, title: &str, rows: &[Row], figure: impl Fn(&Row) -> f64) {
    const WIDTH: f64 = 50.0;
    let most = rows.iter().map(&figure).fold(f64::MIN_POSITIVE, f64::max);
    let _ = writeln!(text, "\n{title}\n\n```text");
    for row in rows {
        let value = figure(row);
        let bar = "#".repeat((value / most * WIDTH).round() as usize);
        let _ = writeln!(text, "{:>18} {:>9}  {bar} {value:.1}", row.of, row.size);
    }
    text.push_str("```\n");
}
