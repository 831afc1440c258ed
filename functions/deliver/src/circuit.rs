//! What this process knows of each subscription's health: push backoff, fair share, rate limit. Deterministic: time
//! comes in as an argument.
//!
//! ```text
//!            success                     two failed rounds, or a slow one
//!   ┌─────────────────────── closed ──────────────────────────────┐
//!   │                          ▲                                  ▼
//!   │                          │ success                  open for 500 ms, 1 s, 2 s ... 60 s
//!   └──────────────────────────┴───────── half open ◄─────────────┘ │
//!                                        one probe ─────────────────┘ failure
//! ```
//!
//! # Exact rules
//!
//! * Failures count by *round*: of the pushes that were under way together, one failure counts, the others say nothing
//!   new.
//! * The first failed round costs nothing, the second 500 ms, each one after it twice as long, 60 s at most (HELP: Push
//!   backoff policy). A round that failed slowly (a second or more) is not given the free one: it took worker time.
//! * While the circuit is open nothing is pushed; after it, one push at a time until one succeeds.
//! * An operator who sends a delivery again says that the endpoint is well. When that is newer than every push that
//!   failed, it need not wait until the circuit is half open: one push goes at once, as the probe. When it fails, what was
//!   said before it began is no news any more.
//! * An HTTP endpoint that has not yet answered well has at most [`UNPROVEN`] pushes under way in this process; one that
//!   failed twice in a row has half as many after each failed round.
//! * A rate limit lets a second's worth through at once, then one by one; what is above it is given times that keep to it.

use carillon_core::delivery::OutcomeClass;
use carillon_core::event::Timestamp;
use carillon_core::topic::{Subscription, SubscriptionName, Target, TopicName};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// First pause (HELP: Push backoff policy).
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause (HELP: Push backoff policy).
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most pushes under way, in this process, to a subscription that has not yet answered well.
pub const UNPROVEN: u32 = 4;
/// A failure that took this long took worker time.
const SLOW: Duration = Duration::from_secs(1);
/// Longest delay that is ever given out: the longest of an SQS message.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// Subscriptions remembered at most; beyond it the healthy and idle ones are forgotten.
const REMEMBERED: usize = 10_000;

/// Whether a push may go out now.
#[derive(Debug)]
pub enum Admission {
    /// It may; report the end of it on the permit.
    Go(Permit),
    /// Not before others of this subscription have ended.
    Busy,
    /// The endpoint is left alone; its next probe is due in so long.
    Wait(Duration),
    /// It is above its rate limit; this is the time given to it.
    Paced(Duration),
}

type Key = (TopicName, SubscriptionName);

/// All circuits of a process.
#[derive(Debug, Default)]
pub struct Circuits {
    lanes: Arc<Mutex<HashMap<Key, Lane>>>,
}

#[derive(Debug)]
struct Lane {
    /// Another target starts anew.
    target: Target,
    /// Failed rounds since the last success.
    failures: u32,
    /// Moves with every failed round; a permit of an older one says nothing new.
    round: u64,
    open_until: Option<Timestamp>,
    /// When the newest push that failed began; what an operator said before that is refuted.
    refuted: Option<Timestamp>,
    probing: bool,
    proven: bool,
    limit: u32,
    under_way: u32,
    /// When the next push keeps to the rate, and the last time given out to one that was above it; microseconds.
    next_slot: i64,
    last_given: i64,
}

impl Lane {
    fn new(target: Target) -> Self {
        Lane {
            target,
            failures: 0,
            round: 0,
            open_until: None,
            refuted: None,
            probing: false,
            proven: false,
            limit: UNPROVEN,
            under_way: 0,
            next_slot: i64::MIN,
            last_given: i64::MIN,
        }
    }

    fn pause(&self) -> Duration {
        match self.failures {
            0 | 1 => Duration::ZERO,
            n => FIRST_PAUSE
                .saturating_mul(1 << (n - 2).min(16))
                .min(LONGEST_PAUSE),
        }
    }

    /// A queue takes all that is sent to it in one call: only HTTP pushes hold worker time.
    fn is_full(&self) -> bool {
        let http = matches!(self.target, Target::Http(_));
        http && !self.proven && self.under_way >= self.limit
    }

    fn idle(&self) -> bool {
        self.under_way == 0 && self.failures == 0
    }

