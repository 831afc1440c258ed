//! What follows an attempt is made durable here: re-sends, dead letters, the attempt log. Only then is a record done.

mod memory;
mod passed_on;
mod patience;
mod resend;

pub(crate) use memory::DoneBefore;
pub(crate) use passed_on::PassedOn;
pub(crate) use patience::Wait;

use crate::Ports;
use crate::batch::{Job, Place};
use carillon_core::delivery::{
    Attempt, DeadLetter, DeadLetterContent, DeadLetterReason, Delivery, Outcome, OutcomeClass,
};
use carillon_core::event::Timestamp;
use carillon_core::ports::{AttemptRecord, BatchOutcome, OutgoingMessage, QueueRecord, Stage};
use carillon_core::push::{Push, body};
use carillon_core::topic::{QueueName, Subscription, SubscriptionName, TopicName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A message of a topic is kept for a day (MNS limits); what waits longer for an endpoint to come back is dead.
const RETENTION: Duration = Duration::from_secs(86_400);
/// A dead letter that could not be kept is tried again after this long.
const DEAD_LETTER_AGAIN: Duration = Duration::from_secs(10);

/// What became of a delivery.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Accepted by its endpoint.
    Delivered,
    /// Attempted, and to be attempted again after this long.
    Retry(Duration),
    /// Not attempted, for this reason; to be looked at again later.
    Wait(Wait),
    /// Attempted for the last time.
    Dead(DeadLetterReason),
    /// Nobody wants it any more; the text says why.
    Cancelled(String),
}

/// Collects what became of a batch, then makes it durable in as few calls as there are kinds.
pub(crate) struct Settling<'a> {
    ports: &'a Ports,
    batch: &'a [QueueRecord],
    failed: BTreeMap<usize, String>,
    /// Places of which nothing is left to do, in case their record has to come again for another's sake.
    handled: Vec<Place>,
    log: Vec<AttemptRecord>,
    /// With the time at which each is due: a gap is counted from the failure, however long the rest of the batch takes.
    retries: Vec<(Place, Delivery, Timestamp)>,
    waits: BTreeMap<(TopicName, SubscriptionName), Vec<Waiting>>,
    dead: Vec<Dead>,
    refused: Vec<(usize, DeadLetter)>,
}

/// A delivery that waits, why, and for how long.
struct Waiting {
    place: Place,
    delivery: Delivery,
    why: Wait,
    delay: Duration,
}

struct Dead {
    place: Place,
    delivery: Delivery,
    reason: String,
    /// The subscription's own dead-letter queue, and what it is sent.
    queue: Option<(QueueName, String)>,
    at: Timestamp,
}

