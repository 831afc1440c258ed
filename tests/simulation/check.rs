//! The checks that run as things happen.

use crate::model::{covers, expected};
use crate::property::Property;
use crate::read::message_of;
use crate::sqs::{Holds, Item, Message};
use crate::world::{EPOCH, STALENESS, State};
use carillon_core::delivery::{Delivery, OutcomeClass};
use carillon_core::event::Timestamp;
use carillon_core::ports::{BatchOutcome, Stage};
use carillon_core::topic::NotifyStrategy;
use std::time::Duration;

/// The longest Retry-After that is granted, milliseconds.
const LONGEST_WISH: u64 = 900_000;
/// How long a message waits at least before it is given up unattempted (MNS limits: a topic keeps it for a day).
const RETENTION: Duration = Duration::from_secs(86_400);
/// After this long, milliseconds, whatever waited for an endpoint that is well again has been attempted: the longest wait
/// is a quarter of an hour, and an eighth of it more.
const BACK_AFTER: u64 = 2 * 3_600_000;
/// Rounding of delays to whole seconds.
const ROUNDING: u64 = 1_000;

/// The published gap before retry `n`, as the documents' table has it: shortest and longest, milliseconds.
fn published_gap(strategy: NotifyStrategy, n: u32) -> (u64, u64) {
    match strategy {
        NotifyStrategy::BackoffRetry => (10_000, 20_000),
        NotifyStrategy::ExponentialDecayRetry => {
            const HEAD: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
            let gap = HEAD.get(n as usize - 1).copied().unwrap_or(512) * 1_000;
            (gap, gap)
        }
    }
}

fn published_retries(strategy: NotifyStrategy) -> u32 {
    match strategy {
        NotifyStrategy::BackoffRetry => 3,
        NotifyStrategy::ExponentialDecayRetry => 176,
    }
}

impl State {
    pub(crate) fn fault_in(&mut self, environment: usize) {
        if let Some(running) = &mut self.environments[environment].running {
            running.struck = true;
        }
    }

    /// A message that a stage sends on.
    pub(crate) fn check_sent(&mut self, environment: usize, holds: &Holds, delay: u64) {
        if delay > LONGEST_WISH {
            self.violate(
                Property::RetryTimes,
                holds.events().first().copied(),
                format!("a delay of {delay} ms"),
            );
        }
        if self.environments[environment].stage == Stage::Ingest {
            self.check_no_copies(environment, holds);
        }
        let Holds::Deliveries(items) = holds else {
            return;
        };
        for item in items {
            self.check_identity(item);
            match self.environments[environment].stage {
                Stage::Match => self.check_judged(environment, item),
                Stage::Deliver => self.check_sent_again(environment, item, delay),
                Stage::Ingest => {}
            }
        }
    }

    fn check_identity(&mut self, item: &Item) {
        let topic = self.known[item.subscription].topic.clone();
        let held = *self
            .ids
            .entry((item.event, topic.clone()))
            .or_insert(item.id);
        if held != item.id {
            let what = format!(
                "event {} on {topic} has the ids {held} and {}",
                item.event, item.id
            );
            self.violate(Property::BoundedDuplicates, Some(item.event), what);
        }
        let owner = *self
            .events_by_id
            .entry((item.id, topic))
            .or_insert(item.event);
        if owner != item.event {
            let what = format!("events {owner} and {} share the id {}", item.event, item.id);
            self.violate(Property::NoInvention, Some(item.event), what);
        }
    }

    fn check_judged(&mut self, environment: usize, item: &Item) {
        let version = self.environments[environment].version;
        if item.version != version {
            let what = format!(
                "a delivery says version {}, its judging had {version}",
                item.version
            );
            self.violate(Property::OneSnapshot, Some(item.event), what);
        }
        self.check_told_by_replay(environment, item);
        let known = &self.known[item.subscription];
        let records = self.at_version(item.version);
        let event = self.events.get(item.event);
        let (Some(records), Some(event)) = (records, event) else {
            return self.violate(
                Property::NoInvention,
                Some(item.event),
                format!("{item:?} names what never was"),
            );
        };
        let wanted = expected(&records, event).iter().any(|(_, held)| {
            held.topic.as_str() == known.topic && held.name.as_str() == known.name
        });
        if !wanted {
            let others = records.rules.iter().any(|rule| {
                rule.enabled
                    && !rule.is_default()
                    && covers(rule, &event.event_type, &event.resource)
            });
            let property = match known.rule == "DefaultEnRule" && others {
                true => Property::DefaultRule,
                false => Property::NoInvention,
            };
            let what = format!(
                "{} on {} goes to {}/{}, which version {} does not want",
                event.event_type, event.resource, known.topic, known.name, item.version
            );
            self.violate(property, Some(item.event), what);
        }
    }

