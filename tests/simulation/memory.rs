//! What ingest may be told to remember: which events it accepted, so that copies are dropped for a while, and the events
//! themselves, which an operator replays through the control plane's own action.

use crate::fault::Fault;
use crate::model::told;
use crate::plant::Plant;
use crate::ports::Hand;
use crate::property::Property;
use crate::readers::targets::service::{run, support};
use crate::rng::Rng;
use crate::sqs::{Holds, Item};
use crate::world::{EPOCH, State};
use carillon_core::envelope::{Packer, open_pack};
use carillon_core::event::{EventId, IdentityHasher, Timestamp};
use carillon_core::ports::{
    Change, DuplicateWindow, EventArchive, KeptPack, Page, QueueError, Records, RuleStore as _,
    Stage, StoreError,
};
use carillon_manage::Settings;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The rule that a message says is to be told alone.
pub(crate) fn only_of(body: &str) -> Option<String> {
    // Most say nothing, and need not be read.
    body.starts_with(r#"{"v":1,"only":"#)
        .then(|| open_pack(body).ok()?.only)
        .flatten()
        .map(|only| only.to_string())
}

impl State {
    /// Whether this world's ingest remembers: of a seed of its own, so that the rest of a run stays what it was.
    pub(crate) fn choose_memory(&mut self) {
        let mut rng = Rng::new(self.settings.seed ^ 0xA2C4);
        self.window = *rng.pick(&[0, 0, 5, 60, 600]);
        self.archive = rng.chance(5_000).then(Vec::new);
    }

    fn now(&self) -> Timestamp {
        let now = i64::try_from(self.clock.now).expect("runs are short");
        Timestamp::from_millis(EPOCH + now)
    }

    /// Keeps a pack that goes on to match; false when that cannot be.
    pub(crate) fn keep_pack(&mut self, environment: usize, message: &str) -> bool {
        if self.archive.is_none() {
            return true;
        }
        if self.strikes_in(environment, Fault::ArchiveDown) {
            return false;
        }
        let (at, forgets) = (self.now(), self.planted(Plant::ArchiveForgets));
        if let (Some(archive), false) = (&mut self.archive, forgets) {
            let message = message.to_owned();
            archive.push(KeptPack { at, message });
        }
        true
    }

    /// What the window knew is not sent on.
    pub(crate) fn check_no_copies(&mut self, environment: usize, holds: &Holds) {
        let Some(running) = &self.environments[environment].running else {
            return;
        };
        let copy = holds
            .events()
            .into_iter()
            .find(|event| running.copies.contains(event));
        if let Some(event) = copy {
            let what = format!("event {event} goes on, although the window knew it");
            self.violate(Property::BoundedDuplicates, Some(event), what);
        }
    }

    /// A delivery that was judged from replays alone, all for one rule, is of that rule.
    pub(crate) fn check_told_by_replay(&mut self, environment: usize, item: &Item) {
        let Some(running) = &self.environments[environment].running else {
            return;
        };
        let rule = &self.known[item.subscription].rule;
        let mut carriers = running
            .batch
            .iter()
            .filter(|message| message.holds.events().contains(&item.event));
        let meant = carriers.any(|message| match self.replays.get(&message.id) {
            Some(Some(only)) => only == rule,
            Some(None) | None => true,
        });
        if !meant {
            let what = format!("a replay for another rule tells {rule}");
            self.violate(Property::FaithfulReplay, Some(item.event), what);
        }
    }

    /// All that went on can be found again.
    pub(crate) fn check_archive(&mut self) {
        let Some(archive) = &self.archive else { return };
        let kept = self.events_in(archive.iter().map(|pack| pack.message.as_str()));
        if let Some(&event) = self.went_on.difference(&kept).next() {
            let what = format!("event {event} went on to match and was not kept");
            self.violate(Property::FaithfulReplay, Some(event), what);
        }
    }

    fn events_in<'a>(&self, packs: impl Iterator<Item = &'a str>) -> BTreeSet<usize> {
        packs
            .filter_map(|pack| open_pack(pack).ok())
            .flat_map(|pack| pack.events)
            .filter_map(|event| crate::read::event_number(&event.resource))
            .collect()
    }

    /// An operator replays what was accepted since a time, for all rules or for one, page by page; some give up when the
    /// service says that not all of a page was taken.
    pub(crate) fn replay(&mut self) {
        let Some(packs) = self.archive.clone() else {
            return;
        };
        let records = self.newest();
        let enabled: Vec<&str> = (records.rules.iter())
            .filter(|rule| rule.enabled)
            .map(|rule| rule.name.as_str())
            .collect();
        let only = (self.rng.chance(5_000) && !enabled.is_empty())
            .then(|| (*self.rng.pick(&enabled)).to_owned());
        let since = EPOCH + self.rng.between(0, self.clock.now) as i64;
        let most = (*self.rng.pick(&["1", "40", "5000"])).to_owned();
        let shelf = Arc::new(Shelf {
            packs,
            plant: self.settings.plant,
            rate: self.settings.weather.rate(Fault::SendThrottled),
            rng: Mutex::new(Rng::new(self.rng.next())),
            sent: Mutex::default(),
        });
        let mut asked = vec![("MaxEvents", most)];
        asked.extend(only.clone().map(|only| ("RuleName", only)));
        let ended = self.ask(&records, &shelf, &asked, since);
        self.note(&[], || {
            format!("operator: replays since {since} for {only:?}, to the end: {ended:?}")
        });
        let mut again = BTreeSet::new();
        let sent = std::mem::take(&mut *shelf.sent.lock().unwrap_or_else(PoisonError::into_inner));
        for body in sent {
            let body = self.spoil_replay(body);
            let holds = Arc::new(self.holds(Stage::Match, &body));
            again.extend(holds.events());
            // A replay makes copies on purpose.
            self.excuse(&holds, Stage::Match);
            let id = self.enqueue(Stage::Match, body.into(), holds, 0);
            self.replays.insert(id, only.clone());
        }
        match ended {
            Ok(true) => self.check_complete(&records, &shelf.packs, since, only.as_deref(), &again),
            Ok(false) => {}
            Err(what) => self.violate(Property::FaithfulReplay, None, what),
        }
    }

    /// Asks the control plane until the window has been read; false when the operator gave up.
    fn ask(
        &mut self,
        records: &Records,
        shelf: &Arc<Shelf>,
        asked: &[(&str, String)],
        since: i64,
    ) -> Result<bool, String> {
        let store = Arc::new(support::MemoryStore::default());
        let changes = changes(records);
        let world = support::world_finished(store.clone(), None, Settings::default(), |service| {
            service.remembering(shelf.clone())
        });
        run(async { store.commit(0, changes).await }).map_err(|error| error.to_string())?;
        let mut from = ("Since", since.to_string());
        // Each page is asked for at most so often.
        for _ in 0..10_000 {
            let parameters: Vec<(&str, &str)> = asked
                .iter()
                .chain([&from])
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = run(world.act("ReplayEvents", &parameters));
            match answer.status {
                200 => match answer.data()["NextToken"].as_str() {
                    Some(token) => from = ("NextToken", token.to_owned()),
                    None => return Ok(true),
                },
                503 if self.rng.chance(3_000) => return Ok(false),
                503 => {}
                status => return Err(format!("{status} to a replay: {}", answer.body)),
            }
        }
        Err("a replay has no end".to_owned())
    }

    /// What was sent again is what the naive model would choose.
    fn check_complete(
        &mut self,
        records: &Records,
        packs: &[KeptPack],
        since: i64,
        only: Option<&str>,
        again: &BTreeSet<usize>,
    ) {
        let within = packs.iter().filter(|pack| pack.at.as_millis() >= since);
        let mut wanted = self.events_in(within.map(|pack| pack.message.as_str()));
        if let Some(only) = only {
            wanted.retain(|&number| {
                let event = &self.events[number];
                told(records, &event.event_type, &event.resource)
                    .iter()
                    .any(|rule| rule.name.as_str() == only)
            });
        }
        if wanted != *again {
            let event = wanted.symmetric_difference(again).next().copied();
            let what = format!("a replay for {only:?} sends {again:?} of {wanted:?}");
            self.violate(Property::FaithfulReplay, event, what);
        }
    }

    fn spoil_replay(&mut self, body: String) -> String {
        let plant = self.settings.plant;
        if !matches!(
            plant,
            Some(Plant::ReplayForgetsRule | Plant::ReplayDrawsIds)
        ) {
            return body;
        }
        let Ok(pack) = open_pack(&body) else {
            return body;
        };
        let mut packer = match (plant, &pack.only) {
            (Some(Plant::ReplayDrawsIds), Some(only)) => Packer::only(only),
            _ => Packer::new(),
        };
        for mut event in pack.events {
            if plant == Some(Plant::ReplayDrawsIds) {
                event.id = IdentityHasher::new("replay")
                    .part(&self.id().to_string())
                    .finish();
            }
            packer.push(&event).expect("it fitted before");
        }
        packer.finish().pop().unwrap_or_default()
    }
}

