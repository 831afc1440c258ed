//! What waits for a dead endpoint goes round few times, and its copies do not multiply, however many answers are lost. By
//! a stopped clock.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::ports::{OutgoingMessage, QueueError, Random as _, Stage, StageSender};
use carillon_core::topic::NotifyStrategy;
use carillon_deliver::{Memory, Ports};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::*;

/// A queue that takes every message, and loses some of its answers.
struct Lossy {
    /// By the millisecond at which they become visible.
    held: Mutex<BTreeMap<(i64, u64), String>>,
    /// Deliveries put in, and the number that names the next message.
    put: Mutex<(u64, u64)>,
    /// Answers lost, of a thousand.
    lost: u64,
    luck: Counting,
    clock: Arc<StoppedClock>,
}

impl Lossy {
    fn put(&self, at: i64, body: String) {
        let mut put = self.put.lock().unwrap();
        put.0 += u64::try_from(unpack(&record(&body)).len()).unwrap();
        put.1 += 1;
        self.held.lock().unwrap().insert((at, put.1), body);
    }

    /// The next message, and the time moved to where it is visible.
    fn take(&self) -> Option<(i64, String)> {
        use carillon_core::ports::Clock as _;
        let ((at, _), body) = self.held.lock().unwrap().pop_first()?;
        let ahead = at - self.clock.now().as_millis();
        if let Ok(ahead) = u64::try_from(ahead) {
            self.clock.advance(Duration::from_millis(ahead));
        }
        Some((at, body))
    }

    /// How many copies there are of the delivery that has most.
    fn most_copies(&self) -> usize {
        let mut copies: HashMap<String, usize> = HashMap::new();
        for body in self.held.lock().unwrap().values() {
            for held in unpack(&record(body)) {
                *copies
                    .entry(held.notification.message_id.to_string())
                    .or_default() += 1;
            }
        }
        copies.into_values().max().unwrap_or(0)
    }
}

#[async_trait::async_trait]
impl StageSender for Lossy {
    async fn send(&self, _: Stage, messages: Vec<OutgoingMessage>) -> Vec<Result<(), QueueError>> {
        use carillon_core::ports::Clock as _;
        let now = self.clock.now().as_millis();
        let taken = messages.into_iter().map(|message| {
            let delay = i64::try_from(message.delay.as_millis()).unwrap();
            self.put(now + delay, message.body);
            match (self.luck.draw() >> 16) % 1_000 < self.lost {
                true => Err(QueueError::Unavailable("the answer was lost".into())),
                false => Ok(()),
            }
        });
        taken.collect()
    }
}

/// What half a day behind a dead endpoint came to.
struct HalfADay {
    /// Re-sends for each delivery, on average.
    sends_each: f64,
    most_copies: usize,
    /// Deliveries that arrived once the endpoint was back, and how often the one that came most.
    arrived: usize,
    most_arrivals: usize,
}

const DELIVERIES: u128 = 60;

/// Half a day with a dead endpoint, then an hour with a healthy one.
async fn half_a_day(lost: u64, processes: usize) -> HalfADay {
    let mut web = http_subscription("web");
    web.strategy = NotifyStrategy::ExponentialDecayRetry;
    let mut world = World::new(vec![web]);
    let queue = Arc::new(Lossy {
        held: Mutex::default(),
        put: Mutex::default(),
        lost,
        luck: Counting::default(),
        clock: world.clock.clone(),
    });
    world.ports.stages = queue.clone();
    let healthy = Arc::new(Mutex::new(false));
    let arrivals: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let (well, counted) = (healthy.clone(), arrivals.clone());
    world.answers(move |push| {
        if !*well.lock().unwrap() {
            return answer(503);
        }
        *counted
            .lock()
            .unwrap()
            .entry(push.body.to_string())
            .or_default() += 1;
        answer(204)
    });
    let ports: Vec<Ports> = (0..processes)
        .map(|_| Ports {
            memory: Arc::new(Memory::default()),
            ..world.ports.clone()
        })
        .collect();
    let all: Vec<_> = (0..DELIVERIES)
        .map(|number| delivery("web", number))
        .collect();
    queue.put(START, pack(&all));
    let mut most_copies = 0;
    let mut sends = None;
    let luck = Counting::default();
    while let Some((at, body)) = queue.take() {
        let hours = (at - START) / 3_600_000;
        if hours >= 12 && sends.is_none() {
            sends = Some(queue.put.lock().unwrap().0);
            *healthy.lock().unwrap() = true;
        }
        let process = usize::try_from((luck.draw() >> 16) % processes as u64).unwrap();
        let held = record(&body);
        let outcome = carillon_deliver::handle(&ports[process], std::slice::from_ref(&held)).await;
        if !outcome.failed.is_empty() {
            // It comes again when its visibility has run out.
            queue.put(at + 30_000, body);
        }
        most_copies = most_copies.max(queue.most_copies());
        assert!(
            most_copies < 1_000,
            "copies multiply: {most_copies} after {hours} h"
        );
    }
    let arrivals = arrivals.lock().unwrap();
    HalfADay {
        sends_each: sends.unwrap() as f64 / DELIVERIES as f64,
        most_copies,
        arrived: arrivals.len(),
        most_arrivals: arrivals.values().copied().max().unwrap_or(0),
    }
}