    fn check_sent_again(&mut self, environment: usize, item: &Item, delay: u64) {
        let batch = self.in_batch(environment, item.event, item.subscription);
        if batch.is_empty() {
            return self.violate(
                Property::NoInvention,
                Some(item.event),
                format!("{item:?} was not in the batch"),
            );
        }
        let key = (item.event, item.subscription);
        let running = self.environments[environment]
            .running
            .as_ref()
            .expect("a batch is under way");
        let wish = running.wishes.contains(&key);
        let murky = running.murky;
        if running.successes.contains(&key) && batch.len() == 1 {
            return self.violate(
                Property::BoundedDuplicates,
                Some(item.event),
                "sent again after success".into(),
            );
        }
        let strategy = self.known[item.subscription].strategy;
        let retries = published_retries(strategy);
        if item.attempts > retries && !murky {
            let what = format!("retry {} of {retries} that are published", item.attempts);
            return self.violate(Property::RetryTimes, Some(item.event), what);
        }
        if running.tried.contains(&key) && batch.len() == 1 && item.attempts == batch[0].attempts {
            return self.violate(
                Property::RetryTimes,
                Some(item.event),
                "an attempt was not counted".into(),
            );
        }
        if item.attempts == 0
            || item.attempts > retries
            || batch.iter().any(|held| held.attempts == item.attempts)
        {
            // It waits, unattempted. Whether it ever ends is property 12.
            if item.attempts == 0 && batch.iter().all(|held| held.attempts > 0) {
                self.violate(
                    Property::RetryTimes,
                    Some(item.event),
                    "the count of attempts fell to 0".into(),
                );
            }
            return;
        }
        if !batch.iter().any(|held| held.attempts + 1 == item.attempts) {
            let what = format!(
                "attempt count {} follows on {:?}",
                item.attempts, batch[0].attempts
            );
            return self.violate(Property::RetryTimes, Some(item.event), what);
        }
        if murky && (10_000..=10_000 + ROUNDING).contains(&delay) {
            // A dead letter that could not be kept: it waits for the store, and is not attempted again.
            return;
        }
        let (shortest, longest) = published_gap(strategy, item.attempts);
        let longest = if wish {
            longest.max(LONGEST_WISH)
        } else {
            longest
        };
        // The gap begins with the failure; the rest of the batch may have taken a part of it, or all.
        let now = self.now_of(environment);
        let since = item.ended.map_or(Duration::ZERO, |ended| now.since(ended));
        let gap = delay + u64::try_from(since.as_millis()).expect("runs are short");
        if gap < shortest || delay > longest + ROUNDING {
            let what = format!(
                "retry {} of {strategy:?} after {gap} ms, published are {shortest} to {longest} ms",
                item.attempts
            );
            self.violate(Property::RetryTimes, Some(item.event), what);
        }
    }

    /// The time by a process's own clock.
    fn now_of(&self, environment: usize) -> Timestamp {
        let now = EPOCH + i64::try_from(self.clock.now).expect("runs are short");
        Timestamp::from_millis(now + self.environments[environment].skew)
    }

    /// A delivery that ends as a dead letter.
    pub(crate) fn check_letter(&mut self, environment: usize, delivery: &Delivery, reason: &str) {
        let Some(item) = self.item(delivery) else {
            return;
        };
        if self.environments[environment].stage != Stage::Deliver {
            return;
        }
        if reason.is_empty() {
            self.violate(
                Property::NoLoss,
                Some(item.event),
                "a dead letter without a reason".into(),
            );
        }
        let retries = published_retries(self.known[item.subscription].strategy);
        let last = delivery.history.last().map(|attempt| attempt.outcome.class);
        if last == Some(OutcomeClass::Success) {
            self.violate(
                Property::BoundedDuplicates,
                Some(item.event),
                "a dead letter after success".into(),
            );
        }
        let kept = self.now_of(environment).since(delivery.waiting_since());
        if reason.starts_with("outlived") && kept < RETENTION {
            let what = format!("given up after {kept:?}, a message is kept for a day");
            self.violate(Property::RetryTimes, Some(item.event), what);
        }
        // It would have been attempted within a quarter of an hour of the endpoint's return.
        let well = self.known[item.subscription].out_until != u64::MAX
            && self.clock.now > self.calm_at + BACK_AFTER;
        if reason.starts_with("outlived") && well {
            let what = "given up unattempted, long after its endpoint was well again".to_owned();
            self.violate(Property::Settles, Some(item.event), what);
        }
        let exhausted = reason.starts_with("retries exhausted");
        if exhausted && delivery.attempts != retries + 1 {
            let what = format!(
                "given up after {} attempts, published are {}",
                delivery.attempts,
                retries + 1
            );
            self.violate(Property::RetryTimes, Some(item.event), what);
        }
    }

