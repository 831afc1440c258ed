//! Records that were in hand when the process ended: the one that ends it goes to the dead letters, those beside it never.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::delivery::DeadLetterContent;
use carillon_core::ports::{
    BatchOutcome, DeadLetterAdmin as _, OutgoingMessage, Selection, Stage, StageSender,
};
use carillon_embedded::{EventSourceMapping, LeasedRecord, MappingSettings, Settings, Store};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// Receptions after which a record goes to the dead letters.
const MOST: u32 = 5;

fn open(data: &Path) -> Store {
    Store::open(data, Settings::default()).unwrap()
}

async fn take(store: &Store) -> Vec<LeasedRecord> {
    store
        .take_records(Stage::Match, 10, Duration::from_secs(600), MOST)
        .await
        .unwrap()
}

/// The process ends with these in hand.
async fn die(store: Store, in_hand: Vec<LeasedRecord>) {
    store.close().await;
    drop(store);
    drop(in_hand);
}

async fn send(store: &Store, bodies: impl IntoIterator<Item = String>) {
    let messages = bodies.into_iter().map(OutgoingMessage::new).collect();
    for result in store.send(Stage::Match, messages).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn only_the_record_that_ends_the_process_is_buried() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path());
    send(&store, (0..30).map(|n| format!("record {n:02}"))).await;
    let culprit = |leased: &LeasedRecord| leased.record.body == "record 17";
    die(store, Vec::new()).await;

    let mut done = Vec::new();
    let mut ends = 0;
    let letters = 'lives: loop {
        let store = open(data.path());
        let mut in_hand = Vec::new();
        while done.len() < 29 {
            let taken = take(&store).await;
            // Three batches are under way at a time, and the culprit takes them all down.
            let alone = taken.iter().any(LeasedRecord::is_alone);
            let guilty = taken.iter().any(culprit);
            in_hand.extend(taken);
            if guilty || in_hand.len() > 20 {
                assert!(guilty || in_hand.iter().any(culprit));
                ends += 1;
                assert!(ends <= MOST, "it was not buried");
                die(store, in_hand).await;
                continue 'lives;
            }
            if alone {
                let settled = in_hand.drain(..).map(|leased| {
                    done.push(leased.record.body.clone());
                    leased.done()
                });
                store.settle(settled.collect());
            }
            // Settling is not waited for; an answered request after it tells that it has happened.
            send(&store, None).await;
        }
        break store.list(&Selection::default(), None, 100).await.unwrap();
    };
    assert_eq!(ends, MOST);
    let buried: Vec<_> = letters.items.iter().map(|kept| &kept.letter).collect();
    assert_eq!(buried.len(), 1, "{buried:?}");
    let DeadLetterContent::Record { body, .. } = &buried[0].content else {
        panic!("{buried:?}")
    };
    assert_eq!(body, "record 17");
    assert!(buried[0].reason.contains("the process ended"), "{buried:?}");
    done.sort();
    let others = (0..30)
        .filter(|n| *n != 17)
        .map(|n| format!("record {n:02}"));
    assert_eq!(done, others.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_graceful_stop_counts_no_reception() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path());
    send(&store, ["a".to_owned()]).await;
    die(store, Vec::new()).await;
    for _ in 0..10 {
        let store = open(data.path());
        let taken = take(&store).await;
        assert_eq!(taken[0].record.receive_count, 1);
        drop(taken);
        store.close().await;
    }
}

#[tokio::test]
async fn what_a_suspect_hands_on_is_written_before_it_is_answered() {
    let data = tempfile::tempdir().unwrap();
    let store = open(data.path());
    send(&store, ["a".to_owned()]).await;
    die(store, Vec::new()).await;
    for _ in 0..2 {
        let store = open(data.path());
        let taken = take(&store).await;
        assert!(!taken[0].is_alone());
        die(store, taken).await;
    }
    let store = open(data.path());
    let (tell, mut told) = mpsc::unbounded_channel();
    let hands = store.hand_over();
    let file = data.path().join("carillon.sqlite");
    let mapping = EventSourceMapping::start(
        store.clone(),
        Stage::Match,
        MappingSettings::default(),
        move |batch| {
            let (hands, tell, file) = (hands.clone(), tell.clone(), file.clone());
            async move {
                let onward = batch
                    .into_iter()
                    .map(|record| OutgoingMessage::new(record.body));
                for result in StageSender::send(&hands, Stage::Deliver, onward.collect()).await {
                    result.unwrap();
                }
                let reader = rusqlite::Connection::open(file).unwrap();
                let rows = reader.query_row(
                    "SELECT count(*) FROM stage_messages WHERE stage = 2",
                    [],
                    |row| row.get::<_, u32>(0),
                );
                tell.send(rows.unwrap()).unwrap();
                BatchOutcome::default()
            }
        },
    );
    assert_eq!(told.recv().await, Some(1));
    mapping.stop(Duration::from_secs(600)).await;
}
