//! `carillon bench load`: the whole service under load, from outside.
//!
//! ```text
//!  senders ──POST /events──► carillon up (a process of its own, 10 000 rules) ──► queue ◄──receive, delete── consumers
//!  by the clock: an event's time begins when it was due, not when the sender got round to it
//! ```

mod growth;
mod host;
mod latency;
mod traffic;
mod wire;

pub(crate) use growth::BenchGrowthArgs;

use crate::failure::{Failure, Outcome};
use crate::output::{print_json, print_table, say};
use clap::Args;
use host::{Host, Usage, failed};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use traffic::Traffic;
use wire::Wire;

/// Gap between two samples of a run's first part; it doubles when there are many.
const SAMPLE: Duration = Duration::from_millis(500);
/// Most samples kept.
const SAMPLES: usize = 120;
/// A run whose consumers receive nothing for so long has lost something.
const SILENCE: Duration = Duration::from_secs(30);

/// Load `carillon up` from outside: S3 notifications in over HTTP, messages out of a queue over HTTP.
///
/// Starts the service as a process of its own on a store that is thrown away, with rules by prefix that all name one queue.
/// Exit status 1 when an accepted event did not arrive.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchLoadArgs {
    /// Events a second, sent by the clock; without it, as many as are accepted.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// As many as are accepted; this is what happens without --rate too.
    #[arg(long, conflicts_with = "rate")]
    max: bool,
    /// Events to send.
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    events: usize,
    /// Rules to judge by.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rules: u64,
    /// Subscriptions of each rule's topic: an event becomes so many messages.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) subscriptions: u16,
    /// Deliveries that wait for a dead endpoint meanwhile.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) backlog: usize,
    /// Records in one S3 body; S3 itself sends one.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) per_body: u64,
    /// Connections that send.
    #[arg(long, default_value_t = 32, value_name = "N")]
    senders: usize,
    /// Connections that receive and delete.
    #[arg(long, default_value_t = 8, value_name = "N")]
    consumers: usize,
    /// Folder to make the store in; without it, the system's for temporary files.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Further settings of `carillon up`, after `--`.
    #[arg(last = true, value_name = "SETTING")]
    service: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    rules: u64,
    subscriptions: u16,
    backlog: usize,
    records_a_body: u64,
    rate: Option<f64>,
    pub(super) accepted: u64,
    pub(super) received: u64,
    missing: u64,
    duplicates: u64,
    /// Requests that were not answered as they should; each was sent again.
    refused: u64,
    pub(super) accepted_per_second: f64,
    pub(super) received_per_second: f64,
    /// From the time an event was due to its receipt by a consumer.
    pub(super) arrival: Times,
    /// From the time a body was due to the answer that it is accepted.
    pub(super) acceptance: Times,
    pub(super) service_processor_micros_per_event: f64,
    driver_processor_micros_per_event: f64,
    disk_bytes_per_event: f64,
    /// How often the service waited for its disk; none of a release that does not count it.
    syncs: Option<f64>,
    transactions: Option<f64>,
    pub(super) store_bytes: u64,
    start_millis: u64,
    pub(super) samples: Vec<Sample>,
}

/// Milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Times {
    p50: f64,
    p90: f64,
    pub(super) p99: f64,
    p999: f64,
}

/// The service at one moment of the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    seconds: f64,
    pub(super) accepted: u64,
    pub(super) received: u64,
    /// Bytes.
    pub(super) resident: u64,
    /// Seconds.
    processor: f64,
}

impl BenchLoadArgs {
    /// The shipped settings, for so many events.
    fn of(events: usize) -> Self {
        BenchLoadArgs {
            rate: None,
            max: false,
            events,
            rules: 10_000,
            subscriptions: 1,
            backlog: 0,
            per_body: 10,
            senders: 32,
            consumers: 8,
            folder: None,
            service: Vec::new(),
            json: false,
        }
    }

