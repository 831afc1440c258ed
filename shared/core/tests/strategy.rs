//! The two retry schedules and what follows an attempt.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use carillon_core::delivery::{
    Attempt, DeadLetterReason, Delivery, Notification, Outcome, OutcomeClass, Step,
};
use carillon_core::event::{EventType, IdentityHasher, Product, Timestamp};
use carillon_core::rule::RuleName;
use carillon_core::topic::{NotifyStrategy, SubscriptionName, TopicName, auto_names};
use std::time::Duration;

fn delivery() -> Delivery {
    Delivery {
        topic: TopicName::parse("t").unwrap(),
        subscription: SubscriptionName::parse("s").unwrap(),
        version: 1,
        notification: Notification {
            message_id: IdentityHasher::new("test").finish().message_id("t"),
            product: Product::Oss,
            rule: RuleName::parse("r").unwrap(),
            event_type: EventType::parse("ObjectCreated:PutObject").unwrap(),
            resource: "b/k".into(),
            body: "body".into(),
            published: Timestamp::default(),
            tag: None,
        },
        attempts: 0,
        history: Vec::new(),
        redriven: None,
        resends: 0,
    }
}

fn attempt(number: u32, class: OutcomeClass, retry_after: Option<u64>) -> Attempt {
    Attempt {
        at: Timestamp::from_millis(i64::from(number)),
        took_ms: 1,
        outcome: Outcome {
            class,
            status: Some(500),
            detail: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        },
    }
}

/// Fails a delivery until it is given up; gives the gaps.
fn gaps(strategy: NotifyStrategy, draw: impl Fn(u32) -> u64) -> (Vec<Duration>, Delivery) {
    let mut delivery = delivery();
    let mut gaps = Vec::new();
    for number in 0.. {
        match delivery.next_step(
            strategy,
            attempt(number, OutcomeClass::Retry, None),
            draw(number),
        ) {
            Step::RetryAfter(gap) => gaps.push(gap),
            Step::DeadLetter(reason) => {
                assert_eq!(reason, DeadLetterReason::RetriesExhausted);
                break;
            }
            Step::Delivered => panic!("a failed attempt delivers nothing"),
        }
    }
    (gaps, delivery)
}

#[test]
fn exponential_decay_has_176_steps_of_86_015_seconds_in_all() {
    let (gaps, delivery) = gaps(NotifyStrategy::ExponentialDecayRetry, u64::from);
    let mut expected: Vec<u64> = (0..9).map(|n| 1 << n).collect();
    expected.extend([512; 167]);
    let seconds: Vec<u64> = gaps.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, expected);
    assert_eq!(seconds.len(), 176);
    assert_eq!(gaps.iter().sum::<Duration>(), Duration::from_secs(86_015));
    assert_eq!(delivery.attempts, 177);
    assert_eq!(delivery.history.len(), Delivery::KEPT);
    assert_eq!(
        delivery.history[0].at.as_millis(),
        0,
        "the first attempt is kept"
    );
    assert_eq!(
        delivery.history[Delivery::KEPT - 1].at.as_millis(),
        176,
        "and the last"
    );
}

#[test]
fn backoff_retries_three_times_each_10_to_20_seconds_later() {
    let draws = [0, 10_000, 10_001, u64::MAX];
    for draw in draws {
        let (gaps, delivery) = gaps(NotifyStrategy::BackoffRetry, |_| draw);
        assert_eq!(gaps.len(), 3);
        assert_eq!(delivery.attempts, 4);
        for gap in gaps {
            assert!(
                (10..=20).contains(&gap.as_secs()) && gap <= Duration::from_secs(20),
                "{gap:?}"
            );
        }
    }
    let at = |draw| NotifyStrategy::BackoffRetry.gap(1, draw).unwrap();
    assert_eq!(
        (at(0), at(10_000)),
        (Duration::from_secs(10), Duration::from_secs(20))
    );
}

#[test]
fn success_ends_a_delivery_and_a_hopeless_answer_too() {
    let strategy = NotifyStrategy::ExponentialDecayRetry;
    let step = delivery().next_step(strategy, attempt(0, OutcomeClass::Success, None), 0);
    assert_eq!(step, Step::Delivered);
    let step = delivery().next_step(strategy, attempt(0, OutcomeClass::Hopeless, None), 0);
    assert_eq!(step, Step::DeadLetter(DeadLetterReason::Hopeless));
}

#[test]
fn retry_after_lengthens_a_gap_and_never_shortens_it() {
    let strategy = NotifyStrategy::ExponentialDecayRetry;
    for (wish, gap) in [(0, 1), (1, 1), (30, 30)] {
        let step = delivery().next_step(strategy, attempt(0, OutcomeClass::Retry, Some(wish)), 0);
        assert_eq!(step, Step::RetryAfter(Duration::from_secs(gap)));
    }
}

#[test]
fn auto_made_names_have_the_form_of_real_captures() {
    let rule = RuleName::parse("films").unwrap();
    let now = Timestamp::from_millis(1_467_731_279_000);
    let names = auto_names(&Product::Oss, &rule, now, 5_042);
    assert_eq!(
        names.topic().as_str(),
        "mns-en-topics-oss-films-1467731279000042"
    );
    assert_eq!(
        names.subscription(2).as_str(),
        "mns-en-subs-oss-films-2-1467731279000042"
    );

    // The longest names there can be still make sound ones, and different ones at different times.
    let product = Product::parse(&"p".repeat(Product::MAX_LEN)).unwrap();
    let rule = RuleName::parse(&"r".repeat(RuleName::MAX_LEN)).unwrap();
    let first = auto_names(&product, &rule, now, 1);
    let second = auto_names(&product, &rule, now, 2);
    assert_ne!(first.topic(), second.topic());
    assert!(
        first
            .subscription(999)
            .as_str()
            .ends_with("-999-1467731279000001")
    );
}

#[test]
fn a_redriven_delivery_may_wait_as_long_as_a_new_one() {
    let mut old = delivery();
    old.attempts = 4;
    old.history = vec![attempt(0, OutcomeClass::Retry, None)];
    let now = Timestamp::from_millis(3 * 86_400_000);
    let again = old.clone().renewed(now);
    assert_eq!((again.attempts, again.history.len()), (0, 0));
    assert_eq!(
        again.notification, old.notification,
        "id, bytes and time of publishing stand"
    );
    assert_eq!(
        (old.waiting_since(), again.waiting_since()),
        (Timestamp::default(), now)
    );
}
