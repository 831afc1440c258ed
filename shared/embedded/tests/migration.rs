//! A store that an older release left is opened by this one with everything in it.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::event::Timestamp;
use carillon_core::ports::{
    AttemptQuery as _, DeadLetterAdmin as _, QueueConsumer, RuleStore as _, Selection, Stage,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{ManualClock, Settings, Store};
use std::sync::Arc;
use std::time::Duration;

/// Made by the release with schema 1, which was killed.
const SCHEMA_1: &str = include_str!("store-schema-1.sql");
/// A little after that.
const THEN: i64 = 1_795_366_385_000;

#[tokio::test]
async fn a_store_of_schema_1_keeps_all_it_holds() {
    let data = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(data.path().join("carillon.sqlite")).unwrap();
    old.execute_batch(SCHEMA_1).unwrap();
    drop(old);

    let clock = ManualClock::new(Timestamp::from_millis(THEN));
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    let store = Store::open(data.path(), settings).unwrap();

    let records = store.load().await.unwrap();
    assert_eq!(records.version, 3);
    let names: Vec<_> = records
        .rules
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(names, ["gone", "hooks", "uploads"]);
    assert_eq!((records.topics.len(), records.subscriptions.len()), (3, 3));

    // One message is free, the other in the hands of a consumer that outlived the service.
    let orders = QueueName::parse("orders").unwrap();
    let free = store
        .receive(&orders, 16, Some(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(free.len(), 1);
    assert_eq!(free[0].id, "A2721EDF9B0784E67FEE8EB15CFB0CE2");
    let receipt =
        carillon_core::ports::Receipt(format!("5-{:016x}", 7_671_549_072_339_225_497_u64));
    let deleted = QueueConsumer::delete(&store, &orders, &[receipt])
        .await
        .unwrap();
    assert_eq!(deleted, [Ok(())]);

    // The retry is not due yet; then it is.
    assert_eq!(store.stage_statistics(Stage::Deliver).records, 1);
    clock.advance(Duration::from_secs(20));
    let taken = store
        .take_records(Stage::Deliver, 10, Duration::from_secs(60), 5)
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].record.body.contains("mns-en-topics-oss-hooks"));

    let letters = store.list(&Selection::default(), None, 10).await.unwrap();
    assert_eq!(letters.items.len(), 1);
    let attempts = store
        .attempts(&Selection::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(attempts.items.len(), 4);
}
