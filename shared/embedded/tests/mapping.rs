//! The mapping: batches, partial failures, panics, handlers that never end, and a graceful stop.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::delivery::DeadLetterContent;
use carillon_core::ports::{
    BatchOutcome, DeadLetterAdmin as _, OutgoingMessage, QueueRecord, Selection, Stage,
    StageSender as _,
};
use carillon_embedded::{EventSourceMapping, MappingSettings, Settings, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

fn store() -> Store {
    Store::open_temporary(Settings::default()).unwrap()
}

fn quick() -> MappingSettings {
    MappingSettings {
        rest: Duration::ZERO,
        handler_timeout: Duration::from_secs(600),
        ..MappingSettings::default()
    }
}

async fn send(store: &Store, bodies: &[&str]) {
    let messages = bodies
        .iter()
        .map(|body| OutgoingMessage::new((*body).to_owned()))
        .collect();
    for result in store.send(Stage::Ingest, messages).await {
        result.unwrap();
    }
}

/// Waits until the stage is empty; every step of that is an event, so nothing sleeps here.
async fn until_empty(store: &Store, mut handled: mpsc::UnboundedReceiver<String>) -> Vec<String> {
    let mut seen = Vec::new();
    while store.stage_statistics(Stage::Ingest).records > 0 {
        tokio::select! {
            Some(body) = handled.recv() => seen.push(body),
            () = tokio::task::yield_now() => {}
        }
    }
    while let Ok(body) = handled.try_recv() {
        seen.push(body);
    }
    seen.sort();
    seen
}

#[tokio::test]
async fn what_succeeds_is_deleted_and_what_fails_comes_again() {
    let store = store();
    send(&store, &["a", "b", "c"]).await;
    let (tell, handled) = mpsc::unbounded_channel();
    let mapping = EventSourceMapping::start(
        store.clone(),
        Stage::Ingest,
        quick(),
        move |batch: Vec<QueueRecord>| {
            let tell = tell.clone();
            async move {
                let mut outcome = BatchOutcome::default();
                // An id that was never in the batch is of no effect.
                outcome
                    .failed
                    .push(("no such record".to_owned(), "?".to_owned()));
                for record in batch {
                    tell.send(record.body.clone()).unwrap();
                    if record.body == "b" && record.receive_count < 3 {
                        outcome.failed.push((record.id, "not yet".to_owned()));
                    }
                }
                outcome
            }
        },
    );
    let seen = until_empty(&store, handled).await;
    assert_eq!(seen, ["a", "b", "b", "b", "c"]);
    mapping.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_panic_costs_only_the_record_that_causes_it() {
    let store = store();
    let bodies: Vec<String> = (0..10).map(|n| format!("record {n}")).collect();
    send(
        &store,
        &bodies.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let done = Arc::new(Mutex::new(Vec::new()));
    let (tell, handled) = mpsc::unbounded_channel();
    let mapping = EventSourceMapping::start(store.clone(), Stage::Ingest, quick(), {
        let done = done.clone();
        move |batch: Vec<QueueRecord>| {
            let (tell, done) = (tell.clone(), done.clone());
            async move {
                for record in &batch {
                    tell.send(record.body.clone()).unwrap();
                    assert!(record.body != "record 7", "cannot read record 7");
                }
                done.lock()
                    .unwrap()
                    .extend(batch.into_iter().map(|record| record.body));
                BatchOutcome::default()
            }
        }
    });
    let seen = until_empty(&store, handled).await;
    mapping.stop(Duration::from_secs(5)).await;

    let mut done = done.lock().unwrap().clone();
    done.sort();
    let expected: Vec<String> = bodies
        .iter()
        .filter(|body| *body != "record 7")
        .cloned()
        .collect();
    assert_eq!(done, expected);
    assert!(seen.iter().filter(|body| *body == "record 7").count() >= 5);

    let page = store.list(&Selection::default(), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let letter = &page.items[0].letter;
    assert_eq!(
        letter.content,
        DeadLetterContent::Record {
            stage: "ingest".to_owned(),
            body: "record 7".to_owned()
        }
    );
    assert_eq!(
        letter.reason,
        "received 5 times without success; the last time: the handler panicked: cannot read record 7"
    );
}

#[tokio::test]
async fn a_handler_that_never_ends_is_given_up() {
    let store = store();
    send(&store, &["endless", "quick"]).await;
    let (tell, handled) = mpsc::unbounded_channel();
    let settings = MappingSettings {
        handler_timeout: Duration::from_millis(20),
        most_receptions: 1,
        concurrency: 1,
        ..quick()
    };
    let mapping = EventSourceMapping::start(
        store.clone(),
        Stage::Ingest,
        settings,
        move |batch: Vec<QueueRecord>| {
            let tell = tell.clone();
            async move {
                for record in batch {
                    if record.body == "endless" {
                        std::future::pending::<()>().await;
                    }
                    tell.send(record.body).unwrap();
                }
                BatchOutcome::default()
            }
        },
    );
    let seen = until_empty(&store, handled).await;
    mapping.stop(Duration::from_secs(5)).await;
    assert_eq!(seen, ["quick"]);
    let page = store.list(&Selection::default(), None, 10).await.unwrap();
    assert_eq!(
        page.items[0].letter.reason,
        "received once without success; the last time: the handler took longer than 20ms"
    );
}

#[tokio::test]
async fn stopping_frees_what_did_not_finish() {
    let store = store();
    send(&store, &["stuck"]).await;
    let (tell, mut started) = mpsc::unbounded_channel();
    let mapping = EventSourceMapping::start(store.clone(), Stage::Ingest, quick(), move |_| {
        let tell = tell.clone();
        async move {
            tell.send(()).unwrap();
            std::future::pending().await
        }
    });
    started.recv().await.unwrap();
    mapping.stop(Duration::ZERO).await;
    let taken = store
        .take_records(Stage::Ingest, 1, Duration::from_secs(60), 5)
        .await
        .unwrap();
    assert_eq!(taken[0].record.body, "stuck");
    // Giving it up was no failure of the record.
    assert_eq!(taken[0].record.receive_count, 1);
}
