//! What handlers hand on by `HandOver`: settled in memory, or written when that takes long.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::ports::{
    BatchOutcome, Message, MetricsText as _, OutgoingMessage, QueueAdmin, QueueAttributes,
    QueueConsumer, QueueError, QueueSender, Stage, StageSender,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{EventSourceMapping, MappingSettings, Settings, Store};
use std::path::Path;
use std::time::Duration;

const AN_HOUR: Duration = Duration::from_secs(3_600);

fn orders() -> QueueName {
    QueueName::parse("orders").unwrap()
}

async fn open(data: &Path, hold: Duration) -> Store {
    let settings = Settings {
        hold,
        ..Settings::default()
    };
    let store = Store::open(data, settings).unwrap();
    make(&store, &orders()).await;
    store
}

/// Makes a queue in which what is in hand stays there, however slow the machine is.
async fn make(store: &Store, queue: &QueueName) {
    let attributes = QueueAttributes {
        visibility_timeout: 43_200,
        ..QueueAttributes::default()
    };
    assert!(QueueAdmin::create(store, queue, attributes).await.unwrap());
}

/// Waits for messages, however long that takes.
async fn receive(store: &Store) -> Vec<Message> {
    loop {
        let wait = Some(Duration::from_secs(30));
        let messages = store.receive(&orders(), 16, wait).await.unwrap();
        if !messages.is_empty() {
            return messages;
        }
    }
}

/// Sends one message through the stage while somebody waits for it. A queue from which nobody has received for a second
/// counts as deserted, and a second may pass between any two lines here.
async fn send_and_receive(store: &Store, body: &str) -> Message {
    let (mut received, ()) = tokio::join!(biased; receive(store), send(store, body));
    received.remove(0)
}

/// A handler that hands every record on to the queue, until it is taken.
fn hand_on(store: &Store) -> EventSourceMapping {
    let hands = store.hand_over();
    let settings = MappingSettings {
        rest: Duration::from_millis(1),
        most_receptions: u32::MAX,
        ..MappingSettings::default()
    };
    EventSourceMapping::start(store.clone(), Stage::Deliver, settings, move |batch| {
        let hands = hands.clone();
        async move {
            let bodies = batch.iter().map(|record| record.body.clone());
            let messages = bodies.map(OutgoingMessage::new).collect();
            let sent = QueueSender::send(&hands, &orders(), messages).await;
            let mut outcome = BatchOutcome::default();
            for (record, sent) in batch.into_iter().zip(sent) {
                if let Err(error) = sent {
                    outcome.failed.push((record.id, error.to_string()));
                }
            }
            outcome
        }
    })
}

async fn send(store: &Store, body: &str) {
    StageSender::send(
        store,
        Stage::Deliver,
        vec![OutgoingMessage::new(body.to_owned())],
    )
    .await
    .remove(0)
    .unwrap();
}

