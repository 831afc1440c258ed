//! Reading what the stages write, for the checks.

use crate::property::Property;
use crate::sqs::{Holds, Item};
use crate::world::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::delivery::{Delivery, OutcomeClass};
use carillon_core::envelope::{open_deliveries, open_events};
use carillon_core::ports::Stage;
use std::time::Duration;

/// The number of the event that a resource or a body speaks of: the digits after `/e` in the key.
pub(crate) fn event_number(resource: &str) -> Option<usize> {
    let name = &resource[resource.rfind('/')? + 1..];
    let digits = name.strip_prefix('e')?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

impl State {
    /// What a message of a stage holds. A body that the stage's own reader refuses is poison.
    pub(crate) fn holds(&mut self, stage: Stage, body: &str) -> Holds {
        match stage {
            Stage::Match => {
                if let Ok(events) = open_events(body) {
                    for event in &events {
                        if let Some(number) = event_number(&event.resource) {
                            self.numbers.insert(event.id, number);
                        }
                    }
                    return Holds::Events(
                        events
                            .iter()
                            .filter_map(|event| event_number(&event.resource))
                            .collect(),
                    );
                }
            }
            Stage::Deliver => {
                if let Ok(deliveries) = open_deliveries(body) {
                    return Holds::Deliveries(
                        deliveries
                            .iter()
                            .filter_map(|delivery| self.item(delivery))
                            .collect(),
                    );
                }
            }
            Stage::Ingest => {
                let numbers = body
                    .match_indices("/e")
                    .filter_map(|(at, _)| event_number(&body[at..at + 8]));
                return Holds::Events(numbers.collect());
            }
        }
        Holds::Poison
    }

    pub(crate) fn item(&mut self, delivery: &Delivery) -> Option<Item> {
        let event = event_number(&delivery.notification.resource);
        let key = (
            delivery.topic.to_string(),
            delivery.subscription.to_string(),
        );
        let subscription = self.by_name.get(&key).copied();
        let (Some(event), Some(subscription)) = (event, subscription) else {
            self.violate(
                Property::NoInvention,
                event,
                format!(
                    "a delivery of {:?} to {key:?}, which nobody asked for",
                    delivery.notification.resource
                ),
            );
            return None;
        };
        Some(Item {
            event,
            subscription,
            attempts: delivery.attempts,
            version: delivery.version,
            id: delivery.notification.message_id,
            ended: delivery.history.last().map(|attempt| {
                let took = Duration::from_millis(u64::from(attempt.took_ms));
                attempt.at.plus(took)
            }),
            hopeless: delivery
                .history
                .last()
                .is_some_and(|attempt| attempt.outcome.class == OutcomeClass::Hopeless),
        })
    }

    /// Whether this is what the event publishes under the rule (seed 000, 3.1).
    pub(crate) fn publishes(
        &self,
        event: usize,
        rule: &str,
        published: &str,
    ) -> Result<(), String> {
        let decoded = BASE64
            .decode(published)
            .map_err(|error| format!("the body is not Base64: {error}"))?;
        let json: serde_json::Value = serde_json::from_slice(&decoded)
            .map_err(|error| format!("the body is not JSON: {error}"))?;
        let source = self.events.get(event).ok_or("there is no such event")?;
        let (bucket, key) = source
            .resource
            .split_once('/')
            .ok_or("the resource has no key")?;
        for (path, want) in [
            ("/events/0/eventName", source.event_type.as_str()),
            ("/events/0/oss/bucket/name", bucket),
            ("/events/0/oss/object/key", key),
            ("/events/0/oss/ruleId", rule),
        ] {
            let have = json.pointer(path).and_then(serde_json::Value::as_str);
            if have != Some(want) {
                return Err(format!("{path} is {have:?}, want {want:?}"));
            }
        }
        Ok(())
    }
}

/// The message in a body of any of the three formats.
pub(crate) fn message_of(body: &str) -> Option<String> {
    if body.starts_with("<?xml") {
        let from = body.find("<Message>")? + "<Message>".len();
        let to = body.find("</Message>")?;
        return Some(body[from..to].to_owned());
    }
    if body.starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(body).ok()?;
        return Some(json.get("Message")?.as_str()?.to_owned());
    }
    Some(body.to_owned())
}
