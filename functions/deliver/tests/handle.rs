//! The handler through its front door, every port a fake, the clock stopped.

mod support;

use carillon_core::delivery::{DeadLetterContent, Delivery, OutcomeClass};
use carillon_core::ports::{PushFailure, QueueError};
use carillon_core::topic::{NotifyStrategy, QueueName};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::*;

#[tokio::test]
async fn a_pack_goes_to_its_http_endpoint_and_leaves_nothing_behind() {
    let world = World::new(vec![http_subscription("web")]);
    let batch = [record(&pack(&[delivery("web", 1), delivery("web", 2)]))];
    assert!(world.run(&batch).await.is_empty());

    let seen = world.http.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    let push = &seen[0];
    assert_eq!(push.url, "http://web.example.com/hook?x=1");
    assert_eq!(&*push.body, "eyJudW1iZXIiOi10=");
    assert_eq!(push.timeout, Duration::from_secs(5));
    let header = |name: &str| {
        push.headers
            .iter()
            .find(|(held, _)| *held == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("content-type"), Some("text/plain;charset=utf-8"));
    assert_eq!(
        header("x-mns-message-id"),
        Some("00000000000000000000000000000001")
    );
    assert_eq!(header("x-mns-topic-name"), Some("orders"));
    assert_eq!(header("x-mns-publish-time"), Some("1700000000000"));
    assert_eq!(header("date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert!(
        push.headers
            .iter()
            .all(|(name, _)| name.chars().all(|c| !c.is_ascii_uppercase()))
    );
    assert!(world.stages.sent.lock().unwrap().is_empty());
    assert_eq!(world.log.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn all_that_goes_to_one_queue_goes_in_one_call() {
    let world = World::new(vec![
        queue_subscription("one", "inbox"),
        queue_subscription("two", "inbox"),
    ]);
    let batch = [
        record(&pack(&[delivery("one", 1), delivery("one", 2)])),
        record(&pack(&[delivery("two", 3)])),
    ];
    assert!(world.run(&batch).await.is_empty());
    assert_eq!(
        *world.queues.calls.lock().unwrap(),
        [("inbox".to_owned(), 3)]
    );
    assert_eq!(
        world.queues.sent.lock().unwrap()[2].1,
        delivery("two", 3).notification.body
    );
}

#[tokio::test]
async fn one_failing_delivery_leaves_its_pack_and_travels_alone() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|push| {
        answer(if push.body.contains("iOi20") {
            500
        } else {
            204
        })
    });
    let batch = [record(&pack(&[
        delivery("web", 1),
        delivery("web", 2),
        delivery("web", 3),
    ]))];
    assert!(world.run(&batch).await.is_empty());

    let resent = world.resent();
    assert_eq!(resent.len(), 1);
    let (record, delay) = &resent[0];
    assert!((10_000..=20_000).contains(&delay.as_millis()));
    let retried = unpack(record);
    assert_eq!(retried.len(), 1);
    assert_eq!(retried[0].notification, delivery("web", 2).notification);
    assert_eq!(retried[0].attempts, 1);
    assert_eq!(retried[0].history[0].outcome.status, Some(500));
}

#[tokio::test]
async fn sqs_delays_are_whole_seconds_rounded_up() {
    let settings = carillon_deliver::Settings {
        whole_second_delays: true,
        ..Default::default()
    };
    let world = World::with(vec![http_subscription("web")], settings);
    world.answers(|_| answer(500));
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    let (_, delay) = &world.resent()[0];
    assert_eq!(delay.subsec_nanos(), 0);
    assert!((10..=20).contains(&delay.as_secs()));
}

#[tokio::test]
async fn a_record_nobody_can_read_is_a_dead_letter_at_once_and_harms_no_other() {
    let world = World::new(vec![http_subscription("web")]);
    let batch = [
        record("{\"v\":2,\"items\":[]}"),
        record("what?"),
        record(&pack(&[delivery("web", 1)])),
    ];
    assert!(world.run(&batch).await.is_empty());
    assert_eq!(world.pushes(), 1);
    let kept = world.dead.kept.lock().unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept[0].reason.contains("version 2"), "{}", kept[0].reason);
    let DeadLetterContent::Record { stage, body } = &kept[1].content else {
        panic!("a record was refused")
    };
    assert_eq!((stage.as_str(), body.as_str()), ("deliver", "what?"));
}

#[tokio::test]
async fn a_subscription_that_is_gone_cancels_its_deliveries_and_the_log_says_so() {
    let world = World::new(vec![]);
    assert!(
        world
            .run(&[record(&pack(&[delivery("web", 1)]))])
            .await
            .is_empty()
    );
    assert_eq!(world.pushes(), 0);
    let log = world.log.0.lock().unwrap();
    assert!(
        log[0].attempt.outcome.detail.contains("cancelled"),
        "{:?}",
        log[0]
    );
    assert!(world.dead.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_delivery_of_a_newer_version_than_the_store_gives_waits() {
    let world = World::new(vec![]);
    let mut early = delivery("web", 1);
    early.version = 8;
    assert!(
        world
            .run(&[record(&pack(&[early.clone()]))])
            .await
            .is_empty()
    );
    let resent = world.resent();
    early.resends = 1;
    assert_eq!(unpack(&resent[0].0), [early]);
    assert_eq!(resent[0].1, Duration::from_secs(1));
    assert!(
        world.log.0.lock().unwrap().is_empty(),
        "no attempt was made"
    );
}

#[tokio::test]
async fn without_rules_every_record_comes_again() {
    let world = World::new(vec![http_subscription("web")]);
    *world.store.broken.lock().unwrap() = true;
    let batch = [record(&pack(&[delivery("web", 1)])), record("what?")];
    assert_eq!(world.run(&batch).await.len(), 2);
}

#[tokio::test]
async fn the_hopeless_and_the_exhausted_become_dead_letters_here_and_in_the_subscriptions_queue() {
    let mut web = http_subscription("web");
    web.dead_letter_queue = Some(QueueName::parse("letters").unwrap());
    let world = World::new(vec![web]);
    world.answers(|_| answer(410));
    assert!(
        world
            .run(&[record(&pack(&[delivery("web", 1)]))])
            .await
            .is_empty()
    );
    assert!(world.stages.sent.lock().unwrap().is_empty());
    {
        let kept = world.dead.kept.lock().unwrap();
        assert!(kept[0].reason.contains("410"), "{}", kept[0].reason);
        let DeadLetterContent::Delivery(dead) = &kept[0].content else {
            panic!("a delivery died")
        };
        assert_eq!(dead.notification, delivery("web", 1).notification);
        assert_eq!(dead.history.len(), 1);
    }
    let letter = ("letters".to_owned(), delivery("web", 1).notification.body);
    assert_eq!(*world.queues.sent.lock().unwrap(), [letter]);
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_missing_loses_nothing_and_is_told() {
    let mut web = http_subscription("web");
    web.dead_letter_queue = Some(QueueName::parse("letters").unwrap());
    let world = World::new(vec![web]);
    world.queues.missing.lock().unwrap().push("letters".into());
    world.answers(|_| Err(PushFailure::Refused("10.0.0.1 is private".into())));
    assert!(
        world
            .run(&[record(&pack(&[delivery("web", 1)]))])
            .await
            .is_empty()
    );
    let kept = world.dead.kept.lock().unwrap();
    assert!(
        kept[0].reason.contains("letters did not take it"),
        "{}",
        kept[0].reason
    );
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_kept_comes_back_and_is_not_attempted_once_more() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(410));
    *world.dead.broken.lock().unwrap() = true;
    assert!(
        world
            .run(&[record(&pack(&[delivery("web", 1)]))])
            .await
            .is_empty()
    );
    let again = world.resent();
    *world.dead.broken.lock().unwrap() = false;
    assert!(world.run(&[again[0].0.clone()]).await.is_empty());
    assert_eq!(world.pushes(), 1);
    assert_eq!(world.dead.kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_resent_comes_again_without_repeating_what_was_done() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|push| {
        answer(if push.body.contains("iOi20") {
            500
        } else {
            204
        })
    });
    let down = || Err(QueueError::Unavailable("down".into()));
    world
        .stages
        .answers
        .lock()
        .unwrap()
        .extend([down(), down()]);
    let batch = [
        record(&pack(&[delivery("web", 1), delivery("web", 2)])),
        record(&pack(&[delivery("web", 3)])),
    ];
    assert_eq!(world.run(&batch).await, [batch[0].id.clone()]);
    assert_eq!(
        world.stages.calls.load(Ordering::SeqCst),
        2,
        "a re-send is tried twice"
    );
    assert_eq!(world.pushes(), 3);

    // The same record again: only the delivery that was not settled is attempted.
    assert!(world.run(&batch[..1]).await.is_empty());
    assert_eq!(world.pushes(), 4);
    assert!(world.http.seen.lock().unwrap()[3].body.contains("iOi20"));
    assert_eq!(world.resent().len(), 1);
}

#[tokio::test]
async fn a_panic_in_one_attempt_is_a_failed_attempt_of_that_delivery_alone() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|push| {
        assert!(!push.body.contains("iOi20"), "the script panics on purpose");
        answer(200)
    });
    // A poisoned lock would fail the rest of the test, not of the handler: each push has its own batch.
    let batch = [record(&pack(&[delivery("web", 2)]))];
    assert!(world.run(&batch).await.is_empty());
    let resent = world.resent();
    assert!(
        unpack(&resent[0].0)[0].history[0]
            .outcome
            .detail
            .contains("panicked")
    );
}

#[tokio::test]
async fn a_first_batch_to_a_queue_goes_whole() {
    let world = World::new(vec![queue_subscription("one", "inbox")]);
    let many: Vec<_> = (0..100).map(|n| delivery("one", n)).collect();
    assert!(world.run(&[record(&pack(&many))]).await.is_empty());
    assert_eq!(
        *world.queues.calls.lock().unwrap(),
        [("inbox".to_owned(), 100)]
    );
    assert!(world.resent().is_empty());
}

#[tokio::test]
async fn a_queue_that_is_gone_is_retried_and_a_message_too_large_is_not() {
    let world = World::new(vec![queue_subscription("one", "inbox")]);
    world.queues.missing.lock().unwrap().push("inbox".into());
    assert!(
        world
            .run(&[record(&pack(&[delivery("one", 1)]))])
            .await
            .is_empty()
    );
    let resent = world.resent();
    assert!(
        unpack(&resent[0].0)[0].history[0]
            .outcome
            .detail
            .contains("no queue")
    );
}

#[tokio::test]
async fn when_the_time_of_a_batch_is_up_the_rest_goes_back_untouched() {
    let world = World::new(vec![http_subscription("web")]);
    let clock = world.clock.clone();
    // Each push takes a second by the handler's clock: pushes are under way together, so a few rounds fill the budget.
    world.answers(move |_| {
        clock.advance(Duration::from_secs(1));
        answer(200)
    });
    let many: Vec<_> = (0..100).map(|n| delivery("web", n)).collect();
    assert!(world.run(&[record(&pack(&many))]).await.is_empty());
    let resent = world.resent();
    assert_eq!(resent.len(), 1);
    assert_eq!(resent[0].1, Duration::ZERO);
    let rest = unpack(&resent[0].0);
    assert!(rest.iter().all(|held| held.attempts == 0));
    assert_eq!(world.pushes() + rest.len(), 100);
    assert!((20..100).contains(&world.pushes()));
}

#[tokio::test]
async fn retry_after_lengthens_a_gap_and_never_shortens_it() {
    for (wish, want) in [
        ("1", 10_000..=20_000),
        ("60", 60_000..=60_000),
        ("31536000", 900_000..=900_000),
    ] {
        let world = World::new(vec![http_subscription("web")]);
        world.answers(move |_| {
            let mut busy = answer(429).unwrap();
            busy.retry_after = Some(wish.into());
            Ok(busy)
        });
        world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
        let delay = world.resent()[0].1.as_millis();
        assert!(want.contains(&delay), "Retry-After: {wish} gave {delay} ms");
    }
}

/// The gap runs from the failure: what else travels in the batch, and how long that takes, does not lengthen it.
#[tokio::test(start_paused = true)]
async fn a_slow_neighbour_does_not_put_off_a_retry() {
    let mut quick = http_subscription("quick");
    quick.strategy = NotifyStrategy::ExponentialDecayRetry;
    let world = World::new(vec![quick, http_subscription("slow")]);
    let slow = |push: &carillon_core::ports::PushRequest| push.url.contains("slow");
    *world.http.takes.lock().unwrap() =
        Box::new(move |push| Duration::from_millis(if slow(push) { 10 } else { 0 }));
    let clock = world.clock.clone();
    world.answers(move |push| {
        if slow(push) {
            clock.advance(Duration::from_secs(5));
        }
        answer(500)
    });
    // The gaps before the first and the fourth retry: one is over when the batch is, of the other three seconds are left.
    for (attempts, left) in [(0, 0), (3, 3)] {
        let failing = Delivery {
            attempts,
            ..delivery("quick", 1)
        };
        world
            .run(&[record(&pack(&[failing, delivery("slow", 2)]))])
            .await;
        let delays: Vec<(String, Duration)> = world
            .resent()
            .iter()
            .map(|(record, delay)| (unpack(record)[0].subscription.to_string(), *delay))
            .collect();
        let of = |name: &str| delays.iter().find(|(held, _)| held == name).unwrap().1;
        assert_eq!(of("quick"), Duration::from_secs(left));
        assert!(of("slow") >= Duration::from_secs(10));
        // Past what push backoff holds.
        world.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn every_gap_of_both_strategies_is_kept_and_every_attempt_carries_the_same_bytes() {
    for (strategy, retries) in [
        (NotifyStrategy::ExponentialDecayRetry, 176_u32),
        (NotifyStrategy::BackoffRetry, 3),
    ] {
        let mut web = http_subscription("web");
        web.strategy = strategy;
        let world = World::new(vec![web]);
        world.answers(|_| answer(503));
        let mut next = record(&pack(&[delivery("web", 1)]));
        let mut total = Duration::ZERO;
        for n in 1..=retries {
            assert!(world.run(&[next]).await.is_empty());
            let mut resent = world.resent();
            assert_eq!(resent.len(), 1, "retry {n}");
            let (record, gap) = resent.remove(0);
            let want = match strategy {
                NotifyStrategy::ExponentialDecayRetry => {
                    let seconds = if n <= 9 { 1 << (n - 1) } else { 512 };
                    seconds * 1_000..=seconds * 1_000
                }
                NotifyStrategy::BackoffRetry => 10_000..=20_000,
            };
            assert!(
                want.contains(&gap.as_millis()),
                "gap before retry {n}: {gap:?}"
            );
            total += gap;
            world.clock.advance(gap);
            next = record;
        }
        assert!(world.run(&[next]).await.is_empty());
        assert!(world.resent().is_empty(), "no retry after the last");
        if strategy == NotifyStrategy::ExponentialDecayRetry {
            assert_eq!(total, Duration::from_secs(86_015));
        }
        assert_eq!(world.pushes(), usize::try_from(retries).unwrap() + 1);
        assert_eq!(world.dead.kept.lock().unwrap().len(), 1);
        let log = world.log.0.lock().unwrap();
        let numbers: Vec<u32> = log.iter().map(|line| line.number).collect();
        assert_eq!(numbers, (1..=retries + 1).collect::<Vec<_>>());
        assert!(
            log.iter()
                .all(|line| line.attempt.outcome.class == OutcomeClass::Retry)
        );

        let seen = world.http.seen.lock().unwrap();
        let steady = |push: &carillon_core::ports::PushRequest| {
            let headers: Vec<_> = push
                .headers
                .iter()
                .filter(|(name, _)| !["date", "x-mns-request-id"].contains(name))
                .cloned()
                .collect();
            (push.url.clone(), push.body.clone(), headers)
        };
        assert!(seen.iter().all(|push| steady(push) == steady(&seen[0])));
        let ids: std::collections::HashSet<_> = seen
            .iter()
            .map(|push| {
                push.headers
                    .iter()
                    .find(|(name, _)| *name == "x-mns-request-id")
                    .cloned()
            })
            .collect();
        assert_eq!(
            ids.len(),
            seen.len(),
            "every attempt has a request id of its own"
        );
    }
}
