//! The state of one simulated world. Everything that happens goes through here, is checked as it happens, and, when a
//! failing run is replayed, is written down.

use crate::clockwork::Clockwork;
use crate::fault::{Fault, Struck, Weather};
use crate::model::SourceEvent;
use crate::plant::Plant;
use crate::property::{Property, Violation};
use crate::rng::Rng;
use crate::sqs::{Holds, Item, Message, Queue};
use carillon_core::delivery::DeadLetter;
use carillon_core::event::{EventId, MessageId, Timestamp};
use carillon_core::ports::{KeptPack, Records, Stage};
use carillon_core::topic::{NotifyStrategy, Subscription};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// Epoch milliseconds at the beginning of every run.
pub(crate) const EPOCH: i64 = 1_790_000_000_000;
/// A record that was received so often without success goes to the dead letters (SQS `maxReceiveCount`).
pub(crate) const MAX_RECEIVES: u32 = 5;
/// Time an invocation may take, milliseconds.
pub(crate) const FUNCTION_TIMEOUT: u64 = 60_000;
/// Six times that, as AWS demands of a queue that feeds a function.
pub(crate) const VISIBILITY: u64 = 6 * FUNCTION_TIMEOUT;
/// How old a stale read of the rules table may be, milliseconds.
pub(crate) const STALENESS: u64 = 30_000;

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// Events told by sources.
    pub(crate) events: usize,
    pub(crate) weather: Weather,
    pub(crate) plant: Option<Plant>,
    /// Kills the handler at this poll, counted over the whole run; the only kill of a crash-point run.
    pub(crate) kill_at: Option<u64>,
    pub(crate) trace: bool,
}

/// What became of one notification for one subscription.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    /// A judging demands it.
    pub(crate) owed: bool,
    /// First copies put into the deliver queue.
    pub(crate) copies: u32,
    /// Pushes that the endpoint took.
    pub(crate) accepted: u32,
    /// Faults that allow for one more acceptance each.
    pub(crate) excuses: u32,
    /// Cancelled by a stage that knew a version without the subscription.
    pub(crate) cancelled: bool,
    /// Whether a push has shown its bytes; all others must be equal.
    pub(crate) body: bool,
    /// Redriven at least once.
    pub(crate) redriven: bool,
}

/// A subscription as the checks know it: one endpoint, one rule, for ever.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) topic: String,
    pub(crate) name: String,
    pub(crate) rule: String,
    pub(crate) strategy: NotifyStrategy,
    /// Fails until this time; `u64::MAX` for ever.
    pub(crate) out_until: u64,
}

/// An environment: one process that handles one batch at a time.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) stage: Stage,
    /// Newest version its cache has loaded.
    pub(crate) version: u64,
    pub(crate) skew: i64,
    pub(crate) running: Option<Running>,
    /// What the planted mistakes remember.
    pub(crate) first_version: Option<u64>,
}

/// A batch under way.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) number: usize,
    pub(crate) batch: Vec<Message>,
    pub(crate) started: u64,
    /// Something went wrong that makes more than the named records fail.
    pub(crate) murky: bool,
    /// Any fault struck it.
    pub(crate) struck: bool,
    /// Events, or deliveries, of which an onward message was not taken, though another may have been: one record can hold
    /// copies of one event.
    pub(crate) refused: BTreeSet<(usize, Option<usize>)>,
    /// Those for which no later try made up.
    pub(crate) unsent: BTreeSet<(usize, Option<usize>)>,
    /// Deliveries that were pushed in this batch.
    pub(crate) tried: BTreeSet<(usize, usize)>,
    /// Deliveries whose endpoint gave a `Retry-After` in this batch.
    pub(crate) wishes: BTreeSet<(usize, usize)>,
    /// Deliveries that an endpoint accepted in this batch, and said so.
    pub(crate) successes: BTreeSet<(usize, usize)>,
    /// Events that the duplicate window said were accepted before.
    pub(crate) copies: BTreeSet<usize>,
}

