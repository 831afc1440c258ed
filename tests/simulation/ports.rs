//! The ports, each giving way before and after its effect: a handler can be killed at both points.

use crate::clockwork::Tick;
use crate::fault::Fault;
use crate::plant::Plant;
use crate::sqs::Holds;
use crate::world::{EPOCH, STALENESS, State, World};
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    AttemptLog, AttemptRecord, Change, Clock, CommitError, DeadLetterStore, OutgoingMessage,
    QueueError, QueueSender, Random, Records, RuleStore, Stage, StageSender, StoreError,
};
use carillon_core::topic::QueueName;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One environment's hold on the world.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) world: Arc<World>,
    pub(crate) environment: usize,
    pub(crate) stage: Stage,
}

struct Sleep {
    world: Arc<World>,
    until: u64,
    polled: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.lock();
        let due = state.clock.now >= self.until;
        if due && self.polled {
            return Poll::Ready(());
        }
        if due {
            context.waker().wake_by_ref();
        } else if !self.polled {
            state
                .clock
                .at(self.until, Tick::Wake(context.waker().clone()));
        }
        drop(state);
        self.polled = true;
        Poll::Pending
    }
}

impl Hand {
    pub(crate) fn sleep(&self, millis: u64) -> impl Future<Output = ()> + use<> {
        let until = self.world.lock().clock.now.saturating_add(millis);
        Sleep {
            world: self.world.clone(),
            until,
            polled: false,
        }
    }

    /// The way to a service and back; here an adapter may panic.
    pub(crate) async fn pause(&self) {
        let millis = {
            let mut state = self.world.lock();
            let millis = if state.rng.chance(2_000) {
                state.rng.between(1, 40)
            } else {
                0
            };
            if state.strikes_in(self.environment, Fault::Panicked) {
                drop(state);
                // Not `panic!`: the hook would print thousands of expected panics.
                std::panic::resume_unwind(Box::new("an adapter panics"));
            }
            millis
        };
        self.sleep(millis).await;
    }

    fn murky(&self, state: &mut State) {
        if let Some(running) = &mut state.environments[self.environment].running {
            running.murky = true;
        }
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        let state = self.world.lock();
        let now = i64::try_from(state.clock.now).expect("runs are short");
        Timestamp::from_millis(EPOCH + now + state.environments[self.environment].skew)
    }
}

impl Random for Hand {
    fn draw(&self) -> u64 {
        self.world.lock().rng.next()
    }
}

#[async_trait::async_trait]
impl RuleStore for Hand {
    async fn version(&self) -> Result<u64, StoreError> {
        self.pause().await;
        let answer = {
            let mut state = self.world.lock();
            if state.strikes_in(self.environment, Fault::StoreDown) {
                self.murky(&mut state);
                Err(StoreError("throttled".into()))
            } else {
                let newest = state.newest().version;
                let first = *state.environments[self.environment]
                    .first_version
                    .get_or_insert(newest);
                if state.planted(Plant::ForgetsVersion) {
                    Ok(first)
                } else if state.strikes_in(self.environment, Fault::StoreStale) {
                    Ok(stale(&mut state))
                } else {
                    Ok(newest)
                }
            }
        };
        self.pause().await;
        answer
    }

    async fn load(&self) -> Result<Records, StoreError> {
        self.pause().await;
        let answer = {
            let mut state = self.world.lock();
            if state.strikes_in(self.environment, Fault::StoreDown) {
                self.murky(&mut state);
                Err(StoreError("throttled".into()))
            } else {
                let version = match state.strikes_in(self.environment, Fault::StoreStale) {
                    true => stale(&mut state),
                    false => state.newest().version,
                };
                let records = state.at_version(version).expect("every version is kept");
                let environment = &mut state.environments[self.environment];
                environment.version = environment.version.max(version);
                Ok(crate::planted::spoil_records((*records).clone(), &state))
            }
        };
        self.pause().await;
        answer
    }

    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        unreachable!("the stages never change rules")
    }
}

