//! Every combination of what can become of the records of a batch: exactly those fail whose retry could not be made
//! durable, and nothing of any record is lost.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::ports::{OutgoingMessage, QueueError, Stage, StageSender};
use carillon_deliver::Memory;
use std::sync::{Arc, Mutex};
use support::*;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    Retried,
    Hopeless,
    Unreadable,
    /// Its retry cannot be sent.
    Stuck,
}

const FATES: [Fate; 5] = [
    Fate::Delivered,
    Fate::Retried,
    Fate::Hopeless,
    Fate::Unreadable,
    Fate::Stuck,
];
const RECORDS: usize = 5;

/// A queue that does not take what is stuck.
#[derive(Default)]
struct Picky(Mutex<Vec<OutgoingMessage>>);

#[async_trait::async_trait]
impl StageSender for Picky {
    async fn send(&self, _: Stage, messages: Vec<OutgoingMessage>) -> Vec<Result<(), QueueError>> {
        let take = |message: OutgoingMessage| {
            if message.body.contains("Stuck") {
                return Err(QueueError::Unavailable("not this one".into()));
            }
            self.0.lock().unwrap().push(message);
            Ok(())
        };
        messages.into_iter().map(take).collect()
    }
}

#[tokio::test]
async fn the_failed_are_exactly_those_that_could_not_be_made_durable() {
    for combination in 0..FATES.len().pow(u32::try_from(RECORDS).unwrap()) {
        let fates: Vec<Fate> = (0..RECORDS)
            .map(|n| FATES[combination / FATES.len().pow(u32::try_from(n).unwrap()) % FATES.len()])
            .collect();
        let mut world = World::new(vec![http_subscription("web")]);
        let stages = Arc::new(Picky::default());
        world.ports.stages = stages.clone();
        world.answers(|push| {
            answer(match &*push.body {
                "Delivered" => 200,
                "Hopeless" => 410,
                _ => 500,
            })
        });
        let batch: Vec<_> = fates
            .iter()
            .enumerate()
            .map(|(n, fate)| {
                let mut held = delivery("web", n as u128);
                held.notification.body = format!("{fate:?}");
                record(&if *fate == Fate::Unreadable {
                    "{".into()
                } else {
                    pack(&[held])
                })
            })
            .collect();
        let failed = world.run(&batch).await;

        // Push backoff may hold some back: those wait in the queue, and count as retried.
        let count = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
        let stuck: Vec<String> = fates
            .iter()
            .zip(&batch)
            .filter(|(fate, _)| **fate == Fate::Stuck)
            .map(|(_, record)| record.id.clone())
            .collect();
        assert_eq!(failed, stuck, "{fates:?}");
        let resent: usize = stages
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|message| {
                carillon_core::envelope::open_deliveries(&message.body)
                    .unwrap()
                    .len()
            })
            .sum();
        let delivered = world
            .http
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|push| &*push.body == "Delivered")
            .count();
        let dead = world.dead.kept.lock().unwrap().len();
        assert_eq!(
            delivered + resent + dead + stuck.len(),
            RECORDS,
            "{fates:?}"
        );
        assert!(
            delivered <= count(Fate::Delivered) && resent >= count(Fate::Retried),
            "{fates:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_between_re_send_and_acknowledge_makes_a_double_with_the_same_id() {
    let mut world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(500));
    let batch = [record(&pack(&[delivery("web", 1)]))];
    assert!(world.run(&batch).await.is_empty());
    // The process dies before the record is deleted; another one gets it again.
    world.ports.memory = Arc::new(Memory::default());
    assert!(world.run(&batch).await.is_empty());
    let resent = world.resent();
    assert_eq!(resent.len(), 2);
    let doubles: Vec<_> = resent
        .iter()
        .map(|(record, _)| unpack(record).remove(0).notification)
        .collect();
    assert_eq!(doubles[0], doubles[1]);
    let seen = world.http.seen.lock().unwrap();
    let id = |n: usize| {
        seen[n]
            .headers
            .iter()
            .find(|(name, _)| *name == "x-mns-message-id")
            .cloned()
    };
    assert_eq!(id(0), id(1));
}

#[tokio::test]
async fn a_handler_that_is_stopped_in_the_middle_leaves_everything_to_the_next() {
    let world = World::new(vec![http_subscription("web")]);
    *world.http.takes.lock().unwrap() = Box::new(|_| std::time::Duration::from_secs(3_600));
    let batch = [record(&pack(&[delivery("web", 1), delivery("web", 2)]))];
    {
        let stopped = world.run(&batch);
        tokio::pin!(stopped);
        assert!(futures_util::poll!(&mut stopped).is_pending());
    }
    // Nothing was said to be done, and the endpoint's slots are free again.
    *world.http.takes.lock().unwrap() = Box::new(|_| std::time::Duration::ZERO);
    assert!(world.run(&batch).await.is_empty());
    assert_eq!(world.pushes(), 2);
    assert!(world.resent().is_empty());
}
