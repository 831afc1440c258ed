//! A dead endpoint takes no time from a healthy one: a whole host in virtual time, with workers that take batches from
//! one queue in the order of arrival (no fair queue helps here).
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Clock, OutgoingMessage, PushFailure, QueueError, QueueRecord, Stage, StageSender,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::*;
use tokio::time::Instant;

/// The time of tokio, which stands still but for sleeps.
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START).plus(self.0.elapsed())
    }
}

/// Messages by the time they become visible, then by arrival.
#[derive(Default)]
struct Queue {
    messages: Mutex<(u64, BTreeMap<(Visible, u64), String>)>,
    sends: Mutex<usize>,
}

/// Time from the beginning.
type Visible = Duration;

impl Queue {
    fn put(&self, visible: Duration, body: String) {
        let mut held = self.messages.lock().unwrap();
        held.0 += 1;
        let place = (visible, held.0);
        held.1.insert(place, body);
    }

    fn take(&self, now: Duration, most: usize) -> Vec<QueueRecord> {
        let mut held = self.messages.lock().unwrap();
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(entry) = held.1.first_entry()
            && entry.key().0 <= now
        {
            batch.push(record(&entry.remove()));
        }
        batch
    }
}

struct Resend {
    queue: Arc<Queue>,
    start: Instant,
}

#[async_trait::async_trait]
impl StageSender for Resend {
    async fn send(&self, _: Stage, messages: Vec<OutgoingMessage>) -> Vec<Result<(), QueueError>> {
        *self.queue.sends.lock().unwrap() += messages.len();
        let now = self.start.elapsed();
        messages
            .into_iter()
            .map(|message| {
                self.queue.put(now + message.delay, message.body);
                Ok(())
            })
            .collect()
    }
}

const WORKERS: usize = 32;
const HEALTHY: u128 = 40_000;
const DEAD: u128 = 10_000;

/// When the last healthy delivery arrived, and how many messages were sent again until then.
async fn until_all_healthy_arrived(with_dead: bool) -> (Duration, usize) {
    let start = Instant::now();
    let queue = Arc::new(Queue::default());
    let mut world = World::new(vec![http_subscription("well"), http_subscription("dead")]);
    world.ports.clock = Arc::new(VirtualClock(start));
    world.ports.stages = Arc::new(Resend {
        queue: queue.clone(),
        start,
    });
    // Twenty milliseconds to a healthy endpoint; the dead one is a black hole.
    *world.http.takes.lock().unwrap() =
        Box::new(|push| Duration::from_millis(if push.url.contains("dead") { 5_000 } else { 20 }));
    let last = Arc::new(Mutex::new(Duration::ZERO));
    let arrived = Arc::new(Mutex::new(0_u128));
    let (seen, counted) = (last.clone(), arrived.clone());
    world.answers(move |push| {
        if push.url.contains("dead") {
            return Err(PushFailure::Timeout(Duration::from_secs(5)));
        }
        *counted.lock().unwrap() += 1;
        *seen.lock().unwrap() = start.elapsed();
        answer(204)
    });
    let fill = |name: &str, count: u128| {
        let all: Vec<_> = (0..count).map(|n| delivery(name, n)).collect();
        for pack_of in all.chunks(20) {
            queue.put(Duration::ZERO, pack(pack_of));
        }
    };
    if with_dead {
        fill("dead", DEAD);
    }
    fill("well", HEALTHY);

    let workers = (0..WORKERS).map(|_| {
        let (ports, queue, arrived) = (world.ports.clone(), queue.clone(), arrived.clone());
        tokio::spawn(async move {
            loop {
                if *arrived.lock().unwrap() == HEALTHY {
                    return;
                }
                let batch = queue.take(start.elapsed(), 10);
                if batch.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                assert!(
                    carillon_deliver::handle(&ports, &batch)
                        .await
                        .failed
                        .is_empty()
                );
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let (last, sends) = (*last.lock().unwrap(), *queue.sends.lock().unwrap());
    (last, sends)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_for_a_dead_endpoint_delay_a_healthy_one_by_less_than_a_tenth() {
    let (alone, none) = until_all_healthy_arrived(false).await;
    let (beside, sends) = until_all_healthy_arrived(true).await;
    println!("alone {alone:?}, beside the dead {beside:?}, {sends} messages sent again");
    assert!(
        beside <= alone + alone / 10,
        "alone {alone:?}, beside {beside:?}"
    );
    // What is healthy waits now and then while it is unproven; what is dead goes round packed.
    assert!(none + sends < 4_000, "{none} and {sends}");
}
