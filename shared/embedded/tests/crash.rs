//! `kill -9` at any moment loses nothing that was accepted.
//!
//! The test starts itself as a child process that sends numbered messages, hands records from stage to stage and into a
//! user's queue, and writes down each acknowledgement on its standard output. The parent kills it at a random moment,
//! opens the store again, and checks: every acknowledged number is still on its way or has arrived, none arrived
//! that was never sent, and what arrived is exactly what was kept for replay. What the handlers hand on travels in memory, as it does in the service; meanwhile a consumer
//! receives and deletes, so that both what was settled in memory and what had to be written are met. `CARILLON_KILLS` sets the number of kills (default 20).
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::event::Timestamp;
use carillon_core::ports::{
    BatchOutcome, EventArchive, OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer,
    QueueRecord, QueueSender, Random as _, Stage, StageSender,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{
    EventSourceMapping, HandOver, MappingSettings, Settings, Store, SystemRandom,
};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Tells the child where its store is; its absence tells the parent that it is the parent.
const DATA: &str = "CARILLON_CRASH_DATA";
/// First number that the child sends.
const FIRST: &str = "CARILLON_CRASH_FIRST";

fn arrived() -> QueueName {
    QueueName::parse("arrived").unwrap()
}

async fn pass_on(store: &HandOver, batch: Vec<QueueRecord>, to: Option<Stage>) -> BatchOutcome {
    let mut outcome = BatchOutcome::default();
    for record in batch {
        let message = vec![OutgoingMessage::new(record.body)];
        let sent = match to {
            Some(stage) => StageSender::send(store, stage, message).await.remove(0),
            None => QueueSender::send(store, &arrived(), message)
                .await
                .remove(0)
                .map(drop),
        };
        if let Err(error) = sent {
            outcome.failed.push((record.id, error.to_string()));
        }
    }
    outcome
}

fn start(store: &Store) -> Vec<EventSourceMapping> {
    [
        (Stage::Ingest, Some(Stage::Match)),
        (Stage::Match, Some(Stage::Deliver)),
        (Stage::Deliver, None),
    ]
    .into_iter()
    .map(|(stage, to)| {
        let hands = store.hand_over();
        let settings = MappingSettings::default();
        EventSourceMapping::start(store.clone(), stage, settings, move |batch| {
            let store = hands.clone();
            async move { pass_on(&store, batch, to).await }
        })
    })
    .collect()
}

fn open(data: &Path) -> Store {
    Store::open(data, Settings::default()).unwrap()
}

/// A consumer that tells what it is about to delete: should it die, that has arrived all the same.
async fn consume(store: Store) {
    loop {
        let messages = store
            .receive(&arrived(), 16, Some(Duration::from_secs(1)))
            .await
            .unwrap();
        let mut told = String::new();
        let mut receipts = Vec::new();
        for message in messages {
            // Every fifth is left to time, or to the next process.
            if message.body.ends_with(['3', '8']) {
                continue;
            }
            told.push_str(&format!("arrived {}\n", message.body));
            receipts.extend(message.receipt);
        }
        // In one piece, so that a kill cuts no line but the last.
        std::io::stdout().write_all(told.as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
        QueueConsumer::delete(&store, &arrived(), &receipts)
            .await
            .unwrap();
    }
}

/// The child; does nothing when the suite runs it by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(data) = std::env::var(DATA) else {
        return;
    };
    let mut next: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = open(Path::new(&data));
    let attributes = QueueAttributes {
        // What a killed consumer held comes again soon.
        visibility_timeout: 1,
        ..QueueAttributes::default()
    };
    let _ = QueueAdmin::create(&store, &arrived(), attributes)
        .await
        .unwrap();
    let _mappings = start(&store);
    tokio::spawn(consume(store.clone()));
    let mut out = std::io::stdout();
    // The harness has begun a line of its own.
    writeln!(out).unwrap();
    loop {
        let numbers = next..next + 1 + next % 7;
        next = numbers.end;
        let messages = numbers
            .clone()
            .map(|n| OutgoingMessage::new(n.to_string()))
            .collect();
        let sent = StageSender::send(&store, Stage::Ingest, messages).await;
        for (number, result) in numbers.zip(sent) {
            if result.is_ok() {
                writeln!(out, "acknowledged {number}").unwrap();
            }
        }
        out.flush().unwrap();
    }
}

/// Reads a line of the child.
fn number(line: &str, what: &str) -> Option<u64> {
    line.strip_prefix(what)?.trim().parse().ok()
}

