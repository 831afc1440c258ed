//! Push backoff, rate limit, fair share: by a stopped clock.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::delivery::OutcomeClass::*;
use carillon_core::event::Timestamp;
use carillon_core::topic::{Subscription, Target};
use carillon_deliver::circuit::{Admission, Circuits, Permit, UNPROVEN};
use std::time::Duration;
use support::*;

const MS: Duration = Duration::from_millis(1);

/// Milliseconds since the beginning.
fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START).plus(Duration::from_millis(millis))
}

fn go(circuits: &Circuits, web: &Subscription, now: Timestamp) -> Permit {
    match circuits.admit(web, None, now) {
        Admission::Go(permit) => permit,
        other => panic!("not admitted: {other:?}"),
    }
}

fn wait(circuits: &Circuits, web: &Subscription, now: Timestamp) -> Duration {
    match circuits.admit(web, None, now) {
        Admission::Wait(delay) | Admission::Paced(delay) => delay,
        other => panic!("not held back: {other:?}"),
    }
}

#[test]
fn pauses_grow_as_mns_tells_and_a_success_ends_them() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    let mut now = 0;
    // The first failed round costs nothing.
    go(&circuits, &web, at(now)).end(Retry, None, at(now));
    for want in [
        500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ] {
        go(&circuits, &web, at(now)).end(Retry, None, at(now));
        assert_eq!(wait(&circuits, &web, at(now)), MS * want);
        assert_eq!(wait(&circuits, &web, at(now + u64::from(want) - 1)), MS);
        now += u64::from(want);
    }
    go(&circuits, &web, at(now)).end(Success, None, at(now));
    for _ in 0..32 {
        let _permit = go(&circuits, &web, at(now));
    }
    // And from the beginning.
    go(&circuits, &web, at(now)).end(Retry, None, at(now));
    go(&circuits, &web, at(now)).end(Retry, None, at(now));
    assert_eq!(wait(&circuits, &web, at(now)), MS * 500);
}

#[test]
fn half_open_is_one_probe_at_a_time() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    go(&circuits, &web, at(0)).end(Retry, None, at(0));
    go(&circuits, &web, at(0)).end(Retry, None, at(0));
    let probe = go(&circuits, &web, at(500));
    assert!(wait(&circuits, &web, at(500)) >= MS * 500);
    // A probe whose handler was stopped is no probe.
    drop(probe);
    go(&circuits, &web, at(501)).end(Success, None, at(501));
    let _permit = go(&circuits, &web, at(501));
}

#[test]
fn a_redrive_is_a_probe_at_once_and_its_failure_refutes_it() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    // Nine failures, each as soon as it may be. The last began in second 480, and ends five seconds later.
    let begun = 480_000;
    for round in 0..8 {
        let now = at(round * 60_000);
        go(&circuits, &web, now).end(Retry, None, now);
    }
    let last = go(&circuits, &web, at(begun));
    last.end(Retry, None, at(begun + 5_000));
    let now = at(begun + 6_000);
    let said = |when| circuits.admit(&web, Some(at(when)), now);
    assert!(matches!(said(begun), Admission::Wait(_)), "no news");
    // Said after it began: its failure says nothing about that.
    let Admission::Go(probe) = said(begun + 1_000) else {
        panic!("the operator says that it is well")
    };
    assert!(
        matches!(said(begun + 1_000), Admission::Busy),
        "one at a time"
    );
    assert!(wait(&circuits, &web, now) > MS * 50_000);
    probe.end(Retry, None, now);
    assert!(matches!(said(begun + 1_000), Admission::Wait(_)), "refuted");
    // By a clock that runs ahead of ours, too, one failure refutes what was said before it.
    let ahead = begun + 90_000;
    let Admission::Go(probe) = said(ahead) else {
        panic!("said once more")
    };
    probe.end(Retry, None, now);
    assert!(matches!(said(ahead), Admission::Wait(_)), "refuted");
    let Admission::Go(probe) = said(ahead + 1) else {
        panic!("and once more")
    };
    probe.end(Success, None, now);
    let _permit = go(&circuits, &web, now);
}

#[test]
fn of_pushes_that_were_under_way_together_one_failure_counts() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    let permits: Vec<Permit> = (0..UNPROVEN).map(|_| go(&circuits, &web, at(0))).collect();
    for permit in permits {
        permit.end(Retry, None, at(10));
    }
    let _permit = go(&circuits, &web, at(10));
}