/// See the module.
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) clock: Clockwork,
    pub(crate) rng: Rng,
    /// From here on nothing goes wrong any more.
    pub(crate) calm_at: u64,
    pub(crate) queues: [Queue; 3],
    pub(crate) next_id: u64,
    /// The rules table at every version, and since when.
    pub(crate) versions: Vec<(u64, Arc<Records>)>,
    pub(crate) known: Vec<Known>,
    pub(crate) by_name: BTreeMap<(String, String), usize>,
    pub(crate) events: Vec<SourceEvent>,
    /// Events that were judged, or parked before that.
    pub(crate) judged: BTreeSet<usize>,
    pub(crate) event_excuses: BTreeMap<usize, u32>,
    pub(crate) fates: BTreeMap<(usize, usize), Fate>,
    pub(crate) ids: BTreeMap<(usize, String), MessageId>,
    pub(crate) events_by_id: BTreeMap<(MessageId, String), usize>,
    /// Bodies seen, by subscription and fingerprint.
    pub(crate) bodies: BTreeMap<(usize, u64), usize>,
    pub(crate) poison: Vec<String>,
    pub(crate) letters: BTreeMap<u64, (DeadLetter, Arc<Holds>)>,
    /// Letters an operator threw away.
    pub(crate) discarded: BTreeSet<(usize, usize)>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) invocations: usize,
    /// Signing keys, by number: from when, until when a receiver still takes them.
    pub(crate) keys: Vec<(u64, u64)>,
    pub(crate) redirect_is_success: bool,
    /// How long ingest remembers accepted events, seconds; 0 where it does not.
    pub(crate) window: u32,
    /// Events that ingest remembers as accepted, and until when.
    pub(crate) marks: BTreeMap<EventId, Timestamp>,
    /// The events of ids that went to match.
    pub(crate) numbers: BTreeMap<EventId, usize>,
    /// Events that went on to match.
    pub(crate) went_on: BTreeSet<usize>,
    /// What is kept for replay, oldest first; none where nothing is.
    pub(crate) archive: Option<Vec<KeptPack>>,
    /// Messages that a replay sent, each with the one rule that is told, or none for all.
    pub(crate) replays: BTreeMap<u64, Option<String>>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) history: Vec<(u64, Vec<usize>, String)>,
    pub(crate) struck: Struck,
    pub(crate) totals: Totals,
}

/// Figures of one run or of many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) runs: u64,
    pub(crate) events: u64,
    pub(crate) owed: u64,
    pub(crate) invocations: u64,
    pub(crate) polls: u64,
    pub(crate) pushes: u64,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) excuses: u64,
    pub(crate) dead: u64,
    pub(crate) cancelled: u64,
    pub(crate) virtual_seconds: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Totals) {
        self.runs += other.runs;
        self.events += other.events;
        self.owed += other.owed;
        self.invocations += other.invocations;
        self.polls += other.polls;
        self.pushes += other.pushes;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.excuses += other.excuses;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.virtual_seconds += other.virtual_seconds;
    }
}

/// The world, as the ports share it.
pub(crate) struct World(Mutex<State>);

