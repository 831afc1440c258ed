//! The service under load: a process of its own, on a store that is thrown away.

use super::super::workload::{queue, records};
use crate::failure::Failure;
use carillon_core::ports::{
    Change, OutgoingMessage, QueueAdmin as _, QueueAttributes, RuleStore as _, Stage,
    StageSender as _,
};
use carillon_embedded::Store;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Deliveries that a transaction of the preparation holds.
const AT_ONCE: usize = 2_000;
/// Bytes of a prepared delivery, less than most: ten million of them must find room.
const WAITING: usize = 200;
/// How long the prepared deliveries wait: longer than any run.
const ASLEEP: Duration = Duration::from_secs(86_400);

pub(super) fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unusable(error.to_string())
}

/// Makes a store with rules, a queue, and deliveries that wait for a dead endpoint.
pub(super) async fn prepare(
    data: &Path,
    rules: usize,
    subscriptions: usize,
    backlog: usize,
) -> Result<(), Failure> {
    let store = Store::open(data, carillon_embedded::Settings::default())
        .map_err(|error| failed(&error))?;
    store
        .create(&queue(), QueueAttributes::default())
        .await
        .map_err(|error| failed(&error))?;
    let records = records(rules, subscriptions);
    let changes = (records.rules.into_iter().map(Change::PutRule))
        .chain(records.topics.into_iter().map(Change::PutTopic))
        .chain(
            records
                .subscriptions
                .into_iter()
                .map(Change::PutSubscription),
        );
    store
        .commit(0, changes.collect())
        .await
        .map_err(|error| failed(&error))?;
    // As the deliver stage leaves them after a failed attempt: each a record of its own that becomes due later.
    let waiting = OutgoingMessage {
        delay: ASLEEP,
        group: Some("dead/endpoint".to_owned()),
        ..OutgoingMessage::new(format!("{{\"v\":1,\"waits\":\"{}\"}}", "x".repeat(WAITING)))
    };
    let mut left = backlog;
    while left > 0 {
        let now = left.min(AT_ONCE);
        let sent = store.send(Stage::Deliver, vec![waiting.clone(); now]).await;
        for sent in sent {
            sent.map_err(|error| failed(&error))?;
        }
        left -= now;
    }
    store.close().await;
    Ok(())
}

/// A running `carillon up`; killed when it goes out of scope.
pub(super) struct Host {
    child: Child,
    /// `host:port`.
    pub(super) address: String,
    /// From its start to its readiness.
    pub(super) started: Duration,
}

impl Host {
    pub(super) fn start(data: &Path, arguments: &[String]) -> Result<Self, Failure> {
        let began = std::time::Instant::now();
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut child = Command::new(program)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(arguments)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(|error| failed(&error))?;
        }
        let address = line.trim().strip_prefix("listening on http://");
        let host = Host {
            address: address.unwrap_or_default().to_owned(),
            child,
            started: began.elapsed(),
        };
        if host.address.is_empty() {
            return Err(Failure::Unusable(
                "the service did not start: see its words above".to_owned(),
            ));
        }
        Ok(host)
    }

    /// What the process has used so far.
    pub(super) fn usage(&self) -> Usage {
        Usage::of(&self.child.id().to_string())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used, as `/proc` tells; zeros where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Resident memory, in bytes.
    pub(super) resident: u64,
    /// Processor time, in microseconds.
    pub(super) processor: u64,
    /// Bytes that it made the system write to disks.
    pub(super) written: u64,
}

impl Usage {
    /// Of a process by its number, or `self`.
    pub(super) fn of(process: &str) -> Usage {
        let read = |what: &str| {
            std::fs::read_to_string(format!("/proc/{process}/{what}")).unwrap_or_default()
        };
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let stat = read("stat");
        // The name of the program, in brackets, may hold blanks; user and system time are the 12th and 13th after it.
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Usage {
            resident: field(&read("status"), "VmRSS:").unwrap_or(0) * 1024,
            // Linux counts these in hundredths of a second on every architecture of today.
            processor: ticks * 10_000,
            written: field(&read("io"), "write_bytes:").unwrap_or(0),
        }
    }
}