    /// A record that a stage cannot read.
    pub(crate) fn check_refused(&mut self, environment: usize, stage: &str, body: &str) {
        let Some(running) = &self.environments[environment].running else {
            return;
        };
        let in_batch = running.batch.iter().any(|message| &*message.body == body);
        let right_stage = self.environments[environment].stage.as_str() == stage;
        if !in_batch || !right_stage {
            let what = format!(
                "a dead letter of stage {stage} whose body is no record's: {:.80}",
                body
            );
            self.violate(Property::PoisonStaysSmall, None, what);
        }
    }

    /// The body of a push; gives the event it speaks of.
    pub(crate) fn check_body(&mut self, subscription: usize, body: &str) -> Option<usize> {
        let rule = self.known[subscription].rule.clone();
        let message = message_of(body)?;
        // The same bytes as a push before: nothing to decode.
        let print = (subscription, fingerprint(&message));
        if let Some(&event) = self.bodies.get(&print) {
            return Some(event);
        }
        let event = decode(&message)
            .as_deref()
            .and_then(crate::read::event_number);
        let Some(number) = event else {
            let what = format!("a push of what is no event: {message:.80}");
            self.violate(Property::NoInvention, None, what);
            return None;
        };
        if let Err(why) = self.publishes(number, &rule, &message) {
            self.violate(Property::NoInvention, event, why);
            return event;
        }
        let fate = self.fate(number, subscription);
        if fate.body {
            let property = if fate.redriven {
                Property::FaithfulRedrive
            } else {
                Property::NoInvention
            };
            self.violate(
                property,
                event,
                "another attempt carries other bytes".into(),
            );
        } else {
            fate.body = true;
            self.bodies.insert(print, number);
        }
        event
    }

    /// A push begins.
    pub(crate) fn check_push(&mut self, environment: usize, event: usize, subscription: usize) {
        let batch = self.in_batch(environment, event, subscription);
        let retries = published_retries(self.known[subscription].strategy);
        if batch.is_empty() {
            self.violate(
                Property::NoInvention,
                Some(event),
                "a push of what is not in the batch".into(),
            );
        } else if batch.iter().all(|item| item.attempts > retries) {
            let what = format!(
                "attempt {} of {} that are published",
                batch[0].attempts + 1,
                retries + 1
            );
            self.violate(Property::RetryTimes, Some(event), what);
        } else if batch.iter().all(|item| item.hopeless) {
            let what = "an attempt after one that no retry would mend".to_owned();
            self.violate(Property::RetryTimes, Some(event), what);
        }
        if let Some(running) = &mut self.environments[environment].running {
            running.tried.insert((event, subscription));
        }
        self.totals.pushes += 1;
    }

    pub(crate) fn accept(&mut self, event: usize, subscription: usize) {
        self.note(&[event], || {
            format!("endpoint {subscription} takes event {event}")
        });
        self.fate(event, subscription).accepted += 1;
        self.totals.accepted += 1;
    }

    pub(crate) fn heard_success(&mut self, environment: usize, event: usize, subscription: usize) {
        if let Some(running) = &mut self.environments[environment].running {
            running.successes.insert((event, subscription));
        }
    }