#[tokio::test]
async fn re_sends_grow_with_the_logarithm_of_an_outage() {
    let calm = half_a_day(0, 1).await;
    assert_eq!(calm.most_copies, 1);
    assert_eq!((calm.arrived, calm.most_arrivals), (60, 1));
    // One a minute would be 720; attempts, which are re-sent too, are told apart nowhere here.
    assert!(calm.sends_each < 110.0, "{} re-sends each", calm.sends_each);
}

#[tokio::test]
async fn copies_do_not_multiply_when_every_tenth_answer_is_lost() {
    let calm = half_a_day(0, 1).await;
    for (processes, most) in [(1, 6), (4, 16)] {
        let stormy = half_a_day(100, processes).await;
        let HalfADay {
            sends_each,
            most_copies,
            arrived,
            most_arrivals,
        } = stormy;
        println!(
            "{processes} processes: {sends_each:.0} re-sends each (calm {:.0}), at most {most_copies} copies, {most_arrivals} arrivals",
            calm.sends_each
        );
        assert_eq!(arrived, 60, "nothing is lost");
        assert!(
            most_copies <= most,
            "{most_copies} copies of one delivery in {processes} processes"
        );
        assert!(most_arrivals <= most);
        let bound = calm.sends_each * 2.0 * processes as f64;
        assert!(
            sends_each < bound,
            "{sends_each} re-sends each, without faults {}",
            calm.sends_each
        );
    }
}

#[tokio::test]
async fn a_copy_ends_where_its_successor_was_made_and_nowhere_else() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(500));
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    let retry = world.resent().remove(0).0;
    assert_eq!(unpack(&retry)[0].resends, 1);
    let copy = || record(&retry.body);
    world.run(&[copy()]).await;
    assert_eq!((world.pushes(), world.resent().len()), (2, 1));
    // The same message again, from a send whose answer was lost.
    assert!(world.run(&[copy()]).await.is_empty());
    assert_eq!((world.pushes(), world.resent().len()), (2, 0));

    // A process that knows nothing of it attempts it.
    let elsewhere = Ports {
        memory: Arc::new(Memory::default()),
        ..world.ports.clone()
    };
    carillon_deliver::handle(&elsewhere, &[copy()]).await;
    assert_eq!(world.pushes(), 3);

    // What was published or redriven anew is another delivery, whatever its number.
    let mut anew = delivery("web", 1);
    anew.notification.published = anew.notification.published.plus(Duration::from_millis(1));
    let redriven = unpack(&retry)
        .remove(0)
        .renewed(anew.notification.published);
    let settings = carillon_deliver::Settings::default();
    let fresh = World::with(vec![http_subscription("web")], settings);
    let memory = world.ports.memory.clone();
    let ports = Ports {
        memory,
        ..fresh.ports.clone()
    };
    world.clock.advance(Duration::from_secs(3_600));
    fresh.clock.advance(Duration::from_secs(3_600));
    for other in [anew, redriven] {
        let before = fresh.pushes();
        carillon_deliver::handle(&ports, &[record(&pack(&[other]))]).await;
        assert_eq!(fresh.pushes(), before + 1);
    }
}

#[tokio::test]
async fn a_successor_that_was_not_taken_keeps_its_delivery_alive() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(500));
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    let retry = world.resent().remove(0).0;
    let down = || Err(QueueError::Unavailable("down".into()));
    world
        .stages
        .answers
        .lock()
        .unwrap()
        .extend([down(), down()]);
    assert_eq!(world.run(std::slice::from_ref(&retry)).await.len(), 1);
    assert!(world.run(&[retry]).await.is_empty());
    assert_eq!(world.resent().len(), 1, "it comes again, and goes on");
}

#[tokio::test]
async fn a_copy_of_what_was_delivered_ends_too() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(500));
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    let retry = world.resent().remove(0).0;
    world.answers(|_| answer(204));
    for _ in 0..3 {
        assert!(world.run(&[record(&retry.body)]).await.is_empty());
    }
    assert_eq!(world.pushes(), 2);
}

/// A redrive begins a delivery anew; one that somebody sends as it lay is not taken for a copy either.
#[tokio::test]
async fn a_dead_letter_that_is_sent_again_as_it_lay_is_attempted() {
    let world = World::new(vec![http_subscription("web")]);
    world.answers(|_| answer(500));
    world.run(&[record(&pack(&[delivery("web", 1)]))]).await;
    let retry = world.resent().remove(0).0;
    world.answers(|_| answer(410));
    world.run(&[record(&retry.body)]).await;
    assert_eq!(
        (world.pushes(), world.dead.kept.lock().unwrap().len()),
        (2, 1)
    );
    world.answers(|_| answer(204));
    world.run(&[record(&retry.body)]).await;
    assert_eq!(world.pushes(), 3);
}
