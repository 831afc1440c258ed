//! The host: plays the event source mapping of each stage, runs handlers as tasks, and ends them without warning.

use crate::clockwork::{Ready, Tick, waker};
use crate::fault::{Fault, Struck};
use crate::plant::Plant;
use crate::ports::Hand;
use crate::property::{Property, Violation};
use crate::sqs::{Holds, Message};
use crate::world::{
    EPOCH, Environment, FUNCTION_TIMEOUT, MAX_RECEIVES, Running, STAGES, Settings, State, Totals,
    VISIBILITY, World, index,
};
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::event::Timestamp;
use carillon_core::ports::{BatchOutcome, QueueRecord, Stage};
use carillon_core::push::outcome::OutcomeSettings;
use carillon_core::ruleset::SnapshotCache;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// After the calm everything must have ended by then: the longest schedule (86 015 s), or the topic's retention (a day)
/// where push backoff holds deliveries back, then one more schedule at most; and an hour.
const HORIZON: u64 = (2 * 86_400 + 3_600) * 1_000;

/// Polls after which a run goes round in circles; the longest sound one takes a tenth.
const LONGEST_RUN: u64 = 1_000_000;

/// What a run comes to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) violations: Vec<Violation>,
    pub(crate) totals: Totals,
    pub(crate) struck: Struck,
    pub(crate) history: Vec<(u64, Vec<usize>, String)>,
}

type Handling = Pin<Box<dyn Future<Output = BatchOutcome>>>;

#[derive(Clone)]
enum Ports {
    Ingest(carillon_ingest::Ports),
    Match(carillon_match::Ports),
    Deliver(Box<carillon_deliver::Ports>),
}

/// A place for one invocation at a time.
struct Worker {
    environment: usize,
    ports: Ports,
    handling: Option<Handling>,
    polls: u64,
    dies_at: u64,
}

struct Host {
    world: Arc<World>,
    ready: Arc<Ready>,
    workers: Vec<Worker>,
    batch_size: usize,
    polls: u64,
}

/// Runs one world to its end.
pub(crate) fn run(settings: Settings) -> Report {
    let mut state = State::new(settings);
    state.redirect_is_success = state.rng.chance(7_000);
    state.calm_at = state.rng.between(30, 600) * 1_000;
    state.choose_memory();
    state.first_rules();
    state.make_events();
    state.clock.at(1_000, Tick::Traffic);
    state.clock.at(2_000, Tick::Operator);
    let batch_size = *state.rng.pick(&[1, 3, 10, 10]);
    let widths: Vec<u64> = STAGES.iter().map(|_| state.rng.between(1, 3)).collect();
    let mut host = Host {
        world: World::new(state),
        ready: Arc::default(),
        workers: Vec::new(),
        batch_size,
        polls: 0,
    };
    for (stage, width) in STAGES.into_iter().zip(widths) {
        for _ in 0..width {
            let (environment, ports) = host.cold_start(stage);
            host.workers.push(Worker {
                environment,
                ports,
                handling: None,
                polls: 0,
                dies_at: u64::MAX,
            });
        }
    }
    host.turn();
    let polls = host.polls;
    drop(host.workers);
    let mut state = host.world.lock();
    state.totals.polls = polls;
    if state.violations.is_empty() {
        state.final_checks();
    }
    Report {
        violations: std::mem::take(&mut state.violations),
        totals: state.totals.clone(),
        struck: state.struck.clone(),
        history: std::mem::take(&mut state.history),
    }
}