    /// A batch is done, by the handler's own word.
    pub(crate) fn check_outcome(&mut self, environment: usize, outcome: &BatchOutcome) {
        let stage = self.environments[environment].stage;
        let version = self.environments[environment].version;
        let Some(running) = self.environments[environment].running.take() else {
            return;
        };
        let failed = |id: u64| {
            outcome
                .failed
                .iter()
                .any(|(name, _)| *name == format!("m{id}"))
        };
        for (name, _) in &outcome.failed {
            if !running
                .batch
                .iter()
                .any(|message| *name == format!("m{}", message.id))
            {
                self.violate(
                    Property::BatchIsolation,
                    None,
                    format!("{name} failed and was not in the batch"),
                );
            }
        }
        if !running.struck && !outcome.failed.is_empty() {
            let poison = running
                .batch
                .iter()
                .any(|message| matches!(*message.holds, Holds::Poison));
            let property = if poison {
                Property::PoisonStaysSmall
            } else {
                Property::BatchIsolation
            };
            self.violate(
                property,
                None,
                format!(
                    "nothing went wrong in {stage}, and yet failed: {:?}",
                    outcome.failed
                ),
            );
        }
        let all_failed = running.batch.iter().all(|message| failed(message.id));
        if stage == Stage::Match && !all_failed {
            let bound = self.version_at(running.started.saturating_sub(STALENESS));
            if version < bound {
                let what =
                    format!("judged by version {version}, {bound} was there thirty seconds before");
                self.violate(
                    Property::OneSnapshot,
                    running.batch[0].holds.events().first().copied(),
                    what,
                );
            }
        }
        for message in &running.batch {
            let carries = |message: &Message, &(event, subscription): &(usize, Option<usize>)| {
                match &*message.holds {
                    Holds::Events(events) => events.contains(&event),
                    Holds::Deliveries(items) => items.iter().any(|item| {
                        item.event == event && subscription.is_none_or(|to| to == item.subscription)
                    }),
                    Holds::Poison => false,
                }
            };
            let fails = failed(message.id);
            let must = running.refused.iter().any(|key| carries(message, key));
            // Of two copies in one batch either may have been the one.
            let alone = running.unsent.iter().any(|key| {
                carries(message, key)
                    && running
                        .batch
                        .iter()
                        .filter(|held| carries(held, key))
                        .count()
                        == 1
            });
            if alone && !fails {
                let what = format!(
                    "record m{} was let go although its message was not taken",
                    message.id
                );
                self.violate(
                    Property::BatchIsolation,
                    message.holds.events().first().copied(),
                    what,
                );
            }
            if !must && fails && !running.murky {
                let what = format!("record m{} failed for another's sake", message.id);
                self.violate(
                    Property::BatchIsolation,
                    message.holds.events().first().copied(),
                    what,
                );
            }
            if !fails {
                self.let_go(stage, version, message);
            }
        }
        self.environments[environment].running = Some(running);
    }

    /// A record is done: what it owes from now on.
    fn let_go(&mut self, stage: Stage, version: u64, message: &Message) {
        let Some(records) = self.at_version(version) else {
            return;
        };
        match (stage, &*message.holds) {
            (Stage::Match, Holds::Events(events)) => {
                let replay = self.replays.get(&message.id).cloned();
                for &event in events {
                    // A replay makes up for no event that was lost on its own way.
                    if replay.is_none() {
                        self.judged.insert(event);
                    }
                    let only = replay.as_ref().and_then(Option::as_deref);
                    let wanted: Vec<usize> = expected(&records, &self.events[event])
                        .iter()
                        .filter(|(rule, _)| only.is_none_or(|only| only == rule.name.as_str()))
                        .filter_map(|(_, held)| {
                            self.by_name
                                .get(&(held.topic.to_string(), held.name.to_string()))
                                .copied()
                        })
                        .collect();
                    for subscription in wanted {
                        self.fate(event, subscription).owed = true;
                    }
                }
            }
            (Stage::Deliver, Holds::Deliveries(items)) => {
                for item in items {
                    let known = &self.known[item.subscription];
                    let there = records.subscriptions.iter().any(|held| {
                        held.topic.as_str() == known.topic && held.name.as_str() == known.name
                    });
                    if !there && version >= item.version {
                        self.fate(item.event, item.subscription).cancelled = true;
                    }
                }
            }
            _ => {}
        }
    }
}

/// The resource in a published body; none when it is not what OSS publishes.
fn decode(message: &str) -> Option<String> {
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(message)
        .ok()?;
    let json: serde_json::Value = serde_json::from_slice(&decoded).ok()?;
    let oss = json.pointer("/events/0/oss")?;
    let bucket = oss.pointer("/bucket/name")?.as_str()?;
    let key = oss.pointer("/object/key")?.as_str()?;
    Some(format!("{bucket}/{key}"))
}

fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