impl World {
    pub(crate) fn new(state: State) -> Arc<Self> {
        Arc::new(World(Mutex::new(state)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(crate) fn index(stage: Stage) -> usize {
    match stage {
        Stage::Ingest => 0,
        Stage::Match => 1,
        Stage::Deliver => 2,
    }
}

pub(crate) const STAGES: [Stage; 3] = [Stage::Ingest, Stage::Match, Stage::Deliver];

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let rng = Rng::new(settings.seed);
        State {
            settings,
            clock: Clockwork::default(),
            rng,
            calm_at: 0,
            queues: Default::default(),
            next_id: 0,
            versions: vec![(0, Arc::default())],
            known: Vec::new(),
            by_name: BTreeMap::new(),
            events: Vec::new(),
            judged: BTreeSet::new(),
            event_excuses: BTreeMap::new(),
            fates: BTreeMap::new(),
            ids: BTreeMap::new(),
            events_by_id: BTreeMap::new(),
            bodies: BTreeMap::new(),
            poison: Vec::new(),
            letters: BTreeMap::new(),
            discarded: BTreeSet::new(),
            environments: Vec::new(),
            invocations: 0,
            keys: vec![(0, u64::MAX)],
            redirect_is_success: true,
            window: 0,
            marks: BTreeMap::new(),
            numbers: BTreeMap::new(),
            went_on: BTreeSet::new(),
            archive: None,
            replays: BTreeMap::new(),
            violations: Vec::new(),
            history: Vec::new(),
            struck: Struck::default(),
            totals: Totals::default(),
        }
    }

    /// Whether the fault strikes now.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.settings.weather.rate(fault);
        let spent = self.struck.count(fault) >= fault.budget();
        let strikes = rate > 0 && !spent && self.clock.now < self.calm_at && self.rng.chance(rate);
        if strikes {
            self.struck.0[fault as usize] += 1;
        }
        strikes
    }

    /// The same, inside an invocation.
    pub(crate) fn strikes_in(&mut self, environment: usize, fault: Fault) -> bool {
        let strikes = self.strikes(fault);
        if strikes {
            self.note(&[], || format!("env {environment}: {}", fault.text()));
            if let Some(running) = &mut self.environments[environment].running {
                running.struck = true;
            }
        }
        strikes
    }

    pub(crate) fn planted(&self, plant: Plant) -> bool {
        self.settings.plant == Some(plant)
    }

    /// Writes history when the run is a replay.
    pub(crate) fn note(&mut self, events: &[usize], text: impl FnOnce() -> String) {
        if self.settings.trace {
            self.history.push((self.clock.now, events.to_vec(), text()));
        }
    }

    pub(crate) fn violate(&mut self, property: Property, event: Option<usize>, what: String) {
        let at = self.clock.now;
        self.note(&event.into_iter().collect::<Vec<_>>(), || {
            format!("VIOLATES {property}: {what}")
        });
        if self.violations.len() < 16 {
            self.violations.push(Violation {
                property,
                what,
                event,
                at,
            });
        }
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn newest(&self) -> Arc<Records> {
        self.versions
            .last()
            .expect("version 0 is always there")
            .1
            .clone()
    }

    pub(crate) fn at_version(&self, version: u64) -> Option<Arc<Records>> {
        let version = usize::try_from(version).ok()?;
        self.versions
            .get(version)
            .map(|(_, records)| records.clone())
    }

    /// The version that held at a time.
    pub(crate) fn version_at(&self, time: u64) -> u64 {
        let after = self.versions.partition_point(|(since, _)| *since <= time);
        after.saturating_sub(1) as u64
    }

    /// Stores a version; `judged_on` is the one that its author saw.
    pub(crate) fn commit(&mut self, judged_on: u64, records: Records) {
        let newest = self.newest().version;
        if judged_on != newest {
            let what = format!(
                "version {} was judged on {judged_on} and written over {newest}",
                records.version
            );
            self.violate(Property::OneSnapshot, None, what);
        }
        for subscription in &records.subscriptions {
            self.know(subscription, &records);
        }
        self.note(&[], || format!("rules table: version {}", records.version));
        self.versions.push((self.clock.now, Arc::new(records)));
    }

    fn know(&mut self, subscription: &Subscription, records: &Records) {
        let key = (
            subscription.topic.to_string(),
            subscription.name.to_string(),
        );
        if self.by_name.contains_key(&key) {
            return;
        }
        let rule = records
            .rules
            .iter()
            .find(|rule| rule.topic.as_ref() == Some(&subscription.topic));
        // Some endpoints never come back; those with the long schedule only in small runs: each delivery costs them 177
        // attempts and, push backoff being what it is, many more looks.
        let rate = match subscription.strategy {
            NotifyStrategy::BackoffRetry => 500,
            NotifyStrategy::ExponentialDecayRetry if self.settings.events < 50 => 1_500,
            NotifyStrategy::ExponentialDecayRetry => 0,
        };
        let hopeless = self.settings.weather.rate(Fault::HttpError) > 0 && self.rng.chance(rate);
        self.by_name.insert(key.clone(), self.known.len());
        self.known.push(Known {
            topic: key.0,
            name: key.1,
            rule: rule.map(|rule| rule.name.to_string()).unwrap_or_default(),
            strategy: subscription.strategy,
            out_until: if hopeless { u64::MAX } else { 0 },
        });
    }

    /// Puts a message into a stage's queue; gives its number.
    pub(crate) fn enqueue(
        &mut self,
        stage: Stage,
        body: Arc<str>,
        holds: Arc<Holds>,
        delay: u64,
    ) -> u64 {
        let late = if self.strikes(Fault::QueueLate) {
            self.rng.between(1, 60_000)
        } else {
            0
        };
        let at = self.clock.now + delay + late;
        let id = self.id();
        self.queues[index(stage)].send(id, body, holds, at);
        self.clock
            .at(at, crate::clockwork::Tick::Visible(index(stage)));
        id
    }

    pub(crate) fn fate(&mut self, event: usize, subscription: usize) -> &mut Fate {
        self.fates.entry((event, subscription)).or_default()
    }

    /// One more acceptance of each is excused.
    pub(crate) fn excuse(&mut self, holds: &Holds, stage: Stage) {
        match holds {
            Holds::Events(events) => {
                for &event in events {
                    *self.event_excuses.entry(event).or_default() += 1;
                }
            }
            Holds::Deliveries(items) => {
                for item in items {
                    self.fate(item.event, item.subscription).excuses += 1;
                }
            }
            Holds::Poison => {}
        }
        debug_assert!(stage != Stage::Deliver || !matches!(holds, Holds::Events(_)));
    }

    /// The delivery of the running batch that is meant by a push or a re-send; the one with the most attempts, should
    /// the batch hold copies.
    pub(crate) fn in_batch(
        &self,
        environment: usize,
        event: usize,
        subscription: usize,
    ) -> Vec<Item> {
        let Some(running) = &self.environments[environment].running else {
            return Vec::new();
        };
        running
            .batch
            .iter()
            .filter_map(|message| match &*message.holds {
                Holds::Deliveries(items) => Some(items),
                _ => None,
            })
            .flatten()
            .filter(|item| (item.event, item.subscription) == (event, subscription))
            .cloned()
            .collect()
    }
}