impl Host {
    /// A new environment: nothing remembered.
    fn cold_start(&self, stage: Stage) -> (usize, Ports) {
        let mut state = self.world.lock();
        let skew = if state.strikes(Fault::Skewed) {
            state.rng.between(0, 4_000) as i64 - 2_000
        } else {
            0
        };
        let environment = state.environments.len();
        state.environments.push(Environment {
            stage,
            version: 0,
            skew,
            running: None,
            first_version: None,
        });
        let redirect_is_success = state.redirect_is_success;
        let duplicate_window = state.window;
        let whole_second_delays = state.rng.chance(5_000);
        // Of every size that an operator may choose, so that batches run out of hands and out of time.
        let concurrency = *state.rng.pick(&[1, 4, 64]);
        let concurrency_per_subscription = *state.rng.pick(&[1, 32]);
        let budget = *state
            .rng
            .pick(&[Duration::from_millis(500), Duration::from_secs(20)]);
        drop(state);
        let hand = Arc::new(Hand {
            world: self.world.clone(),
            environment,
            stage,
        });
        let snapshots = Arc::new(SnapshotCache::new(hand.clone()));
        let ports = match stage {
            Stage::Ingest => Ports::Ingest(carillon_ingest::Ports {
                stages: hand.clone(),
                dead_letters: hand.clone(),
                clock: hand.clone(),
                settings: Arc::new(carillon_ingest::Settings {
                    duplicate_window,
                    ..carillon_ingest::Settings::default()
                }),
                extras: carillon_ingest::Extras {
                    window: Some(hand),
                    ..carillon_ingest::Extras::default()
                },
            }),
            Stage::Match => Ports::Match(carillon_match::Ports {
                snapshots,
                stages: hand.clone(),
                dead_letters: hand.clone(),
                clock: hand,
            }),
            Stage::Deliver => Ports::Deliver(Box::new(carillon_deliver::Ports {
                snapshots,
                stages: hand.clone(),
                queues: hand.clone(),
                http: hand.clone(),
                dead_letters: hand.clone(),
                attempts: hand.clone(),
                clock: hand.clone(),
                random: hand.clone(),
                sns: None,
                signer: hand,
                memory: Arc::default(),
                settings: carillon_deliver::Settings {
                    whole_second_delays,
                    concurrency,
                    concurrency_per_subscription,
                    budget,
                    outcomes: OutcomeSettings {
                        redirect_is_success,
                    },
                    ..carillon_deliver::Settings::default()
                },
            })),
        };
        (environment, ports)
    }

    fn turn(&mut self) {
        loop {
            // What follows a violation is its consequence.
            if !self.world.lock().violations.is_empty() {
                return;
            }
            if self.polls > LONGEST_RUN {
                self.world.lock().violate(
                    Property::Settles,
                    None,
                    format!("{LONGEST_RUN} polls, and no end"),
                );
                return;
            }
            let task = {
                let mut ready = self.ready.lock();
                match ready.len() {
                    0 => None,
                    n => {
                        let pick = self.world.lock().rng.below(n);
                        Some(ready.swap_remove(pick))
                    }
                }
            };
            if let Some(task) = task {
                self.poll(task);
                continue;
            }
            let tick = {
                let mut state = self.world.lock();
                let tick = state.clock.next();
                if state.clock.now > state.calm_at + HORIZON {
                    if state.queues.iter().any(|queue| !queue.is_empty()) {
                        let left: Vec<String> = state
                            .queues
                            .iter()
                            .flat_map(|queue| queue.messages())
                            .map(|held| format!("{:?}", held.holds))
                            .take(3)
                            .collect();
                        state.violate(
                            Property::Settles,
                            None,
                            format!("still waiting two days after the last fault: {left:?}"),
                        );
                    }
                    return;
                }
                tick
            };
            match tick {
                None => return,
                Some(Tick::Wake(waker)) => waker.wake(),
                Some(Tick::Visible(stage)) => self.dispatch(STAGES[stage]),
                Some(Tick::Deadline(number)) => self.expire(number),
                Some(Tick::Traffic) => self.world.lock().traffic(),
                Some(Tick::Operator) => {
                    let mut state = self.world.lock();
                    state.operate();
                    if state.clock.now < state.calm_at {
                        let gap = state.rng.between(200, 20_000);
                        let at = state.clock.now + gap;
                        state.clock.at(at, Tick::Operator);
                    }
                }
            }
        }
    }

    /// Hands out what is visible to workers that have nothing to do.
    fn dispatch(&mut self, stage: Stage) {
        loop {
            let idle = self.workers.iter().position(|worker| {
                worker.handling.is_none()
                    && self.world.lock().environments[worker.environment].stage == stage
            });
            let Some(worker) = idle else { return };
            let batch = self.receive(stage);
            if batch.is_empty() {
                return;
            }
            self.start(worker, batch);
        }
    }

    fn receive(&mut self, stage: Stage) -> Vec<Message> {
        let mut state = self.world.lock();
        let state = &mut *state;
        let mut batch = Vec::new();
        while batch.len() < self.batch_size {
            let now = state.clock.now;
            let hidden = if state.strikes(Fault::QueueDuplicate) {
                now + 1
            } else if state.strikes(Fault::VisibilityExpires) {
                now + state.rng.between(100, 8_000)
            } else {
                now + VISIBILITY
            };
            let reorder = state.strikes(Fault::QueueReorder);
            let mut rng = state.rng.clone();
            let received =
                state.queues[index(stage)].receive(now, hidden, reorder.then_some(&mut rng));
            state.rng = rng;
            let Some(message) = received else { break };
            if message.receives > 1 {
                state.excuse(&message.holds, stage);
            }
            if message.receives > MAX_RECEIVES {
                state.queues[index(stage)].delete(message.id);
                state.park(stage, &message);
                continue;
            }
            state.clock.at(hidden, Tick::Visible(index(stage)));
            state.note(&message.holds.events(), || {
                format!(
                    "{stage}: m{} received, time {}: {:?}",
                    message.id, message.receives, message.holds
                )
            });
            batch.push(message);
        }
        batch
    }

