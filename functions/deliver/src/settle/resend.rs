//! Back to the deliver queue: retries, and what has to wait.

use super::Settling;
use crate::batch::Place;
use carillon_core::delivery::{DeadLetter, DeadLetterContent, Delivery};
use carillon_core::envelope::{Packer, TooLarge};
use carillon_core::ports::{OutgoingMessage, Stage};
use carillon_core::topic::SubscriptionName;
use std::time::Duration;

/// Longest delay of a message (SQS). Every gap of both strategies is shorter; only a `Retry-After` comes near it.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

impl Settling<'_> {
    /// Retries travel alone, each with its own delay; what only waits travels packed, as it came.
    pub(super) async fn send_again(&mut self) {
        let mut messages: Vec<(OutgoingMessage, Vec<Place>)> = Vec::new();
        let mut hopeless: Vec<(Place, Delivery, TooLarge)> = Vec::new();
        for (place, mut delivery, gap) in std::mem::take(&mut self.retries) {
            match pack_alone(&mut delivery) {
                Ok(body) => {
                    messages.push((
                        self.message(body, delivery.subscription.as_str(), gap),
                        vec![place],
                    ));
                }
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
            let outgoing = messages
                .iter()
                .map(|(message, _)| message.clone())
                .collect();
            let mut results = self
                .ports
                .stages
                .send(Stage::Deliver, outgoing)
                .await
                .into_iter();
            let mut left = Vec::new();
            for (message, places) in messages {
                match results.next() {
                    Some(Ok(())) => self.handled.extend(places),
                    other if round == 0 => {
                        tracing::warn!(answer = ?other, "a re-send was not taken; once more");
                        left.push((message, places));
                    }
                    other => {
                        let reason = match other {
                            Some(Err(error)) => error.to_string(),
                            _ => "the queue gave no answer for a re-sent message".to_owned(),
                        };
                        for place in places {
                            self.fail(place.record, reason.clone());
                        }
                    }
                }
            }
            messages = left;
        }
    }

    fn pack_waiting(
        &self,
        name: &SubscriptionName,
        mut waiting: Vec<(Place, Delivery, Duration)>,
        messages: &mut Vec<(OutgoingMessage, Vec<Place>)>,
        hopeless: &mut Vec<(Place, Delivery, TooLarge)>,
    ) {
        waiting.sort_by_key(|(place, _, delay)| (self.rounded(*delay), *place));
        let mut rest = waiting.into_iter().peekable();
        while let Some((_, _, delay)) = rest.peek() {
            let delay = self.rounded(*delay);
            let mut packer = Packer::new();
            let mut owners: Vec<Vec<Place>> = Vec::new();
            while let Some((place, delivery, _)) =
                rest.next_if(|(_, _, other)| self.rounded(*other) == delay)
            {
                match packer.push(&delivery) {
                    Ok(message) => {
                        owners.resize_with(owners.len().max(message + 1), Vec::new);
                        owners[message].push(place);
                    }
                    Err(error) => hopeless.push((place, delivery, error)),
                }
            }
            for (body, places) in packer.finish().into_iter().zip(owners) {
                messages.push((self.message(body, name.as_str(), delay), places));
            }
        }
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
