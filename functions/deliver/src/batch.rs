//! One batch: opened, attempted with bounded concurrency, settled.

use crate::circuit::{Admission, Permit};
use crate::settle::{Fate, Settling, Wait};
use crate::{Ports, http, queue, sns};
use carillon_core::delivery::{Attempt, DeadLetterReason, Delivery, Outcome, OutcomeClass, Step};
use carillon_core::envelope::open_deliveries;
use carillon_core::event::Timestamp;
use carillon_core::ports::{BatchOutcome, QueueRecord};
use carillon_core::push::outcome::clip;
use carillon_core::ruleset::Snapshot;
use carillon_core::topic::{QueueName, SnsTopic, Subscription, Target};
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// A delivery whose subscription this process has not heard of yet waits this long for the store to catch up.
const UNKNOWN_YET: Duration = Duration::from_secs(1);

/// Where a delivery stands: the record that brought it, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) record: usize,
    pub(crate) item: usize,
}

/// One delivery on its way through the batch.
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) delivery: Delivery,
}

/// What takes many deliveries in one call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sink {
    Queue(QueueName),
    Sns(SnsTopic),
}

/// The deliveries of one subscription.
struct Lane {
    subscription: Arc<Subscription>,
    waiting: VecDeque<Job>,
    under_way: usize,
    /// When an operator last sent one of them again.
    redriven: Option<Timestamp>,
}

pub(crate) async fn run(ports: &Ports, batch: &[QueueRecord]) -> BatchOutcome {
    let snapshot = match ports.snapshots.current().await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let reason = error.to_string();
            return BatchOutcome {
                failed: batch
                    .iter()
                    .map(|record| (record.id.clone(), reason.clone()))
                    .collect(),
            };
        }
    };
    let now = ports.clock.now();
    let mut settling = Settling::new(ports, batch);
    let (http_lanes, queue_lanes) = open(ports, batch, &snapshot, now, &mut settling);
    push_to_queues(ports, queue_lanes, &mut settling).await;
    push_over_http(ports, http_lanes, &mut settling).await;
    settling.finish().await
}

/// Opens the records and sorts their deliveries into lanes: HTTP and the rest apart.
fn open(
    ports: &Ports,
    batch: &[QueueRecord],
    snapshot: &Snapshot,
    now: Timestamp,
    settling: &mut Settling<'_>,
) -> (VecDeque<Lane>, VecDeque<Lane>) {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut by_name: HashMap<_, usize> = HashMap::new();
    for (record, queued) in batch.iter().enumerate() {
        let deliveries = match catch_unwind(|| open_deliveries(&queued.body)) {
            Ok(Ok(deliveries)) => deliveries,
            Ok(Err(unreadable)) => {
                settling.refuse(record, unreadable.to_string(), now);
                continue;
            }
            Err(_) => {
                settling.fail(record, "reading this record panicked".to_owned());
                continue;
            }
        };
        for (item, delivery) in deliveries.into_iter().enumerate() {
            let place = Place { record, item };
            if ports.memory.done.contains(&queued.id, item) {
                continue;
            }
            if ports.memory.passed_on.contains(&delivery) {
                settling.drop_copy(place, &delivery);
                continue;
            }
            let job = Job { place, delivery };
            let Some(subscription) =
                snapshot.subscription(&job.delivery.topic, &job.delivery.subscription)
            else {
                // A store that answers with yesterday's version has not lost the subscription: it has not got it yet.
                let fate = if job.delivery.version > snapshot.version() {
                    Fate::Wait(Wait::Exactly(UNKNOWN_YET))
                } else {
                    Fate::Cancelled(format!(
                        "cancelled: there is no subscription {} of topic {} any more (rules version {})",
                        job.delivery.subscription,
                        job.delivery.topic,
                        snapshot.version()
                    ))
                };
                settling.settle(job, None, fate, now);
                continue;
            };
            if let Some(reason) = over(&job.delivery, subscription) {
                settling.settle(job, Some(subscription), Fate::Dead(reason), now);
                continue;
            }
            let lane = *by_name
                .entry((subscription.topic.clone(), subscription.name.clone()))
                .or_insert_with(|| {
                    lanes.push(Lane {
                        subscription: subscription.clone(),
                        waiting: VecDeque::new(),
                        under_way: 0,
                        redriven: None,
                    });
                    lanes.len() - 1
                });
            let lane = &mut lanes[lane];
            lane.redriven = lane.redriven.max(job.delivery.redriven);
            lane.waiting.push_back(job);
        }
    }
    lanes
        .into_iter()
        .partition(|lane| matches!(lane.subscription.target, Target::Http(_)))
}