    fn start(&mut self, worker: usize, batch: Vec<Message>) {
        let slot = &mut self.workers[worker];
        let mut state = self.world.lock();
        let state = &mut *state;
        state.invocations += 1;
        state.totals.invocations += 1;
        let number = state.invocations;
        let records: Vec<QueueRecord> = batch
            .iter()
            .map(|message| QueueRecord {
                id: format!("m{}", message.id),
                body: message.body.to_string(),
                receive_count: message.receives,
            })
            .collect();
        if state.planted(Plant::DeletesBeforeHandling) {
            let stage = state.environments[slot.environment].stage;
            for message in &batch {
                state.queues[index(stage)].delete(message.id);
            }
        }
        let started = state.clock.now;
        state.environments[slot.environment].running = Some(Running {
            number,
            batch,
            started,
            murky: false,
            struck: false,
            refused: BTreeSet::new(),
            unsent: BTreeSet::new(),
            tried: BTreeSet::new(),
            wishes: BTreeSet::new(),
            successes: BTreeSet::new(),
            copies: BTreeSet::new(),
        });
        state
            .clock
            .at(started + FUNCTION_TIMEOUT, Tick::Deadline(number));
        slot.polls = 0;
        slot.dies_at = u64::MAX;
        let rate = state.settings.weather.rate(Fault::Killed);
        if started < state.calm_at
            && state.struck.count(Fault::Killed) < 25
            && state.rng.chance(rate)
        {
            slot.dies_at = state.rng.between(1, 40);
        }
        slot.handling = Some(match slot.ports.clone() {
            Ports::Ingest(ports) => {
                Box::pin(async move { carillon_ingest::handle(&ports, &records).await })
            }
            Ports::Match(ports) => {
                Box::pin(async move { carillon_match::handle(&ports, &records).await })
            }
            Ports::Deliver(ports) => {
                Box::pin(async move { carillon_deliver::handle(&ports, &records).await })
            }
        });
        self.ready.lock().push(worker);
    }

    fn poll(&mut self, worker: usize) {
        let slot = &mut self.workers[worker];
        let Some(handling) = &mut slot.handling else {
            return;
        };
        self.polls += 1;
        slot.polls += 1;
        let told_to = self.world.lock().settings.kill_at == Some(self.polls);
        if slot.polls == slot.dies_at || told_to {
            self.kill(worker, "killed");
            return;
        }
        let waker = waker(worker, &self.ready);
        let mut context = Context::from_waker(&waker);
        match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(outcome)) => self.end(worker, &outcome),
            Err(_) => {
                if self.world.lock().planted(Plant::PanicIsSuccess) {
                    self.end(worker, &BatchOutcome::default());
                } else {
                    self.kill(worker, "panicked");
                }
            }
        }
    }

    /// The end of an environment: whatever it had not yet done is not done.
    fn kill(&mut self, worker: usize, how: &str) {
        self.workers[worker].handling = None;
        let environment = self.workers[worker].environment;
        let stage = {
            let mut state = self.world.lock();
            if how == "killed" {
                state.struck.0[Fault::Killed as usize] += 1;
            }
            let running = state.environments[environment].running.take();
            let events: Vec<usize> = running
                .iter()
                .flat_map(|running| &running.batch)
                .flat_map(|message| message.holds.events())
                .collect();
            let polls = self.workers[worker].polls;
            state.note(&events, || {
                format!("env {environment}: {how} at poll {polls}")
            });
            state.environments[environment].stage
        };
        let (environment, ports) = self.cold_start(stage);
        let slot = &mut self.workers[worker];
        (slot.environment, slot.ports) = (environment, ports);
        self.ready.lock().retain(|task| *task != worker);
        self.dispatch(stage);
    }

    fn expire(&mut self, number: usize) {
        let overdue = self.workers.iter().position(|worker| {
            worker.handling.is_some()
                && self.world.lock().environments[worker.environment]
                    .running
                    .as_ref()
                    .is_some_and(|held| held.number == number)
        });
        if let Some(worker) = overdue {
            self.kill(worker, "out of time");
        }
    }

    fn end(&mut self, worker: usize, outcome: &BatchOutcome) {
        let slot = &mut self.workers[worker];
        slot.handling = None;
        let environment = slot.environment;
        let stage = {
            let mut state = self.world.lock();
            let state = &mut *state;
            let stage = state.environments[environment].stage;
            if !outcome.failed.is_empty() {
                state.note(&[], || {
                    format!("env {environment}: failed {:?}", outcome.failed)
                });
            }
            state.check_outcome(environment, outcome);
            let running = state.environments[environment]
                .running
                .take()
                .expect("it was under way");
            for message in running.batch {
                let name = format!("m{}", message.id);
                let failed = outcome.failed.iter().any(|(id, _)| *id == name);
                if failed && !state.planted(Plant::IgnoresFailures) {
                    continue;
                }
                let queue = &mut state.queues[index(stage)];
                if queue.delete(message.id) && state.strikes(Fault::QueueForgetsDelete) {
                    let at = state.clock.now + state.rng.between(0, 30_000);
                    state.queues[index(stage)].restore(message, at);
                    state.clock.at(at, Tick::Visible(index(stage)));
                }
            }
            stage
        };
        self.dispatch(stage);
    }
}