/// Runs the child until it has acknowledged something and then a little longer; gives what it acknowledged, and what its
/// consumer had.
fn run_and_kill(data: &Path, first: u64) -> (Vec<u64>, Vec<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DATA, data)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    // Some kills come while the first message is under way, others after a thousand.
    let enough = 1 + SystemRandom.draw() % 1_000;
    let mut said = Vec::new();
    let mut acknowledged = 0;
    for line in output.by_ref().lines() {
        let line = line.unwrap();
        acknowledged += u64::from(number(&line, "acknowledged ").is_some());
        said.push(line);
        if acknowledged >= enough {
            break;
        }
    }
    assert!(acknowledged > 0, "the child ended before it sent anything");
    child.kill().unwrap();
    child.wait().unwrap();
    // What was written before the kill was acknowledged before it. A last line that was cut short is left out: a number
    // cut short would be another number. A whole one counts: what it tells of may be deleted by now.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let whole = rest
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    said.extend(whole.map(|line| line.trim_end().to_owned()));
    let all = |what: &str| said.iter().filter_map(|line| number(line, what)).collect();
    (all("acknowledged "), all("arrived "))
}

/// Lets everything arrive, and empties the queue; gives what arrived.
async fn drain(store: &Store) -> Vec<u64> {
    let mappings = start(store);
    let mut numbers = Vec::new();
    let busy = || {
        [Stage::Ingest, Stage::Match, Stage::Deliver]
            .iter()
            .any(|&stage| store.stage_statistics(stage).records > 0)
    };
    loop {
        let before = busy();
        let messages = store
            .receive(&arrived(), 1_000, Some(Duration::from_millis(100)))
            .await
            .unwrap();
        let receipts: Vec<_> = messages
            .iter()
            .filter_map(|message| message.receipt.clone())
            .collect();
        QueueConsumer::delete(store, &arrived(), &receipts)
            .await
            .unwrap();
        if messages.is_empty() && !before {
            let left = QueueAdmin::get(store, &arrived()).await.unwrap().statistics;
            if left.active + left.inactive + left.delayed == 0 {
                break;
            }
        }
        numbers.extend(
            messages
                .iter()
                .map(|message| message.body.parse::<u64>().unwrap()),
        );
    }
    for mapping in mappings {
        mapping.stop(Duration::from_secs(10)).await;
    }
    numbers
}

/// Everything that was ever kept on its way to match.
async fn kept(store: &Store) -> BTreeSet<u64> {
    let (mut numbers, mut from) = (BTreeSet::new(), None);
    loop {
        let end = Timestamp::from_millis(i64::MAX);
        let page = store
            .packs(Timestamp::default(), end, from.as_deref(), 1_000)
            .await
            .unwrap();
        numbers.extend(
            page.items
                .iter()
                .map(|pack| pack.message.parse::<u64>().unwrap()),
        );
        match page.next {
            Some(next) => from = Some(next),
            None => return numbers,
        }
    }
}

#[test]
fn nothing_accepted_is_lost_by_a_kill() {
    if std::env::var_os(DATA).is_some() {
        return;
    }
    let kills: u32 = std::env::var("CARILLON_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (mut first, mut acknowledged, mut seen) = (0, BTreeSet::new(), BTreeSet::new());
    let mut arrivals = 0;
    for kill in 0..kills {
        let (fresh, had) = run_and_kill(data.path(), first);
        arrivals += had.len();
        seen.extend(had);
        // Numbers beyond the last acknowledged one may have been sent as well.
        first = fresh.iter().max().unwrap() + 100;
        acknowledged.extend(fresh);
        // Every other time the next child finds what this one left.
        if kill % 2 == 1 || kill + 1 == kills {
            let (arrived, kept) = runtime.block_on(async {
                let store = open(data.path());
                let arrived = drain(&store).await;
                let kept = kept(&store).await;
                store.close().await;
                (arrived, kept)
            });
            arrivals += arrived.len();
            seen.extend(arrived);
            let lost: Vec<_> = acknowledged.difference(&seen).collect();
            assert!(
                lost.is_empty(),
                "after kill {kill}: {} acknowledged messages are lost: {lost:?}",
                lost.len()
            );
            // Match took what was kept for replay, and nothing else: one transaction does both.
            let differing: Vec<_> = kept.symmetric_difference(&seen).collect();
            assert!(
                differing.is_empty(),
                "after kill {kill}: kept or arrived, and not both: {differing:?}"
            );
        }
    }
    let invented: Vec<_> = seen.iter().filter(|&&number| number >= first).collect();
    assert!(invented.is_empty(), "never sent, yet arrived: {invented:?}");
    println!(
        "{kills} kills, {} acknowledged, {arrivals} arrived, {} of them twice or more",
        acknowledged.len(),
        arrivals - seen.len()
    );
}
