//! Following the attempt log: what is recorded comes once, in order, to whoever waits for it.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::delivery::{Attempt, Outcome, OutcomeClass};
use carillon_core::event::{MessageId, Product, Timestamp};
use carillon_core::ports::{
    AttemptLog as _, AttemptQuery as _, AttemptRecord, Followed, Selection,
};
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use carillon_embedded::{Settings, Store};
use std::time::Duration;

fn attempt(rule: &str, message: u128) -> AttemptRecord {
    AttemptRecord {
        message_id: MessageId::from_bits(message),
        product: Product::Oss,
        rule: RuleName::parse(rule).unwrap(),
        topic: TopicName::parse("t").unwrap(),
        subscription: SubscriptionName::parse("s").unwrap(),
        number: 1,
        attempt: Attempt {
            at: Timestamp::from_millis(1),
            took_ms: 1,
            outcome: Outcome {
                class: OutcomeClass::Success,
                status: Some(204),
                detail: String::new(),
                retry_after: None,
            },
        },
    }
}

fn only(rule: &str) -> Selection {
    Selection {
        rule: Some(RuleName::parse(rule).unwrap()),
        ..Selection::default()
    }
}

const NO_WAIT: Duration = Duration::ZERO;
/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

async fn follow(store: &Store, rule: &str, after: Option<&str>, wait: Duration) -> Followed {
    let followed = store.follow(&only(rule), after, 100, wait).await;
    followed.unwrap().expect("this log can be followed")
}

#[tokio::test]
async fn what_is_recorded_comes_once_and_in_order_and_a_place_outlives_the_process() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), Settings::default()).unwrap();
    let start = follow(&store, "a", None, NO_WAIT).await;
    assert_eq!(start.items, []);
    let records = vec![attempt("a", 1), attempt("b", 2), attempt("a", 3)];
    store.record(records).await.unwrap();
    let first = follow(&store, "a", Some(&start.next), NO_WAIT).await;
    assert_eq!(first.items, [attempt("a", 1), attempt("a", 3)]);
    let none = follow(&store, "a", Some(&first.next), NO_WAIT).await;
    assert_eq!(none.items, []);
    store.close().await;
    drop(store);

    let store = Store::open(data.path(), Settings::default()).unwrap();
    store.record(vec![attempt("a", 4)]).await.unwrap();
    let later = follow(&store, "a", Some(&none.next), NO_WAIT).await;
    assert_eq!(later.items, [attempt("a", 4)]);
    // One at a time: nothing is passed over.
    let mut place = start.next;
    for message in [1, 3, 4] {
        let one = store.follow(&only("a"), Some(&place), 1, NO_WAIT).await;
        let one = one.unwrap().unwrap();
        assert_eq!(one.items, [attempt("a", message)]);
        place = one.next;
    }
    for nonsense in ["", "x", "-1"] {
        let refused = store.follow(&only("a"), Some(nonsense), 1, NO_WAIT).await;
        refused.unwrap_err();
    }
}

#[tokio::test]
async fn whoever_waits_is_woken_by_the_attempt_it_waits_for_and_by_the_end() {
    let store = Store::open_temporary(Settings::default()).unwrap();
    let start = follow(&store, "a", None, NO_WAIT).await.next;
    let waiting = tokio::spawn({
        let (store, start) = (store.clone(), start.clone());
        async move { follow(&store, "a", Some(&start), LONG).await }
    });
    // Of another rule: the follower looks, and waits on.
    store.record(vec![attempt("b", 1)]).await.unwrap();
    store.record(vec![attempt("a", 2)]).await.unwrap();
    assert_eq!(waiting.await.unwrap().items, [attempt("a", 2)]);

    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.follow(&only("a"), None, 1, LONG).await }
    });
    tokio::task::yield_now().await;
    store.close().await;
    waiting.await.unwrap().unwrap_err();
}