    pub(crate) fn run(&self) -> Outcome {
        let report = crate::up::runtime()?.block_on(self.measure())?;
        if self.json {
            print_json(&json!(report));
        } else {
            self.print(&report);
        }
        let wanted = report.accepted * u64::from(self.subscriptions);
        if report.missing > 0 {
            return Err(Failure::Refused(format!(
                "of {wanted} messages of accepted events {} did not arrive",
                report.missing
            )));
        }
        Ok(())
    }

    pub(super) async fn measure(&self) -> Result<Report, Failure> {
        let parent = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix("carillon-load-")
            .tempdir_in(parent)
            .map_err(|error| failed(&error))?;
        let rules = usize::try_from(self.rules).unwrap_or(usize::MAX);
        let each = usize::from(self.subscriptions);
        host::prepare(folder.path(), rules, each, self.backlog).await?;
        let host = Host::start(folder.path(), &self.service)?;
        let per_body = usize::try_from(self.per_body).unwrap_or(1);
        // The first events make the service read its rules; they are not of the run.
        let warm = Traffic::new(&host.address, rules, per_body, 200, None, 0);
        self.drive(&warm, &host, 1, 2).await?;
        let traffic = Traffic::new(
            &host.address,
            rules,
            per_body,
            self.events,
            self.rate,
            warm.events(),
        );
        let (before, own_before) = (host.usage(), Usage::of("self"));
        let counters_before = counters(&host.address).await;
        let samples = self
            .drive(&traffic, &host, self.senders, self.consumers)
            .await?;
        let (after, own_after) = (host.usage(), Usage::of("self"));
        let counters_after = counters(&host.address).await;
        let counted = |name: &str| {
            let of = |text: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name))?;
                line.trim().parse::<f64>().ok()
            };
            Some(of(&counters_after)? - of(&counters_before)?)
        };
        let (missing, duplicates) = traffic.missing_and_surplus(self.subscriptions);
        let load = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
        let seconds = |micros: u64| micros as f64 / 1e6;
        let (accepted, received) = (load(&traffic.accepted), load(&traffic.received));
        let per_event = |amount: u64| amount as f64 / accepted.max(1) as f64;
        let times = |of: &latency::Latencies| Times {
            p50: of.millis(0.5),
            p90: of.millis(0.9),
            p99: of.millis(0.99),
            p999: of.millis(0.999),
        };
        Ok(Report {
            rules: self.rules,
            subscriptions: self.subscriptions,
            backlog: self.backlog,
            records_a_body: self.per_body,
            rate: self.rate,
            accepted,
            received,
            missing,
            duplicates,
            refused: load(&traffic.refused),
            accepted_per_second: accepted as f64 / seconds(load(&traffic.accepted_at)),
            received_per_second: received as f64 / seconds(load(&traffic.received_at)),
            arrival: times(&traffic.arrival),
            acceptance: times(&traffic.acceptance),
            service_processor_micros_per_event: per_event(after.processor - before.processor),
            driver_processor_micros_per_event: per_event(
                own_after.processor - own_before.processor,
            ),
            disk_bytes_per_event: per_event(after.written.saturating_sub(before.written)),
            syncs: counted("carillon_store_syncs_total "),
            transactions: counted("carillon_store_transactions_total "),
            store_bytes: size_of(folder.path()),
            start_millis: u64::try_from(host.started.as_millis()).unwrap_or(u64::MAX),
            samples,
        })
    }

    /// Sends everything and receives until nothing is owed, or nothing comes any more.
    async fn drive(
        &self,
        traffic: &Arc<Traffic>,
        host: &Host,
        senders: usize,
        consumers: usize,
    ) -> Result<Vec<Sample>, Failure> {
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..senders.max(1) {
            sending.spawn(traffic.clone().send());
        }
        let mut receiving = tokio::task::JoinSet::new();
        for _ in 0..consumers.max(1) {
            receiving.spawn(traffic.clone().consume());
        }
        let mut samples = vec![sample(traffic, host)];
        let mut gap = SAMPLE;
        let mut next = Instant::now() + gap;
        let (mut last, mut heard) = (0, Instant::now());
        let wanted = traffic.events() as u64 * u64::from(self.subscriptions);
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            while let Some(ended) = sending.try_join_next() {
                let ended = ended.map_err(|error| failed(&error))?;
                ended.map_err(|error| failed(&error))?;
            }
            if let Some(ended) = receiving.try_join_next() {
                let ended = ended.map_err(|error| failed(&error))?;
                ended.map_err(|error| failed(&error))?;
            }
            let received = traffic.received.load(Ordering::Relaxed);
            if received > last || !sending.is_empty() {
                (last, heard) = (received, Instant::now());
            }
            if Instant::now() >= next {
                samples.push(sample(traffic, host));
                if samples.len() > SAMPLES {
                    let mut index = 0;
                    samples.retain(|_| {
                        index += 1;
                        index % 2 == 1
                    });
                    gap *= 2;
                }
                next += gap;
            }
            let all = received >= wanted && traffic.missing_and_surplus(self.subscriptions).0 == 0;
            if sending.is_empty() && (all || heard.elapsed() > SILENCE) {
                break;
            }
        }
        samples.push(sample(traffic, host));
        traffic.stop();
        // Polls end by themselves; a copy that comes late is counted still.
        while receiving.join_next().await.is_some() {}
        Ok(samples)
    }

    fn print(&self, report: &Report) {
        let row = |what: &str, figure: String| vec![what.to_owned(), figure];
        let times = |times: &Times| {
            format!(
                "p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1} ms",
                times.p50, times.p90, times.p99, times.p999
            )
        };
        let per_event = |count: Option<f64>| {
            count.map_or_else(
                || "not counted".to_owned(),
                |count| {
                    format!(
                        "{count:.0}, {:.4} an event",
                        count / report.accepted.max(1) as f64
                    )
                },
            )
        };
        print_table(
            &["what", "figure"],
            vec![
                row(
                    "accepted a second, every event durable",
                    format!("{:.0}", report.accepted_per_second),
                ),
                row(
                    "received and deleted a second",
                    format!("{:.0}", report.received_per_second),
                ),
                row("due to received", times(&report.arrival)),
                row("due to accepted", times(&report.acceptance)),
                row(
                    "accepted, received, missing, copies",
                    format!(
                        "{}, {}, {}, {}",
                        report.accepted, report.received, report.missing, report.duplicates
                    ),
                ),
                row(
                    "processor of the service, us an event",
                    format!("{:.1}", report.service_processor_micros_per_event),
                ),
                row(
                    "processor of this driver, us an event",
                    format!("{:.1}", report.driver_processor_micros_per_event),
                ),
                row(
                    "bytes to disk an event",
                    format!("{:.0}", report.disk_bytes_per_event),
                ),
                row("waits for the disk", per_event(report.syncs)),
                row("transactions", per_event(report.transactions)),
                row(
                    "store at the end, MB",
                    format!("{:.0}", report.store_bytes as f64 / 1e6),
                ),
            ],
        );
        say!("\nresident memory over the run:");
        let step = report.samples.len().div_ceil(20).max(1);
        let rows = report.samples.iter().step_by(step).map(|sample| {
            vec![
                format!("{:.1}", sample.seconds),
                sample.accepted.to_string(),
                sample.received.to_string(),
                format!("{:.1}", sample.resident as f64 / 1e6),
                format!("{:.1}", sample.processor),
            ]
        });
        print_table(
            &["seconds", "accepted", "received", "MB", "processor s"],
            rows.collect(),
        );
    }
}

fn sample(traffic: &Traffic, host: &Host) -> Sample {
    let usage = host.usage();
    Sample {
        seconds: traffic.began.elapsed().as_secs_f64(),
        accepted: traffic.accepted.load(Ordering::Relaxed),
        received: traffic.received.load(Ordering::Relaxed),
        resident: usage.resident,
        processor: usage.processor as f64 / 1e6,
    }
}

/// The service's own counters; empty when they cannot be had.
async fn counters(host: &str) -> String {
    let read = async {
        let mut wire = Wire::connect(host).await?;
        let (_, text) = wire.ask("GET", "/metrics", b"").await?;
        Ok::<String, std::io::Error>(String::from_utf8_lossy(text).into_owned())
    };
    read.await.unwrap_or_default()
}

fn size_of(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