#[test]
fn a_slow_failure_has_no_free_round() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    go(&circuits, &web, at(0)).end(Retry, None, at(5_000));
    assert_eq!(wait(&circuits, &web, at(5_000)), MS * 500);
}

#[test]
fn the_unproven_have_few_under_way_and_the_proven_many() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    let mut permits: Vec<Permit> = (0..UNPROVEN).map(|_| go(&circuits, &web, at(0))).collect();
    assert!(matches!(circuits.admit(&web, None, at(0)), Admission::Busy));
    permits.pop().unwrap().end(Success, None, at(1));
    permits.extend((0..100).map(|_| go(&circuits, &web, at(1))));
}

#[test]
fn whoever_refuses_a_message_is_alive() {
    let (circuits, web) = (Circuits::default(), http_subscription("web"));
    for _ in 0..10 {
        go(&circuits, &web, at(0)).end(Hopeless, None, at(0));
    }
    let _permit = go(&circuits, &web, at(0));
}

#[test]
fn the_endpoints_wish_holds_for_the_subscription_up_to_the_longest_pause() {
    for (wish, want) in [(7, 7_000), (900, 60_000)] {
        let (circuits, web) = (Circuits::default(), http_subscription("web"));
        go(&circuits, &web, at(0)).end(Retry, Some(Duration::from_secs(wish)), at(0));
        assert_eq!(wait(&circuits, &web, at(0)), MS * want);
    }
}

#[test]
fn another_target_and_another_subscription_start_anew() {
    let (circuits, mut web) = (Circuits::default(), http_subscription("web"));
    go(&circuits, &web, at(0)).end(Retry, None, at(5_000));
    wait(&circuits, &web, at(5_000));
    let _permit = go(&circuits, &http_subscription("other"), at(5_000));
    web.target = Target::Http("https://mended.example.com/".into());
    let _permit = go(&circuits, &web, at(5_000));
}

#[test]
fn a_rate_limit_lets_a_second_through_at_once_and_gives_the_rest_their_times() {
    let (circuits, mut web) = (Circuits::default(), http_subscription("web"));
    web.max_per_second = Some(10);
    go(&circuits, &web, at(0)).end(Success, None, at(0));
    for _ in 0..9 {
        go(&circuits, &web, at(0)).end(Success, None, at(0));
    }
    let given: Vec<Duration> = (0..30).map(|_| wait(&circuits, &web, at(0))).collect();
    let want: Vec<Duration> = (1..=30).map(|n| MS * (1_000 + n * 100)).collect();
    assert_eq!(given, want);
    // Whoever comes at the time given to it is let through.
    for delay in given {
        go(&circuits, &web, Timestamp::from_millis(START).plus(delay)).end(Success, None, at(0));
    }
}

#[tokio::test]
async fn what_waits_for_an_open_circuit_goes_back_packed_and_no_attempt_is_counted() {
    let world = World::new(vec![http_subscription("web"), http_subscription("well")]);
    world.answers(|push| answer(if push.url.contains("well") { 200 } else { 500 }));
    let many: Vec<_> = (0..50).map(|n| delivery("web", n)).collect();
    let mut batch = vec![record(&pack(&many))];
    batch.push(record(&pack(&[delivery("well", 99)])));
    assert!(world.run(&batch).await.is_empty());
    let resent = world.resent();
    let attempted: usize = resent
        .iter()
        .flat_map(|(record, _)| unpack(record))
        .filter(|held| held.attempts == 1)
        .count();
    let waiting: Vec<_> = resent
        .iter()
        .filter(|(record, _)| unpack(record)[0].attempts == 0)
        .collect();
    assert_eq!(
        waiting.len(),
        1,
        "those that only wait travel in one message"
    );
    assert_eq!(unpack(&waiting[0].0).len() + attempted, 50);
    assert!(
        attempted <= 8,
        "{attempted} attempts at an endpoint that answers none well"
    );
    assert!(waiting[0].1 <= Duration::from_secs(1));
    assert_eq!(world.log.0.lock().unwrap().len(), attempted + 1);
}

