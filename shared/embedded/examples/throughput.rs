//! How fast the store is on this machine's disk: `cargo run --release -p carillon-embedded --example throughput`.
//! An argument names the directory to work in. Every write is durable before it counts. Figures are for comparing releases on one machine.
// A program that prints; `allow-unwrap-in-tests` does not know examples.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use carillon_core::ports::{
    BatchOutcome, OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer, QueueRecord,
    QueueSender, Stage, StageSender,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{EventSourceMapping, MappingSettings, Settings, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events in a packed message, and the bytes of one (an S3 record of the sample workload).
const PACK: usize = 80;
const EVENT: usize = 790;

fn message(bytes: usize) -> OutgoingMessage {
    OutgoingMessage::new("e".repeat(bytes))
}

/// Sends `total` messages from `senders` tasks, `batch` at a time.
async fn feed(store: &Store, senders: usize, total: usize, batch: usize, bytes: usize) {
    let tasks = (0..senders).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..total / senders / batch {
                let messages = (0..batch).map(|_| message(bytes)).collect();
                for sent in StageSender::send(&store, Stage::Ingest, messages).await {
                    sent.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

fn pass_on(
    store: &Store,
    from: Stage,
    to: Option<Stage>,
    done: &Arc<AtomicU64>,
) -> EventSourceMapping {
    let (hands, done) = (store.clone(), done.clone());
    EventSourceMapping::start(
        store.clone(),
        from,
        MappingSettings::default(),
        move |batch: Vec<QueueRecord>| {
            let (store, done) = (hands.clone(), done.clone());
            async move {
                let count = batch.len() as u64;
                if let Some(to) = to {
                    let messages = batch
                        .into_iter()
                        .map(|record| OutgoingMessage::new(record.body))
                        .collect();
                    for sent in StageSender::send(&store, to, messages).await {
                        sent.unwrap();
                    }
                } else {
                    done.fetch_add(count, Ordering::Relaxed);
                }
                BatchOutcome::default()
            }
        },
    )
}

async fn hop(store: &Store) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let mapping = EventSourceMapping::start(
        store.clone(),
        Stage::Match,
        MappingSettings::default(),
        move |_| {
            tell.send(Instant::now()).unwrap();
            async { BatchOutcome::default() }
        },
    );
    let mut times = Vec::new();
    for _ in 0..500 {
        let begin = Instant::now();
        StageSender::send(store, Stage::Match, vec![message(EVENT)]).await;
        times.push(told.recv().await.unwrap() - begin);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort();
    println!(
        "idle hop, send to handler: p50 {:?}, p99 {:?}",
        times[250], times[495]
    );
    mapping.stop(Duration::from_secs(5)).await;
}

async fn pipeline(
    store: &Store,
    what: &str,
    total: usize,
    batch: usize,
    bytes: usize,
    events: usize,
) {
    let done = Arc::new(AtomicU64::new(0));
    let mappings = [
        pass_on(store, Stage::Ingest, Some(Stage::Match), &done),
        pass_on(store, Stage::Match, Some(Stage::Deliver), &done),
        pass_on(store, Stage::Deliver, None, &done),
    ];
    let begin = Instant::now();
    feed(store, 32, total, batch, bytes).await;
    let fed = begin.elapsed();
    while done.load(Ordering::Relaxed) < total as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = begin.elapsed().as_secs_f64();
    println!(
        "three stages, {what}: {:.0} messages/s = {:.0} events/s through all three (accepted at {:.0} messages/s)",
        total as f64 / took,
        (total * events) as f64 / took,
        total as f64 / fed.as_secs_f64(),
    );
    for mapping in mappings {
        mapping.stop(Duration::from_secs(5)).await;
    }
}

async fn users_queue(store: &Store, total: usize) {
    let queue = QueueName::parse("orders").unwrap();
    QueueAdmin::create(store, &queue, QueueAttributes::default())
        .await
        .unwrap();
    let begin = Instant::now();
    let senders = (0..8).map(|_| {
        let (store, queue) = (store.clone(), queue.clone());
        tokio::spawn(async move {
            for _ in 0..total / 8 / 16 {
                let messages = (0..16).map(|_| message(EVENT)).collect();
                QueueSender::send(&store, &queue, messages).await;
            }
        })
    });
    let receivers = (0..8).map(|_| {
        let (store, queue) = (store.clone(), queue.clone());
        tokio::spawn(async move {
            let mut received = 0;
            loop {
                let messages = store
                    .receive(&queue, 16, Some(Duration::from_secs(1)))
                    .await
                    .unwrap();
                if messages.is_empty() {
                    return (received, Instant::now() - Duration::from_secs(1));
                }
                received += messages.len();
                let receipts: Vec<_> = messages
                    .into_iter()
                    .filter_map(|message| message.receipt)
                    .collect();
                QueueConsumer::delete(&store, &queue, &receipts)
                    .await
                    .unwrap();
            }
        })
    });
    let tasks: Vec<_> = senders.collect();
    let receivers: Vec<_> = receivers.collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut last = begin;
    let mut received = 0;
    for task in receivers {
        let (count, end) = task.await.unwrap();
        received += count;
        last = last.max(end);
    }
    println!(
        "a user's queue, sent, received and deleted by 16: {:.0} messages/s",
        received as f64 / (last - begin).as_secs_f64()
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let data = tempfile::Builder::new()
        .prefix("throughput-")
        .tempdir_in(place)
        .unwrap();
    let store = Store::open(data.path(), Settings::default()).unwrap();
    hop(&store).await;
    pipeline(&store, "packed by 80", 3_200, 4, PACK * EVENT, PACK).await;
    pipeline(&store, "one event a message", 64_000, 10, EVENT, 1).await;
    users_queue(&store, 32_000).await;
    store.close().await;
}