    /// None when the push keeps to the rate.
    fn above_rate(&mut self, per_second: u32, now: Timestamp) -> Option<Duration> {
        let now = now.as_millis().saturating_mul(1_000);
        let step = 1_000_000 / i64::from(per_second.max(1));
        let slot = self.next_slot.max(now);
        // One second's worth may go at once.
        if slot.saturating_add(step) - now <= 1_000_000.max(step) {
            self.next_slot = slot + step;
            return None;
        }
        self.last_given = self.last_given.max(slot).saturating_add(step);
        let wait = u64::try_from(self.last_given - now).unwrap_or(0);
        Some(Duration::from_micros(wait).min(LONGEST_DELAY))
    }
}

impl Circuits {
    fn lock(lanes: &Mutex<HashMap<Key, Lane>>) -> MutexGuard<'_, HashMap<Key, Lane>> {
        lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for one push. `redriven`: when an operator last sent something of this subscription again, as far as its
    /// deliveries tell.
    #[must_use]
    pub fn admit(
        &self,
        subscription: &Subscription,
        redriven: Option<Timestamp>,
        now: Timestamp,
    ) -> Admission {
        let mut lanes = Self::lock(&self.lanes);
        let key = (subscription.topic.clone(), subscription.name.clone());
        if lanes.len() >= REMEMBERED && !lanes.contains_key(&key) {
            lanes.retain(|_, lane| !lane.idle());
        }
        let lane = lanes
            .entry(key.clone())
            .or_insert_with(|| Lane::new(subscription.target.clone()));
        if lane.target != subscription.target {
            *lane = Lane {
                under_way: lane.under_way,
                ..Lane::new(subscription.target.clone())
            };
        }
        if let Some(until) = lane.open_until {
            let news = redriven > lane.refuted;
            if now < until && !news {
                return Admission::Wait(until.since(now));
            }
            if lane.probing {
                return if news {
                    Admission::Busy
                } else {
                    Admission::Wait(lane.pause().max(FIRST_PAUSE))
                };
            }
        } else if lane.is_full() {
            return Admission::Busy;
        }
        if let Some(wait) = subscription
            .max_per_second
            .and_then(|rate| lane.above_rate(rate, now))
        {
            return Admission::Paced(wait);
        }
        lane.probing = lane.open_until.is_some();
        lane.under_way += 1;
        Admission::Go(Permit {
            lanes: self.lanes.clone(),
            key,
            round: lane.round,
            probe: lane.probing,
            since: now,
            // By the operator's clock, which need not be ours.
            tests: redriven.max(Some(now)),
            ended: false,
        })
    }
}

/// A push that may go out. Dropped without a word, it leaves no trace: its handler was stopped.
#[derive(Debug)]
pub struct Permit {
    lanes: Arc<Mutex<HashMap<Key, Lane>>>,
    key: Key,
    round: u64,
    probe: bool,
    since: Timestamp,
    /// Its failure refutes what was said up to then.
    tests: Option<Timestamp>,
    ended: bool,
}

impl Permit {
    /// Reports how the push ended. `wish` is the endpoint's `Retry-After`: the subscription as a whole is left alone for
    /// that long, up to the longest pause.
    pub fn end(mut self, class: OutcomeClass, wish: Option<Duration>, now: Timestamp) {
        self.ended = true;
        let mut lanes = Circuits::lock(&self.lanes);
        let Some(lane) = lanes.get_mut(&self.key) else {
            return;
        };
        Self::leave(lane, self.probe);
        match class {
            OutcomeClass::Success => {
                lane.failures = 0;
                lane.open_until = None;
                lane.proven = true;
                lane.limit = (lane.limit * 2).min(64);
            }
            // Whoever refuses a message is alive.
            OutcomeClass::Hopeless => {
                lane.failures = 0;
                lane.open_until = None;
            }
            OutcomeClass::Retry => {
                lane.refuted = lane.refuted.max(self.tests);
                if self.round != lane.round {
                    return;
                }
                lane.round += 1;
                lane.failures = lane.failures.saturating_add(1);
                if lane.failures == 1 && now.since(self.since) >= SLOW {
                    lane.failures = 2;
                }
                // One failure among successes says little; two in a row are the beginning of trouble.
                if lane.failures > 1 {
                    lane.proven = false;
                    lane.limit = (lane.limit / 2).clamp(1, UNPROVEN);
                }
                let pause = lane
                    .pause()
                    .max(wish.unwrap_or_default().min(LONGEST_PAUSE));
                lane.open_until = (pause > Duration::ZERO).then(|| now.plus(pause));
            }
        }
    }

    fn leave(lane: &mut Lane, probe: bool) {
        lane.under_way = lane.under_way.saturating_sub(1);
        lane.probing &= !probe;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.ended {
            let mut lanes = Circuits::lock(&self.lanes);
            if let Some(lane) = lanes.get_mut(&self.key) {
                Self::leave(lane, self.probe);
            }
        }
    }
}