/// Whether all attempts were made already: a dead letter that could not be kept comes back so, and is not attempted
/// once more.
fn over(delivery: &Delivery, subscription: &Subscription) -> Option<DeadLetterReason> {
    let hopeless = delivery
        .history
        .last()
        .is_some_and(|attempt| attempt.outcome.class == OutcomeClass::Hopeless);
    if hopeless {
        Some(DeadLetterReason::Hopeless)
    } else if delivery.attempts > subscription.strategy.retries() {
        Some(DeadLetterReason::RetriesExhausted)
    } else {
        None
    }
}

/// Counts the attempt and says what follows.
fn judge(
    ports: &Ports,
    job: &mut Job,
    subscription: &Subscription,
    began: Timestamp,
    mut outcome: Outcome,
) -> Fate {
    let now = ports.clock.now();
    outcome.detail = clip(&outcome.detail);
    let took_ms = u32::try_from(now.since(began).as_millis()).unwrap_or(u32::MAX);
    let attempt = Attempt {
        at: began,
        took_ms,
        outcome,
    };
    match job
        .delivery
        .next_step(subscription.strategy, attempt, ports.random.draw())
    {
        Step::Delivered => Fate::Delivered,
        Step::RetryAfter(gap) => Fate::Retry(gap),
        Step::DeadLetter(reason) => Fate::Dead(reason),
    }
}

fn panicked() -> Outcome {
    Outcome {
        class: OutcomeClass::Retry,
        status: None,
        detail: "the attempt panicked; this is a fault of Carillon, not of the endpoint".to_owned(),
        retry_after: None,
    }
}

/// Pushes to queues and topics of SNS: all that goes to one of them in one call.
async fn push_to_queues(ports: &Ports, lanes: VecDeque<Lane>, settling: &mut Settling<'_>) {
    let began = ports.clock.now();
    let mut sends: BTreeMap<Sink, Vec<(Job, Arc<Subscription>, Permit)>> = BTreeMap::new();
    for lane in lanes {
        let sink = match &lane.subscription.target {
            Target::Http(_) => continue,
            Target::Queue(queue) => Sink::Queue(queue.clone()),
            Target::Sns(topic) => Sink::Sns(topic.clone()),
        };
        for job in lane.waiting {
            let circuits = &ports.memory.circuits;
            match circuits.admit(&lane.subscription, lane.redriven, began) {
                Admission::Go(permit) => {
                    sends.entry(sink.clone()).or_default().push((
                        job,
                        lane.subscription.clone(),
                        permit,
                    ));
                }
                Admission::Wait(due) => {
                    let fate = Fate::Wait(Wait::Probe(due));
                    settling.settle(job, Some(&lane.subscription), fate, began);
                }
                Admission::Paced(delay) => {
                    let fate = Fate::Wait(Wait::Exactly(delay));
                    settling.settle(job, Some(&lane.subscription), fate, began);
                }
                Admission::Busy => {
                    let fate = Fate::Wait(Wait::Busy);
                    settling.settle(job, Some(&lane.subscription), fate, began);
                }
            }
        }
    }
    let mut sent: FuturesUnordered<_> = sends
        .into_iter()
        .map(|(sink, jobs)| async move {
            let send = async {
                match &sink {
                    Sink::Queue(queue) => queue::attempt(ports, queue, &jobs).await,
                    Sink::Sns(topic) => sns::attempt(ports, topic, &jobs).await,
                }
            };
            let outcomes = AssertUnwindSafe(send)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| vec![panicked(); jobs.len()]);
            (jobs, outcomes)
        })
        .collect();
    while let Some((jobs, outcomes)) = sent.next().await {
        let now = ports.clock.now();
        for ((mut job, subscription, permit), outcome) in jobs.into_iter().zip(outcomes) {
            permit.end(outcome.class, outcome.retry_after, now);
            let fate = judge(ports, &mut job, &subscription, began, outcome);
            settling.settle(job, Some(&subscription), fate, now);
        }
    }
}

