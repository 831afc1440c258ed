//! Dead letters and the attempt log: kept, found, sent again, sampled, forgotten.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::delivery::{
    Attempt, DeadLetter, DeadLetterContent, Delivery, Notification, Outcome, OutcomeClass,
};
use carillon_core::envelope::open_deliveries;
use carillon_core::event::{EventType, MessageId, Product, Timestamp};
use carillon_core::ports::{
    AttemptLog as _, AttemptQuery as _, AttemptRecord, DeadLetterAdmin as _, DeadLetterStore as _,
    OutgoingMessage, Selection, Stage, StageSender,
};
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use carillon_embedded::{ManualClock, Settings, Store};
use std::sync::Arc;
use std::time::Duration;

fn delivery(rule: &str, subscription: &str, id: u128) -> Delivery {
    Delivery {
        topic: TopicName::parse("orders").unwrap(),
        subscription: SubscriptionName::parse(subscription).unwrap(),
        version: 3,
        notification: Notification {
            message_id: MessageId::from_bits(id),
            product: Product::Oss,
            rule: RuleName::parse(rule).unwrap(),
            event_type: EventType::parse("ObjectCreated:PutObject").unwrap(),
            resource: "bucket/key".to_owned(),
            body: "eyJldmVudHMiOltdfQ== \u{2713}".to_owned(),
            published: Timestamp::from_millis(5),
            tag: None,
        },
        attempts: 4,
        redriven: None,
        resends: 0,
        history: vec![attempt(9, OutcomeClass::Retry)],
    }
}

fn attempt(at: i64, class: OutcomeClass) -> Attempt {
    Attempt {
        at: Timestamp::from_millis(at),
        took_ms: 12,
        outcome: Outcome {
            class,
            status: Some(503),
            detail: "busy".to_owned(),
            retry_after: Some(Duration::from_secs(7)),
        },
    }
}

fn letter(at: i64, delivery: Delivery) -> DeadLetter {
    DeadLetter {
        at: Timestamp::from_millis(at),
        reason: format!(
            "gave up on {} (100 % of attempts failed)",
            delivery.subscription
        ),
        content: DeadLetterContent::Delivery(Box::new(delivery)),
    }
}

#[tokio::test]
async fn dead_letters_are_found_and_sent_again_once() {
    let store = Store::open_temporary(Settings::default()).unwrap();
    let record = DeadLetter {
        at: Timestamp::from_millis(1),
        reason: "not JSON".to_owned(),
        content: DeadLetterContent::Record {
            stage: "ingest".to_owned(),
            body: "}{".to_owned(),
        },
    };
    let letters = vec![
        record.clone(),
        letter(2, delivery("thumbnails", "warehouse", 1)),
        letter(3, delivery("thumbnails", "billing", 2)),
        letter(4, delivery("invoices", "billing", 3)),
    ];
    store.put(letters.clone()).await.unwrap();

    let found = async |selection: Selection, text: &str| -> Vec<i64> {
        let page = store
            .search_dead_letters(&selection, text, None, 10)
            .await
            .unwrap();
        page.items
            .iter()
            .map(|kept| kept.letter.at.as_millis())
            .collect()
    };
    let all = Selection::default;
    let rule = Some(RuleName::parse("thumbnails").unwrap());
    let subscription = Some(SubscriptionName::parse("billing").unwrap());
    assert_eq!(found(all(), "").await, [4, 3, 2, 1]);
    assert_eq!(
        found(
            Selection {
                rule: rule.clone(),
                ..all()
            },
            ""
        )
        .await,
        [3, 2]
    );
    assert_eq!(
        found(
            Selection {
                subscription: subscription.clone(),
                ..all()
            },
            ""
        )
        .await,
        [4, 3]
    );
    assert_eq!(
        found(
            Selection {
                rule: rule.clone(),
                subscription,
                ..all()
            },
            ""
        )
        .await,
        [3]
    );
    assert_eq!(
        found(
            Selection {
                message_id: Some(MessageId::from_bits(3)),
                ..all()
            },
            ""
        )
        .await,
        [4]
    );
    assert_eq!(
        found(
            Selection {
                since: Some(Timestamp::from_millis(2)),
                until: Some(Timestamp::from_millis(4)),
                ..all()
            },
            ""
        )
        .await,
        [3, 2]
    );
    assert_eq!(found(all(), "BILLING").await, [4, 3]);
    assert_eq!(found(all(), "100 %").await, [4, 3, 2]);
    assert_eq!(found(all(), "1_0").await, [0i64; 0]);

    let mut pages = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let page = store.list(&all(), from.as_deref(), 3).await.unwrap();
        pages.push(page.items.len());
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    assert_eq!(pages, [3, 1]);
    assert!(store.list(&all(), Some("nonsense"), 3).await.is_err());

    let page = store
        .list(&Selection { rule, ..all() }, None, 10)
        .await
        .unwrap();
    let ids: Vec<String> = page.items.iter().map(|kept| kept.id.clone()).collect();
    assert_eq!(
        store.get(&ids[1]).await.unwrap().unwrap().letter,
        letters[1]
    );
    let (once, twice) = tokio::join!(store.redrive(&ids), store.redrive(&ids));
    assert_eq!(once.unwrap() + twice.unwrap(), 2);
    assert_eq!(store.get(&ids[1]).await, Ok(None));
    let mut sent = Vec::new();
    for leased in store
        .take_records(Stage::Deliver, 10, Duration::from_secs(60), 5)
        .await
        .unwrap()
    {
        sent.extend(open_deliveries(&leased.record.body).unwrap());
    }
    sent.sort_by_key(|delivery| delivery.notification.message_id);
    let expected: Vec<Delivery> = [("warehouse", 1), ("billing", 2)]
        .into_iter()
        .zip(&sent)
        .map(|((to, id), sent)| {
            let when = sent.redriven.expect("a redrive says when it was");
            delivery("thumbnails", to, id).renewed(when)
        })
        .collect();
    assert_eq!(sent, expected);

    assert_eq!(store.redrive_all(&all(), "not json").await, Ok(1));
    let again = store
        .take_records(Stage::Ingest, 10, Duration::from_secs(60), 5)
        .await
        .unwrap();
    assert_eq!(again[0].record.body, "}{");
    let left = store.list(&all(), None, 10).await.unwrap().items;
    let left: Vec<String> = left.into_iter().map(|kept| kept.id).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(store.redrive_all(&all(), "").await, Ok(1));
    assert_eq!(store.delete(&left).await, Ok(0));
}