/// The changes that make an empty table these records.
fn changes(records: &Records) -> Vec<Change> {
    let topics = records.topics.iter().cloned().map(Change::PutTopic);
    let rules = records.rules.iter().cloned().map(Change::PutRule);
    let subscriptions = records.subscriptions.iter().cloned();
    topics
        .chain(rules)
        .chain(subscriptions.map(Change::PutSubscription))
        .collect()
}

/// The history, as the control plane sees it.
struct Shelf {
    packs: Vec<KeptPack>,
    plant: Option<Plant>,
    /// How often a message is not taken, or taken and the answer lost.
    rate: u32,
    rng: Mutex<Rng>,
    sent: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl EventArchive for Shelf {
    async fn packs(
        &self,
        since: Timestamp,
        until: Timestamp,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptPack>, StoreError> {
        let from: usize = from
            .map_or(Ok(0), str::parse)
            .map_err(|_| StoreError("of no page of this archive".into()))?;
        let mut found: Vec<(usize, KeptPack)> = (self.packs.iter().cloned().enumerate())
            .skip(from)
            .filter(|(_, pack)| (since..until).contains(&pack.at))
            .take(limit + 1)
            .collect();
        let next = (found.len() > limit).then(|| found[limit].0.to_string());
        found.truncate(limit);
        let first = usize::from(self.plant == Some(Plant::ArchiveSkips));
        let items = found.into_iter().map(|(_, pack)| pack).skip(first);
        Ok(Page {
            items: items.collect(),
            next,
        })
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.packs.first().map(|pack| pack.at))
    }

    async fn send_again(&self, packs: Vec<String>) -> Vec<Result<(), QueueError>> {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        packs
            .into_iter()
            .enumerate()
            .map(|(number, pack)| {
                if self.plant == Some(Plant::ReplaySwallowsRest) && number > 0 {
                    return Ok(());
                }
                let fails = rng.chance(self.rate);
                if !fails || rng.chance(5_000) {
                    sent.push(pack);
                }
                match fails {
                    true => Err(QueueError::Unavailable("throttled".into())),
                    false => Ok(()),
                }
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl DuplicateWindow for Hand {
    async fn known(&self, ids: &[EventId], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        self.pause().await;
        let answer = {
            let mut state = self.world.lock();
            let state = &mut *state;
            // A window that is silent makes no record fail: it does not excuse one.
            if state.strikes(Fault::WindowDown) {
                match state.planted(Plant::SilenceIsKnown) {
                    true => Ok(vec![true; ids.len()]),
                    false => Err(StoreError("throttled".into())),
                }
            } else {
                let mut known: Vec<bool> = ids
                    .iter()
                    .map(|id| state.marks.get(id).is_some_and(|until| *until > now))
                    .collect();
                let copies = ids.iter().zip(&known).filter(|(_, known)| **known);
                let copies = copies.filter_map(|(id, _)| state.numbers.get(id));
                if let Some(running) = &mut state.environments[self.environment].running {
                    running.copies.extend(copies);
                }
                if state.planted(Plant::MarksOnAsking) {
                    let until = now.plus(std::time::Duration::from_secs(state.window.into()));
                    state.marks.extend(ids.iter().map(|id| (*id, until)));
                }
                if state.planted(Plant::MisordersWindow) && !known.is_empty() {
                    known.rotate_right(1);
                }
                if state.planted(Plant::CopiesGoOn) {
                    known.fill(false);
                }
                Ok(known)
            }
        };
        self.pause().await;
        answer
    }

    async fn mark(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError> {
        self.pause().await;
        let answer = {
            let mut state = self.world.lock();
            if state.strikes(Fault::WindowDown) {
                Err(StoreError("throttled".into()))
            } else {
                state.marks.extend(ids.into_iter().map(|id| (id, until)));
                match state.strikes(Fault::WindowAnswerLost) {
                    true => Err(StoreError("connection reset".into())),
                    false => Ok(()),
                }
            }
        };
        self.pause().await;
        answer
    }
}