async fn counter(store: &Store, name: &str) -> u64 {
    let text = store.text().await;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_received_and_deleted_soon_is_never_written() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path(), AN_HOUR).await;
    let _mapping = hand_on(&store);
    let message = send_and_receive(&store, "one").await;
    assert_eq!((message.body.as_str(), message.receive_count), ("one", 1));
    let receipt = [message.receipt.unwrap()];
    let deleted = QueueConsumer::delete(&store, &orders(), &receipt).await;
    assert_eq!(deleted.unwrap(), [Ok(())]);
    // Once.
    let again = QueueConsumer::delete(&store, &orders(), &receipt).await;
    assert_eq!(again.unwrap(), [Err(QueueError::ReceiptVoid)]);
    assert_eq!(counter(&store, "carillon_store_passed_total ").await, 1);
    assert_eq!(counter(&store, "carillon_store_spilled_total ").await, 0);
    // Its record is gone with it.
    while store.stage_statistics(Stage::Deliver).records > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_written_and_received_all_the_same() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path(), Duration::from_millis(1)).await;
    let _mapping = hand_on(&store);
    // A machine that stood still for a second leaves the queue deserted, and its message is written at once: once more.
    let mut sent = 0;
    while counter(&store, "carillon_store_spilled_total ").await == 0 {
        assert!(sent < 100, "a second passes between any two lines");
        let asked = store.receive(&orders(), 16, Some(Duration::ZERO)).await;
        assert!(asked.is_ok());
        send(&store, "one").await;
        sent += 1;
        while store.stage_statistics(Stage::Deliver).records > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(receive(&store).await.last().unwrap().body, "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_hand_keeps_its_receipt_when_it_is_written() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path(), AN_HOUR).await;
    let _mapping = hand_on(&store);
    let message = send_and_receive(&store, "one").await;
    // Looking at the numbers has it written.
    let queue = QueueAdmin::get(&store, &orders()).await.unwrap();
    assert_eq!((queue.statistics.active, queue.statistics.inactive), (0, 1));
    assert_eq!(counter(&store, "carillon_store_spilled_total ").await, 1);
    let receipt = message.receipt.unwrap();
    let (receipt, _) = store
        .change_visibility(&orders(), &receipt, Duration::ZERO)
        .await
        .unwrap();
    let back = receive(&store).await.remove(0);
    assert_eq!((back.id, back.receive_count), (message.id, 2));
    let void = QueueConsumer::delete(&store, &orders(), &[receipt]).await;
    assert_eq!(void.unwrap(), [Err(QueueError::ReceiptVoid)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visibility_changed_in_memory_holds() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path(), AN_HOUR).await;
    let _mapping = hand_on(&store);
    let message = send_and_receive(&store, "one").await;
    store
        .change_visibility(&orders(), &message.receipt.unwrap(), Duration::ZERO)
        .await
        .unwrap();
    let back = receive(&store).await.remove(0);
    assert_eq!((back.id, back.receive_count), (message.id, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_leaves_nothing_in_memory() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path(), AN_HOUR).await;
    let mapping = hand_on(&store);
    let first = send_and_receive(&store, "one").await;
    let _second = send_and_receive(&store, "two").await;
    mapping.stop(Duration::from_secs(600)).await;
    store.close().await;
    drop(store);

    // The record was settled with what was made of it, so it is not handled again; the one in hand keeps its receipt.
    let store = Store::open(data.path(), Settings::default()).unwrap();
    assert_eq!(store.stage_statistics(Stage::Deliver).records, 0);
    let queue = QueueAdmin::get(&store, &orders()).await.unwrap();
    assert_eq!(queue.statistics.active + queue.statistics.inactive, 2);
    let deleted = QueueConsumer::delete(&store, &orders(), &[first.receipt.unwrap()]).await;
    assert_eq!(deleted.unwrap(), [Ok(())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_takes_its_messages_with_it() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path(), AN_HOUR).await;
    let _mapping = hand_on(&store);
    let _message = send_and_receive(&store, "one").await;
    assert!(QueueAdmin::delete(&store, &orders()).await.unwrap());
    while store.stage_statistics(Stage::Deliver).records > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_keeps_it_in_memory_and_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings {
        hold: Duration::from_millis(1),
        max_bytes: Some(1 << 20),
        ..Settings::default()
    };
    let store = Store::open(data.path(), settings).unwrap();
    let filler = QueueName::parse("filler").unwrap();
    for queue in [&orders(), &filler] {
        make(&store, queue).await;
    }
    for number in 0..20 {
        send(&store, &format!("{number:>020000}")).await;
    }
    // From large to small, until nothing fits any more.
    for size in [30_000, 1_024] {
        let body = OutgoingMessage::new("x".repeat(size));
        while QueueSender::send(&store, &filler, vec![body.clone()])
            .await
            .remove(0)
            .is_ok()
        {}
    }
    let _mapping = hand_on(&store);
    // All is handed on, and none of it can be written.
    let mut bodies = std::collections::BTreeSet::new();
    let mut receipts = Vec::new();
    while bodies.len() < 20 {
        let received = store
            .receive(&orders(), 3, Some(Duration::from_secs(10)))
            .await;
        // The disk may refuse a reception of what was written before it was full.
        for message in received.unwrap_or_default() {
            bodies.insert(message.body);
            receipts.extend(message.receipt);
        }
    }
    // Deleting makes room, and everything comes to its end.
    let filling = store
        .receive(&filler, 16, Some(Duration::ZERO))
        .await
        .unwrap();
    let filling: Vec<_> = filling
        .into_iter()
        .filter_map(|message| message.receipt)
        .collect();
    for deleted in QueueConsumer::delete(&store, &filler, &filling)
        .await
        .unwrap()
    {
        deleted.unwrap();
    }
    for deleted in QueueConsumer::delete(&store, &orders(), &receipts)
        .await
        .unwrap()
    {
        deleted.unwrap();
    }
    while store.stage_statistics(Stage::Deliver).records > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