#[tokio::test]
async fn attempts_are_found_newest_first_and_kept_for_their_time() {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        keep_attempts: Duration::from_secs(3_600),
        // No further request comes that could share the commit.
        linger: Duration::ZERO,
        ..Settings::default()
    };
    let store = Store::open_temporary(settings).unwrap();
    let record = |number: u32, subscription: &str, class| AttemptRecord {
        message_id: MessageId::from_bits(u128::from(number % 2)),
        product: Product::Oss,
        rule: RuleName::parse("thumbnails").unwrap(),
        topic: TopicName::parse("orders").unwrap(),
        subscription: SubscriptionName::parse(subscription).unwrap(),
        number,
        attempt: attempt(1_000_000 + i64::from(number), class),
    };
    let mut records: Vec<AttemptRecord> = (1..=6)
        .map(|n| {
            record(
                n,
                if n < 4 { "warehouse" } else { "billing" },
                if n % 3 == 0 {
                    OutcomeClass::Success
                } else {
                    OutcomeClass::Retry
                },
            )
        })
        .collect();
    records[1].attempt.outcome.status = Some(429);
    store.record(records.clone()).await.unwrap();

    let numbers = async |selection: Selection| -> Vec<u32> {
        let page = store.attempts(&selection, None, 10).await.unwrap();
        page.items.iter().map(|record| record.number).collect()
    };
    let all = Selection::default;
    let subscription = Some(SubscriptionName::parse("billing").unwrap());
    assert_eq!(
        store.attempts(&all(), None, 10).await.unwrap().items,
        records.iter().rev().cloned().collect::<Vec<_>>()
    );
    assert_eq!(
        numbers(Selection {
            subscription,
            ..all()
        })
        .await,
        [6, 5, 4]
    );
    assert_eq!(
        numbers(Selection {
            class: Some(OutcomeClass::Success),
            ..all()
        })
        .await,
        [6, 3]
    );
    let of = |status: u16| Selection {
        status: Some(status),
        ..all()
    };
    assert_eq!(numbers(of(429)).await, [2]);
    assert_eq!(numbers(of(418)).await, [0u32; 0]);
    assert_eq!(
        numbers(Selection {
            message_id: Some(MessageId::from_bits(1)),
            ..all()
        })
        .await,
        [5, 3, 1]
    );
    assert_eq!(
        numbers(Selection {
            since: Some(Timestamp::from_millis(1_000_005)),
            ..all()
        })
        .await,
        [6, 5]
    );
    assert_eq!(
        numbers(Selection {
            rule: Some(RuleName::parse("other").unwrap()),
            ..all()
        })
        .await,
        [0u32; 0]
    );
    let first = store.attempts(&all(), None, 4).await.unwrap();
    let second = store
        .attempts(&all(), first.next.as_deref(), 4)
        .await
        .unwrap();
    assert_eq!(
        (first.items.len(), second.items.len(), second.next),
        (4, 2, None)
    );

    clock.advance(Duration::from_secs(3_601));
    // Housekeeping stands in the first transaction after its time.
    StageSender::send(
        &store,
        Stage::Ingest,
        vec![OutgoingMessage::new("x".to_owned())],
    )
    .await;
    assert_eq!(numbers(all()).await, [0u32; 0]);
}

#[tokio::test]
async fn successes_can_be_sampled() {
    let settings = Settings {
        sample_successes: 4,
        linger: Duration::ZERO,
        ..Settings::default()
    };
    let store = Store::open_temporary(settings).unwrap();
    let record = |id: u128, class| AttemptRecord {
        message_id: MessageId::from_bits(id),
        product: Product::Oss,
        rule: RuleName::parse("r").unwrap(),
        topic: TopicName::parse("t").unwrap(),
        subscription: SubscriptionName::parse("s").unwrap(),
        number: 1,
        attempt: attempt(1, class),
    };
    for class in [OutcomeClass::Success, OutcomeClass::Retry] {
        store
            .record((0..8).map(|id| record(id, class)).collect())
            .await
            .unwrap();
    }
    let count = async |class| {
        let selection = Selection {
            class: Some(class),
            ..Selection::default()
        };
        store
            .attempts(&selection, None, 100)
            .await
            .unwrap()
            .items
            .len()
    };
    assert_eq!(count(OutcomeClass::Success).await, 2);
    assert_eq!(count(OutcomeClass::Retry).await, 8);
}
