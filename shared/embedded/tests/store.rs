//! Opening and owning a store, full disks, and group commit.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::ports::{
    OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer, QueueError, QueueSender, Stage,
    StageSender,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{OpenError, Settings, Store};
use std::time::Duration;

fn orders() -> QueueName {
    QueueName::parse("orders").unwrap()
}

fn message(body: impl Into<String>) -> OutgoingMessage {
    OutgoingMessage::new(body.into())
}

#[test]
fn a_directory_belongs_to_one_store_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let first = Store::open(data.path(), Settings::default()).unwrap();
    let second = Store::open(data.path(), Settings::default()).unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }));
    let text = second.to_string();
    assert!(
        text.contains(&format!("(pid {})", std::process::id())),
        "{text}"
    );
    assert!(text.contains(&data.path().display().to_string()), "{text}");
    drop(first);
    Store::open(data.path(), Settings::default()).unwrap();
}

#[test]
fn what_cannot_be_opened_says_why() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("carillon.sqlite");

    std::fs::write(
        &file,
        "this is no database, though it is long enough to be one".repeat(100),
    )
    .unwrap();
    let damaged = Store::open(data.path(), Settings::default()).unwrap_err();
    assert!(matches!(damaged, OpenError::Damaged { .. }), "{damaged}");
    std::fs::remove_file(&file).unwrap();

    let foreign = rusqlite::Connection::open(&file).unwrap();
    foreign
        .execute_batch("CREATE TABLE recipes (name TEXT)")
        .unwrap();
    drop(foreign);
    let error = Store::open(data.path(), Settings::default()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
    std::fs::remove_file(&file).unwrap();

    drop(Store::open(data.path(), Settings::default()).unwrap());
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = Store::open(data.path(), Settings::default()).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );

    let error = Store::open(&file, Settings::default()).unwrap_err();
    assert!(matches!(error, OpenError::Path { .. }), "{error}");
}

#[tokio::test]
async fn a_closed_store_refuses_and_does_not_hang() {
    let store = Store::open_temporary(Settings::default()).unwrap();
    QueueAdmin::create(&store, &orders(), QueueAttributes::default())
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .receive(&orders(), 1, Some(Duration::from_secs(30)))
                .await
        }
    });
    tokio::task::yield_now().await;
    store.close().await;
    assert!(matches!(
        waiting.await.unwrap(),
        Err(QueueError::Unavailable(_))
    ));
    let sent = QueueSender::send(&store, &orders(), vec![message("a")]).await;
    assert!(matches!(sent[0], Err(QueueError::Unavailable(_))));
    assert!(matches!(
        store.peek(&orders(), 1).await,
        Err(QueueError::Unavailable(_))
    ));
    assert!(store.is_closed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_loses_nothing_and_passes() {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_bytes: Some(1 << 20),
        ..Settings::default()
    };
    let store = Store::open(data.path(), settings).unwrap();
    QueueAdmin::create(&store, &orders(), QueueAttributes::default())
        .await
        .unwrap();
    StageSender::send(&store, Stage::Match, vec![message("before")])
        .await
        .remove(0)
        .unwrap();

    let body = "x".repeat(30_000);
    let mut accepted = 0;
    let refusal = loop {
        // Several at a time, so that the refusal of one meets others in its transaction.
        let sends = (0..4).map(|_| {
            let (store, body) = (store.clone(), body.clone());
            tokio::spawn(async move {
                QueueSender::send(&store, &orders(), vec![message(body)])
                    .await
                    .remove(0)
            })
        });
        let mut refusal = None;
        for send in sends.collect::<Vec<_>>() {
            match send.await.unwrap() {
                Ok(_) => accepted += 1,
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(refusal) = refusal {
            break refusal;
        }
        assert!(accepted < 1_000, "the limit was never met");
    };
    assert!(
        refusal.to_string().contains("full: free some space"),
        "{refusal}"
    );

    // What was accepted is there, and taking it out makes room.
    let mut received = Vec::new();
    while received.len() < accepted {
        let messages = store
            .receive(&orders(), 16, Some(Duration::ZERO))
            .await
            .unwrap();
        assert!(
            !messages.is_empty(),
            "{} of {accepted} came back",
            received.len()
        );
        received.extend(messages.into_iter().filter_map(|message| message.receipt));
    }
    for deleted in QueueConsumer::delete(&store, &orders(), &received)
        .await
        .unwrap()
    {
        deleted.unwrap();
    }
    QueueSender::send(&store, &orders(), vec![message(body)])
        .await
        .remove(0)
        .unwrap();
    let record = store
        .take_records(Stage::Match, 1, Duration::from_secs(60), 5)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(record.record.body, "before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_does_not_grow_without_end() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), Settings::default()).unwrap();
    let body = "x".repeat(512 << 10);
    let (mut sent, mut largest) = (0, 0);
    // Ten times what the log is folded at, without a pause.
    while sent < 640 << 20 {
        let messages = vec![message(body.clone()); 8];
        sent += messages.len() * body.len();
        for sent in StageSender::send(&store, Stage::Ingest, messages).await {
            sent.unwrap();
        }
        let taken = store
            .take_records(Stage::Ingest, 8, Duration::from_secs(60), 5)
            .await
            .unwrap();
        store.settle(taken.into_iter().map(|record| record.done()).collect());
        let log = std::fs::metadata(data.path().join("carillon.sqlite-wal")).unwrap();
        largest = largest.max(log.len());
    }
    assert!(largest < 320 << 20, "the log grew to {largest} bytes");
}

#[tokio::test]
async fn a_disk_that_failed_once_is_not_believed_again() {
    let data = tempfile::tempdir().unwrap();
    let waits = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = waits.clone();
    let settings = Settings {
        sync: std::sync::Arc::new(move |log| {
            // The third wait fails; whoever asks again then gets a good answer, as systems give it.
            match counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                2 => Err(std::io::Error::other("input/output error")),
                _ => log.sync_data(),
            }
        }),
        ..Settings::default()
    };
    let store = Store::open(data.path(), settings).unwrap();
    let send = |body: &'static str| {
        let store = store.clone();
        async move {
            StageSender::send(&store, Stage::Match, vec![message(body)])
                .await
                .remove(0)
        }
    };
    send("one").await.unwrap();
    send("two").await.unwrap();
    for body in ["three", "four"] {
        let refused = send(body).await.unwrap_err().to_string();
        assert!(refused.contains("start the service again"), "{refused}");
    }
    store.close().await;
    drop(store);

    // What was acknowledged is there.
    let store = Store::open(data.path(), Settings::default()).unwrap();
    let taken = store
        .take_records(Stage::Match, 10, Duration::from_secs(60), 5)
        .await
        .unwrap();
    let bodies: Vec<_> = taken.iter().map(|taken| &taken.record.body).collect();
    assert!(bodies.starts_with(&[&"one".to_owned(), &"two".to_owned()]));
}