/// Pushes over HTTP: lanes in turn, so that none starves another.
async fn push_over_http(ports: &Ports, mut lanes: VecDeque<Lane>, settling: &mut Settling<'_>) {
    let mut under_way = FuturesUnordered::new();
    // Lanes that have nothing to start until one of their own pushes has ended.
    let mut resting: Vec<Lane> = Vec::new();
    let begun = ports.clock.now();
    loop {
        let now = ports.clock.now();
        if now.since(begun) >= ports.settings.budget {
            for lane in lanes.iter_mut().chain(&mut resting) {
                wait_all(lane, Wait::Exactly(Duration::ZERO), now, settling);
            }
        }
        while under_way.len() < ports.settings.concurrency.max(1) {
            let Some(mut lane) = lanes.pop_front() else {
                break;
            };
            if lane.waiting.is_empty()
                || lane.under_way >= ports.settings.concurrency_per_subscription.max(1)
            {
                resting.push(lane);
                continue;
            }
            let now = ports.clock.now();
            let circuits = &ports.memory.circuits;
            match circuits.admit(&lane.subscription, lane.redriven, now) {
                Admission::Go(permit) => {
                    let job = lane
                        .waiting
                        .pop_front()
                        .expect("the lane was found not to be empty above");
                    lane.under_way += 1;
                    under_way.push(attempt(ports, lane.subscription.clone(), job, permit, now));
                    lanes.push_back(lane);
                }
                Admission::Busy if lane.under_way > 0 => resting.push(lane),
                Admission::Busy => wait_all(&mut lane, Wait::Busy, now, settling),
                Admission::Paced(delay) => {
                    // A limit of rate gives each its own time.
                    let job = lane
                        .waiting
                        .pop_front()
                        .expect("the lane was found not to be empty above");
                    let fate = Fate::Wait(Wait::Exactly(delay));
                    settling.settle(job, Some(&lane.subscription), fate, now);
                    lanes.push_back(lane);
                }
                Admission::Wait(due) => {
                    wait_all(&mut lane, Wait::Probe(due), now, settling);
                    resting.push(lane);
                }
            }
        }
        let Some(ended) = under_way.next().await else {
            break;
        };
        let (job, subscription, fate): (Job, Arc<Subscription>, Fate) = ended;
        for lane in lanes.iter_mut().chain(resting.iter_mut()) {
            if Arc::ptr_eq(&lane.subscription, &subscription) {
                lane.under_way -= 1;
            }
        }
        lanes.extend(resting.extract_if(.., |lane| !lane.waiting.is_empty()));
        settling.settle(job, Some(&subscription), fate, ports.clock.now());
    }
}

fn wait_all(lane: &mut Lane, why: Wait, now: Timestamp, settling: &mut Settling<'_>) {
    for job in lane.waiting.drain(..) {
        settling.settle(job, Some(&lane.subscription), Fate::Wait(why), now);
    }
}

/// One push over HTTP, whatever happens in it.
async fn attempt(
    ports: &Ports,
    subscription: Arc<Subscription>,
    mut job: Job,
    permit: Permit,
    began: Timestamp,
) -> (Job, Arc<Subscription>, Fate) {
    let push =
        AssertUnwindSafe(http::attempt(ports, &subscription, &job.delivery, began)).catch_unwind();
    let outcome = push.await.unwrap_or_else(|_| panicked());
    permit.end(outcome.class, outcome.retry_after, ports.clock.now());
    let fate = judge(ports, &mut job, &subscription, began, outcome);
    (job, subscription, fate)
}