impl<'a> Settling<'a> {
    pub(crate) fn new(ports: &'a Ports, batch: &'a [QueueRecord]) -> Self {
        Settling {
            ports,
            batch,
            failed: BTreeMap::new(),
            handled: Vec::new(),
            log: Vec::new(),
            retries: Vec::new(),
            waits: BTreeMap::new(),
            dead: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The record must come again.
    pub(crate) fn fail(&mut self, record: usize, reason: String) {
        self.failed.entry(record).or_insert(reason);
    }

    /// The record cannot be read, and coming again would not mend it.
    pub(crate) fn refuse(&mut self, record: usize, reason: String, now: Timestamp) {
        tracing::warn!(reason, "record refused");
        let body = self.batch[record].body.clone();
        let stage = Stage::Deliver.as_str().to_owned();
        self.refused.push((
            record,
            DeadLetter {
                at: now,
                reason,
                content: DeadLetterContent::Record { stage, body },
            },
        ));
    }

    /// A copy of what this process has passed on or delivered already: nothing is left to do for it.
    pub(crate) fn drop_copy(&mut self, place: Place, delivery: &Delivery) {
        tracing::debug!(
            message_id = %delivery.notification.message_id,
            subscription = %delivery.subscription,
            resends = delivery.resends,
            "a copy of a delivery that was passed on already is let go"
        );
        self.handled.push(place);
    }

    /// Takes down what became of a delivery.
    pub(crate) fn settle(
        &mut self,
        job: Job,
        subscription: Option<&Arc<Subscription>>,
        fate: Fate,
        now: Timestamp,
    ) {
        let Job { place, delivery } = job;
        let attempted = matches!(fate, Fate::Delivered | Fate::Retry(_) | Fate::Dead(_));
        if let Some(attempt) = delivery.history.last().filter(|_| attempted) {
            self.log_attempt(&delivery, attempt.clone());
        }
        match fate {
            Fate::Delivered => {
                self.ports.memory.passed_on.delivered(&delivery);
                self.handled.push(place);
            }
            Fate::Retry(gap) => self.retries.push((place, delivery, now.plus(gap))),
            Fate::Wait(why) => self.wait(place, delivery, subscription, why, now),
            Fate::Dead(reason) => self.die(place, delivery, subscription, &reason, now),
            Fate::Cancelled(why) => {
                tracing::info!(message_id = %delivery.notification.message_id, why, "delivery cancelled");
                let outcome = Outcome {
                    class: OutcomeClass::Hopeless,
                    status: None,
                    detail: why,
                    retry_after: None,
                };
                self.log_attempt(
                    &delivery,
                    Attempt {
                        at: now,
                        took_ms: 0,
                        outcome,
                    },
                );
                self.handled.push(place);
            }
        }
    }

    fn log_attempt(&mut self, delivery: &Delivery, attempt: Attempt) {
        let notification = &delivery.notification;
        if attempt.outcome.class == OutcomeClass::Success {
            // By message, not by draw: all attempts of one message are in the log, or their success is not.
            let share = u128::from(self.ports.settings.log_one_success_in);
            let id = u128::from_str_radix(&notification.message_id.to_string(), 16).unwrap_or(0);
            if share == 0 || !id.is_multiple_of(share) {
                return;
            }
        }
        self.log.push(AttemptRecord {
            message_id: notification.message_id,
            product: notification.product.clone(),
            rule: notification.rule.clone(),
            topic: delivery.topic.clone(),
            subscription: delivery.subscription.clone(),
            number: delivery.attempts,
            attempt,
        });
    }

    fn wait(
        &mut self,
        place: Place,
        delivery: Delivery,
        subscription: Option<&Arc<Subscription>>,
        why: Wait,
        now: Timestamp,
    ) {
        if now.since(delivery.waiting_since()) >= RETENTION {
            self.die(
                place,
                delivery,
                subscription,
                &DeadLetterReason::Expired,
                now,
            );
            return;
        }
        let lane = (delivery.topic.clone(), delivery.subscription.clone());
        let delay = why.delay(delivery.waiting_since(), now);
        self.waits.entry(lane).or_default().push(Waiting {
            place,
            delivery,
            why,
            delay,
        });
    }

    fn die(
        &mut self,
        place: Place,
        delivery: Delivery,
        subscription: Option<&Arc<Subscription>>,
        reason: &DeadLetterReason,
        now: Timestamp,
    ) {
        let reason = explain(&delivery, reason);
        tracing::warn!(
            message_id = %delivery.notification.message_id,
            topic = %delivery.topic,
            subscription = %delivery.subscription,
            reason,
            "dead letter"
        );
        let queue = subscription.and_then(|subscription| {
            let queue = subscription.dead_letter_queue.clone()?;
            let push = Push {
                notification: &delivery.notification,
                subscription,
                account: &self.ports.settings.account,
            };
            Some((queue, body::render(&push)))
        });
        self.dead.push(Dead {
            place,
            delivery,
            reason,
            queue,
            at: now,
        });
    }

    /// Makes everything durable, and names the records that must come again.
    pub(crate) async fn finish(mut self) -> BatchOutcome {
        self.keep_dead_letters().await;
        self.send_again().await;
        self.write_log().await;
        for (&record, reason) in &self.failed {
            tracing::error!(record = self.batch[record].id, reason, "record comes again");
        }
        self.remember();
        let batch = self.batch;
        BatchOutcome {
            failed: self
                .failed
                .into_iter()
                .map(|(record, reason)| (batch[record].id.clone(), reason))
                .collect(),
        }
    }

    async fn keep_dead_letters(&mut self) {
        let mut dead = std::mem::take(&mut self.dead);
        let refused = std::mem::take(&mut self.refused);
        if dead.is_empty() && refused.is_empty() {
            return;
        }
        self.send_to_dead_letter_queues(&mut dead).await;
        let mut letters: Vec<DeadLetter> =
            refused.iter().map(|(_, letter)| letter.clone()).collect();
        letters.extend(dead.iter().map(|dead| DeadLetter {
            at: dead.at,
            reason: dead.reason.clone(),
            content: DeadLetterContent::Delivery(Box::new(dead.delivery.clone())),
        }));
        match self.ports.dead_letters.put(letters).await {
            Ok(()) => self.handled.extend(dead.into_iter().map(|dead| dead.place)),
            Err(error) => {
                for (record, _) in refused {
                    self.fail(record, error.to_string());
                }
                // Back to the queue by itself, so that its record need not come again; it carries its attempts and is
                // not attempted once more.
                let due = self.ports.clock.now().plus(DEAD_LETTER_AGAIN);
                let again = dead
                    .into_iter()
                    .map(|dead| (dead.place, dead.delivery, due));
                self.retries.extend(again);
            }
        }
    }

    /// The subscriptions' own queues. The system keeps the letter in any case, so a queue that does not take it is no
    /// loss, and the letter says so.
    async fn send_to_dead_letter_queues(&self, dead: &mut [Dead]) {
        let mut by_queue: BTreeMap<QueueName, Vec<usize>> = BTreeMap::new();
        for (index, dead) in dead.iter().enumerate() {
            if let Some((queue, _)) = &dead.queue {
                by_queue.entry(queue.clone()).or_default().push(index);
            }
        }
        for (queue, indices) in by_queue {
            let messages = indices
                .iter()
                .filter_map(|&index| dead[index].queue.take())
                .map(|(_, body)| OutgoingMessage::new(body))
                .collect();
            let results = self.ports.queues.send(&queue, messages).await;
            for (index, result) in indices.into_iter().zip(results) {
                if let Err(error) = result {
                    tracing::warn!(%queue, %error, "the subscription's dead-letter queue did not take a letter");
                    dead[index].reason.push_str(&format!(
                        "; its dead-letter queue {queue} did not take it: {error}"
                    ));
                }
            }
        }
    }

    async fn write_log(&mut self) {
        let log = std::mem::take(&mut self.log);
        if !log.is_empty()
            && let Err(error) = self.ports.attempts.record(log).await
        {
            tracing::warn!(%error, "attempts are missing from the log; the deliveries themselves are not touched");
        }
    }

    fn remember(&mut self) {
        let failed: BTreeSet<usize> = self.failed.keys().copied().collect();
        let memory = &self.ports.memory.done;
        for (record, queued) in self.batch.iter().enumerate() {
            if failed.contains(&record) {
                let done = self.handled.iter().filter(|place| place.record == record);
                memory.remember(&queued.id, done.map(|place| place.item));
            } else {
                memory.forget(&queued.id);
            }
        }
    }
}

/// Why a delivery died, for a person.
fn explain(delivery: &Delivery, reason: &DeadLetterReason) -> String {
    let last = delivery.history.last().map(|attempt| {
        let outcome = &attempt.outcome;
        match outcome.status {
            Some(status) if outcome.detail.is_empty() => format!("the endpoint answered {status}"),
            Some(status) => format!("the endpoint answered {status}: {}", outcome.detail),
            None => outcome.detail.clone(),
        }
    });
    let last = last.unwrap_or_else(|| "no attempt was made".to_owned());
    match reason {
        DeadLetterReason::RetriesExhausted => {
            format!(
                "retries exhausted after {} attempts; last: {last}",
                delivery.attempts
            )
        }
        DeadLetterReason::Hopeless => format!("no retry would mend this: {last}"),
        DeadLetterReason::Expired => {
            format!(
                "outlived the topic's retention of one day while its endpoint was failing; last: {last}"
            )
        }
    }
}