#[tokio::test]
async fn what_outlives_the_topics_retention_while_it_waits_is_a_dead_letter() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(500));
    let mut old = delivery("web", 2);
    old.notification.published = Timestamp::from_millis(START - 86_400_000);
    // Two failures open the circuit; the third finds it open.
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    assert!(world.run(&[record(&pack(&[old]))]).await.is_empty());
    let kept = world.dead.kept.lock().unwrap();
    assert!(kept[0].reason.contains("retention"), "{}", kept[0].reason);
}

#[tokio::test]
async fn a_rate_limit_spreads_a_batch_over_time() {
    let mut web = http_subscription("web");
    web.max_per_second = Some(5);
    let world = World::new(vec![web]);
    let many: Vec<_> = (0..20).map(|n| delivery("web", n)).collect();
    world.run(&[record(&pack(&many))]).await;
    assert_eq!(world.pushes(), 5);
    let delays: Vec<u128> = world
        .resent()
        .iter()
        .map(|(_, delay)| delay.as_millis())
        .collect();
    assert_eq!(
        delays,
        (1..=15).map(|n| 1_000 + n * 200).collect::<Vec<u128>>()
    );
}

/// An endpoint that fails until its circuit is open for a minute, and one delivery that an operator sends again.
async fn given_up(subscription: Subscription) -> World {
    let world = World::new(vec![subscription]);
    world.answers(|_| answer(500));
    world.queues.missing.lock().unwrap().push("inbox".into());
    for number in 0..9 {
        world
            .run(&[record(&pack(&[delivery("web", number)]))])
            .await;
        world.clock.advance(Duration::from_secs(60));
    }
    world.run(&[record(&pack(&[delivery("web", 10)]))]).await;
    world.clock.advance(MS);
    world.resent();
    world
}

fn redriven(world: &World, numbers: std::ops::Range<u128>) -> carillon_core::ports::QueueRecord {
    let now = world.ports.clock.now();
    let again: Vec<_> = numbers
        .map(|number| delivery("web", number).renewed(now))
        .collect();
    record(&pack(&again))
}

#[tokio::test]
async fn what_is_redriven_is_pushed_at_once_when_the_endpoint_is_well_again() {
    let world = given_up(http_subscription("web")).await;
    // Without an operator's word nothing is pushed.
    let before = world.pushes();
    world.answers(|_| answer(200));
    world.run(&[record(&pack(&[delivery("web", 11)]))]).await;
    assert_eq!(world.pushes(), before);
    assert!(world.resent()[0].1 > Duration::from_secs(50));
    // The first is the probe, and the others of its batch follow it; what only waited goes along.
    let waited = record(&pack(&[delivery("web", 11)]));
    world.run(&[waited, redriven(&world, 20..40)]).await;
    assert_eq!(world.pushes(), before + 21);
    assert!(world.resent().is_empty());
}

#[tokio::test]
async fn what_is_redriven_to_an_endpoint_that_still_fails_is_one_push() {
    let world = given_up(http_subscription("web")).await;
    let before = world.pushes();
    world
        .run(&[redriven(&world, 20..40), redriven(&world, 40..60)])
        .await;
    assert_eq!(world.pushes(), before + 1);
    let resent = world.resent();
    let held = resent.iter().flat_map(|(record, _)| unpack(record));
    assert_eq!(held.count(), 40, "none is lost");
    // And it stays one, though the operator's word is on each of them.
    let again: Vec<_> = resent.into_iter().map(|(record, _)| record).collect();
    world.run(&again).await;
    assert_eq!(world.pushes(), before + 1);
}

#[tokio::test]
async fn what_is_redriven_to_a_queue_that_is_back_goes_at_once() {
    let world = given_up(queue_subscription("web", "inbox")).await;
    world.queues.missing.lock().unwrap().clear();
    world.run(&[redriven(&world, 20..40)]).await;
    assert_eq!(world.queues.sent.lock().unwrap().len(), 1, "the probe");
    // The rest is back in a moment, and not in a minute.
    let rest: Vec<_> = world.resent();
    assert!(
        rest.iter()
            .all(|(_, delay)| *delay < Duration::from_secs(1))
    );
    let rest: Vec<_> = rest.into_iter().map(|(record, _)| record).collect();
    world.run(&rest).await;
    assert_eq!(world.queues.sent.lock().unwrap().len(), 20);
}