fn stale(state: &mut State) -> u64 {
    let ago = state.rng.between(0, STALENESS);
    state.version_at(state.clock.now.saturating_sub(ago))
}

#[async_trait::async_trait]
impl StageSender for Hand {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        self.pause().await;
        let mut results = {
            let mut state = self.world.lock();
            let results: Vec<_> = messages
                .into_iter()
                .enumerate()
                .map(|(n, message)| self.send_one(&mut state, stage, n, message))
                .collect();
            results
        };
        if self.world.lock().planted(Plant::MisordersResults) && results.len() > 1 {
            results.rotate_right(1);
        }
        self.pause().await;
        results
    }
}

impl Hand {
    fn send_one(
        &self,
        state: &mut State,
        stage: Stage,
        number: usize,
        message: OutgoingMessage,
    ) -> Result<(), QueueError> {
        let environment = self.environment;
        let down = || QueueError::Unavailable("throttled".into());
        let true_holds = state.holds(stage, &message.body);
        let message = crate::planted::spoil_message(message, &true_holds, self.stage, state);
        if message.body.len() > carillon_core::envelope::MAX_MESSAGE {
            return Err(QueueError::TooLarge {
                queue: stage.to_string(),
                len: message.body.len(),
                limit: 65_536,
            });
        }
        let holds = Arc::new(state.holds(stage, &message.body));
        let delay = u64::try_from(message.delay.as_millis()).unwrap_or(u64::MAX);
        state.check_sent(environment, &holds, delay);
        let keys: Vec<(usize, Option<usize>)> = match &*holds {
            Holds::Events(events) => events.iter().map(|&event| (event, None)).collect(),
            Holds::Deliveries(items) => items
                .iter()
                .map(|item| (item.event, Some(item.subscription)))
                .collect(),
            Holds::Poison => Vec::new(),
        };
        if state.planted(Plant::SendsFirstTen) && number >= 10
            || state.planted(Plant::OverlongGapForgotten) && delay > 300_000
        {
            return Ok(());
        }
        let kept = self.stage != Stage::Ingest || state.keep_pack(environment, &message.body);
        if !kept || state.strikes_in(environment, Fault::SendThrottled) {
            if let Some(running) = &mut state.environments[environment].running {
                running.refused.extend(keys.iter().copied());
                running.unsent.extend(keys);
            }
            state.note(&holds.events(), || {
                format!("env {environment}: {stage} queue did not take {holds:?}")
            });
            return if state.planted(Plant::SwallowsPartialFailure) {
                Ok(())
            } else {
                Err(down())
            };
        }
        state.note(&holds.events(), || {
            format!(
                "env {environment} ({}): to the {stage} queue, delay {delay} ms: {holds:?}",
                self.stage
            )
        });
        if let (Stage::Match, Holds::Deliveries(items)) = (self.stage, &*holds) {
            for item in items {
                state.fate(item.event, item.subscription).copies += 1;
            }
        }
        if self.stage == Stage::Ingest {
            state.went_on.extend(holds.events());
        }
        let body: Arc<str> = message.body.into();
        if state.planted(Plant::DoublesRetries) && self.stage == Stage::Deliver {
            state.enqueue(stage, body.clone(), holds.clone(), delay);
        }
        state.enqueue(stage, body, holds.clone(), delay);
        if state.strikes_in(environment, Fault::SendAnswerLost) {
            state.excuse(&holds, stage);
            if let Some(running) = &mut state.environments[environment].running {
                running.refused.extend(keys.iter().copied());
                running.unsent.extend(keys);
            }
            return Err(down());
        }
        // A second try that was taken makes up for the first.
        if let Some(running) = &mut state.environments[environment].running {
            for key in keys {
                running.unsent.remove(&key);
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for Hand {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        self.pause().await;
        let answer = {
            let mut state = self.world.lock();
            if state.strikes_in(self.environment, Fault::LettersDown) {
                self.murky(&mut state);
                Err(StoreError("throttled".into()))
            } else {
                for letter in letters {
                    self.keep(&mut state, letter);
                }
                if state.strikes_in(self.environment, Fault::LettersAnswerLost) {
                    self.murky(&mut state);
                    Err(StoreError("connection reset".into()))
                } else {
                    Ok(())
                }
            }
        };
        self.pause().await;
        answer
    }
}

impl Hand {
    fn keep(&self, state: &mut State, mut letter: DeadLetter) {
        let holds = match &mut letter.content {
            DeadLetterContent::Delivery(delivery) => {
                let holds = Holds::Deliveries(state.item(delivery).into_iter().collect());
                state.check_letter(self.environment, delivery, &letter.reason);
                holds
            }
            DeadLetterContent::Record { stage, body } => {
                if state.planted(Plant::CutsLetters) {
                    body.truncate(64);
                }
                state.check_refused(self.environment, stage, body);
                Holds::Poison
            }
        };
        state.note(&holds.events(), || {
            format!("dead letter: {}", letter.reason)
        });
        if !state.planted(Plant::DropsLetters) {
            let id = state.id();
            state.letters.insert(id, (letter, Arc::new(holds)));
        }
    }
}

#[async_trait::async_trait]
impl AttemptLog for Hand {
    async fn record(&self, _: Vec<AttemptRecord>) -> Result<(), StoreError> {
        self.pause().await;
        let down = self
            .world
            .lock()
            .strikes_in(self.environment, Fault::LogDown);
        self.pause().await;
        if down {
            Err(StoreError("throttled".into()))
        } else {
            Ok(())
        }
    }
}

#[async_trait::async_trait]
impl QueueSender for Hand {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        self.pause().await;
        let mut taken = Vec::new();
        let results = {
            let mut state = self.world.lock();
            let gone = state.strikes_in(self.environment, Fault::UserQueueGone);
            messages
                .into_iter()
                .map(|message| self.take(&mut state, queue, gone, &message.body, &mut taken))
                .collect()
        };
        self.pause().await;
        let mut state = self.world.lock();
        for (event, subscription) in taken {
            state.fate(event, subscription).excuses -= 1;
            state.heard_success(self.environment, event, subscription);
        }
        results
    }
}

impl Hand {
    /// One message; `taken` lists those whose answer is still to be heard.
    fn take(
        &self,
        state: &mut State,
        queue: &QueueName,
        gone: bool,
        body: &str,
        taken: &mut Vec<(usize, usize)>,
    ) -> Result<String, QueueError> {
        let down = || QueueError::Unavailable("throttled".into());
        let number = queue
            .as_str()
            .get(1..)
            .and_then(|digits| digits.parse().ok());
        let Some(subscription) = number.filter(|number| *number < state.known.len()) else {
            return Err(QueueError::NotExist(queue.to_string()));
        };
        let event = state.check_body(subscription, body);
        if queue.as_str().starts_with('D') {
            // A dead-letter queue of the user's: a copy of what the system keeps anyway.
            return Ok("0".into());
        }
        let Some(event) = event else {
            return Ok("0".into());
        };
        state.check_push(self.environment, event, subscription);
        let out = state.clock.now < state.known[subscription].out_until
            && state.clock.now < state.calm_at;
        if gone || out && state.rng.chance(5_000) {
            state.fault_in(self.environment);
            return Err(QueueError::NotExist(queue.to_string()));
        }
        if out || state.strikes_in(self.environment, Fault::UserQueueDown) {
            state.fault_in(self.environment);
            return Err(down());
        }
        state.accept(event, subscription);
        state.fate(event, subscription).excuses += 1;
        if state.strikes_in(self.environment, Fault::UserQueueAnswerLost) {
            return Err(down());
        }
        taken.push((event, subscription));
        Ok("0".into())
    }
}