impl State {
    /// Received too often: the queue moves it to the dead letters, as it is.
    fn park(&mut self, stage: Stage, message: &Message) {
        self.note(&message.holds.events(), || {
            format!("{stage}: m{} moved to the dead letters", message.id)
        });
        let letter = DeadLetter {
            at: Timestamp::from_millis(EPOCH + self.clock.now as i64),
            reason: format!("received {MAX_RECEIVES} times without success"),
            content: DeadLetterContent::Record {
                stage: stage.to_string(),
                body: message.body.to_string(),
            },
        };
        let id = self.id();
        self.letters.insert(id, (letter, message.holds.clone()));
    }

    /// What must hold when all is quiet.
    fn final_checks(&mut self) {
        let mut parked: BTreeSet<(usize, usize)> = self.discarded.clone();
        let mut parked_events: BTreeSet<usize> = BTreeSet::new();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for (letter, holds) in self.letters.values() {
            match &**holds {
                Holds::Deliveries(items) => {
                    parked.extend(items.iter().map(|item| (item.event, item.subscription)))
                }
                Holds::Events(events) => parked_events.extend(events),
                Holds::Poison => {}
            }
            if let DeadLetterContent::Record { body, .. } = &letter.content {
                kept.insert(body.clone());
            }
        }
        for number in 0..self.events.len() {
            if !self.judged.contains(&number) && !parked_events.contains(&number) {
                self.violate(
                    Property::NoLoss,
                    Some(number),
                    format!("event {number} was never judged, nor parked"),
                );
            }
        }
        self.check_archive();
        for body in self.poison.clone() {
            if !kept.contains(&body) {
                self.violate(
                    Property::PoisonStaysSmall,
                    None,
                    format!("poison is gone without a trace: {body:.80}"),
                );
            }
        }
        let excuses = self.event_excuses.clone();
        let fates: Vec<_> = self
            .fates
            .iter()
            .map(|(key, fate)| (*key, fate.clone()))
            .collect();
        for (key @ (event, subscription), fate) in fates {
            self.totals.owed += u64::from(fate.owed);
            self.totals.cancelled += u64::from(fate.cancelled);
            self.totals.dead += u64::from(parked.contains(&key));
            self.totals.duplicates += u64::from(fate.accepted.saturating_sub(1));
            self.totals.excuses += u64::from(fate.excuses + fate.copies.saturating_sub(1));
            let ended = fate.accepted > 0 || fate.cancelled || parked.contains(&key);
            if fate.owed && !ended {
                let what = format!("event {event} never reached endpoint {subscription}: {fate:?}");
                self.violate(Property::NoLoss, Some(event), what);
            }
            let told = excuses.get(&event).copied().unwrap_or(0);
            if fate.copies > 1 + told {
                let what = format!(
                    "{} first copies for endpoint {subscription}, {told} faults allow one each",
                    fate.copies
                );
                self.violate(Property::BoundedDuplicates, Some(event), what);
            }
            let bound = fate.copies.max(1) + fate.excuses;
            if fate.accepted > bound {
                let what = format!(
                    "accepted {} times by endpoint {subscription}, the bound is {bound}",
                    fate.accepted
                );
                self.violate(Property::BoundedDuplicates, Some(event), what);
            }
        }
        self.totals.runs = 1;
        self.totals.events = self.events.len() as u64;
        self.totals.virtual_seconds = self.clock.now / 1_000;
    }
}
