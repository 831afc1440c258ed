//! Back to the deliver queue: retries, and what has to wait.

use super::passed_on::Chain;
use super::{Settling, Waiting};
use crate::batch::Place;
use carillon_core::delivery::{DeadLetter, DeadLetterContent, Delivery};
use carillon_core::envelope::{Packer, TooLarge};
use carillon_core::ports::{OutgoingMessage, Stage};
use carillon_core::topic::SubscriptionName;
use std::time::Duration;

/// Longest delay of a message (SQS). Every gap of both strategies is shorter; only a `Retry-After` comes near it.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// A message, and what of the batch is in it: the place of each delivery, which delivery it is, and its number.
struct Outgoing {
    message: OutgoingMessage,
    holds: Vec<(Place, Chain, u32)>,
}

impl Settling<'_> {
    /// Retries travel alone, each with its own delay; what only waits travels packed, as it came.
    pub(super) async fn send_again(&mut self) {
        let mut messages: Vec<Outgoing> = Vec::new();
        let mut hopeless: Vec<(Place, Delivery, TooLarge)> = Vec::new();
        let now = self.ports.clock.now();
        for (place, mut delivery, due) in std::mem::take(&mut self.retries) {
            let held = self.numbered(place, &mut delivery);
            match pack_alone(&mut delivery) {
                Ok(body) => messages.push(Outgoing {
                    message: self.message(body, delivery.subscription.as_str(), due.since(now)),
                    holds: vec![held],
                }),
                Err(error) => hopeless.push((place, delivery, error)),
            }
        }
        for ((_, name), waiting) in std::mem::take(&mut self.waits) {
            self.pack_waiting(&name, waiting, &mut messages, &mut hopeless);
        }
        if !hopeless.is_empty() {
            self.keep_too_large(hopeless).await;
        }
        // Twice: a queue that failed once in a moment of trouble takes it the second time, and nothing is delivered
        // twice on its account.
        for round in 0..2 {
            if messages.is_empty() {
                return;
            }
            let outgoing = messages.iter().map(|held| held.message.clone()).collect();
            let mut results = self
                .ports
                .stages
                .send(Stage::Deliver, outgoing)
                .await
                .into_iter();
            let mut left = Vec::new();
            for held in messages {
                match results.next() {
                    Some(Ok(())) => {
                        for (place, chain, resends) in held.holds {
                            self.ports.memory.passed_on.resent(chain, resends);
                            self.handled.push(place);
                        }
                    }
                    other if round == 0 => {
                        tracing::warn!(answer = ?other, "a re-send was not taken; once more");
                        left.push(held);
                    }
                    other => {
                        let reason = match other {
                            Some(Err(error)) => error.to_string(),
                            _ => "the queue gave no answer for a re-sent message".to_owned(),
                        };
                        for (place, ..) in held.holds {
                            self.fail(place.record, reason.clone());
                        }
                    }
                }
            }
            messages = left;
        }
    }

    /// What waits for about as long travels in one message, which comes a little later than asked for: were all to come
    /// at one moment, one would probe and the others go round once more.
    fn pack_waiting(
        &self,
        name: &SubscriptionName,
        mut waiting: Vec<Waiting>,
        messages: &mut Vec<Outgoing>,
        hopeless: &mut Vec<(Place, Delivery, TooLarge)>,
    ) {
        waiting.sort_by_key(|held| (self.rounded(held.delay), held.place));
        let mut rest = waiting.into_iter().peekable();
        while let Some(first) = rest.peek() {
            let (why, delay) = (first.why, first.delay);
            let rounded = self.rounded(delay);
            let mut packer = Packer::new();
            let mut holds: Vec<Vec<(Place, Chain, u32)>> = Vec::new();
            while let Some(held) = rest.next_if(|other| self.rounded(other.delay) == rounded) {
                let mut delivery = held.delivery;
                let numbered = self.numbered(held.place, &mut delivery);
                match packer.push(&delivery) {
                    Ok(message) => {
                        holds.resize_with(holds.len().max(message + 1), Vec::new);
                        holds[message].push(numbered);
                    }
                    Err(error) => hopeless.push((held.place, delivery, error)),
                }
            }
            for (body, holds) in packer.finish().into_iter().zip(holds) {
                let delay = why.spread(delay, self.ports.random.draw());
                let message = self.message(body, name.as_str(), delay);
                messages.push(Outgoing { message, holds });
            }
        }
    }

    /// Counts the re-send on the delivery itself, and says what is to be remembered once it is durable.
    fn numbered(&self, place: Place, delivery: &mut Delivery) -> (Place, Chain, u32) {
        delivery.resends = delivery.resends.saturating_add(1);
        let chain = self.ports.memory.passed_on.chain(delivery);
        (place, chain, delivery.resends)
    }

    /// What no message can hold any more is a dead letter: its attempts were told already.
    async fn keep_too_large(&mut self, hopeless: Vec<(Place, Delivery, TooLarge)>) {
        let at = self.ports.clock.now();
        let (places, letters): (Vec<Place>, Vec<DeadLetter>) = hopeless
            .into_iter()
            .map(|(place, delivery, error)| {
                let content = DeadLetterContent::Delivery(Box::new(delivery));
                (
                    place,
                    DeadLetter {
                        at,
                        reason: error.to_string(),
                        content,
                    },
                )
            })
            .unzip();
        match self.ports.dead_letters.put(letters).await {
            Ok(()) => self.handled.extend(places),
            Err(error) => {
                for place in places {
                    self.fail(place.record, error.to_string());
                }
            }
        }
    }

    fn message(&self, body: String, group: &str, delay: Duration) -> OutgoingMessage {
        OutgoingMessage {
            delay: self.rounded(delay),
            group: Some(group.to_owned()),
            ..OutgoingMessage::new(body)
        }
    }

    /// Never shorter than asked for, but within what a queue can hold.
    fn rounded(&self, delay: Duration) -> Duration {
        let delay = delay.min(LONGEST_DELAY);
        if self.ports.settings.whole_second_delays && delay.subsec_nanos() > 0 {
            Duration::from_secs(delay.as_secs() + 1)
        } else {
            delay
        }
    }
}

/// Packs a delivery by itself. A history that has outgrown the message gives way, details first: the attempt log has it.
fn pack_alone(delivery: &mut Delivery) -> Result<String, TooLarge> {
    let pack = |delivery: &Delivery| {
        let mut packer = Packer::new();
        packer
            .push(delivery)
            .map(|_| packer.finish().pop().unwrap_or_default())
    };
    if let Ok(body) = pack(delivery) {
        return Ok(body);
    }
    for attempt in &mut delivery.history {
        attempt.outcome.detail.clear();
    }
    if let Ok(body) = pack(delivery) {
        return Ok(body);
    }
    delivery.history.clear();
    pack(delivery)
}
