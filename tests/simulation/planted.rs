//! Where planted mistakes change what passes by.

use crate::plant::Plant;
use crate::sqs::Holds;
use crate::world::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::delivery::Delivery;
use carillon_core::envelope::{Packer, open_deliveries, open_events};
use carillon_core::event::{IdentityHasher, MessageId};
use carillon_core::ports::{OutgoingMessage, PushRequest, Records, Stage};
use carillon_core::rule::{EventTypePattern, ResourcePattern, Resources, RuleName};
use std::sync::Arc;
use std::time::Duration;

/// The rules table as a mistaken store gives it.
pub(crate) fn spoil_records(mut records: Records, state: &State) -> Records {
    match state.settings.plant {
        Some(Plant::TornRead) => {
            records.subscriptions.pop();
        }
        Some(Plant::ForgetsDisabled) => records
            .rules
            .iter_mut()
            .for_each(|rule| rule.enabled = true),
        Some(Plant::EnumeratesWildcard) => {
            let today = ["PutObject", "PostObject", "CopyObject", "AppendObject"];
            for rule in &mut records.rules {
                let patterns = std::mem::take(&mut rule.event_types.0);
                rule.event_types.0 = patterns
                    .into_iter()
                    .flat_map(|pattern| match pattern {
                        EventTypePattern::Group(group) => today
                            .iter()
                            .filter_map(|name| {
                                EventTypePattern::parse(&format!("{group}:{name}")).ok()
                            })
                            .collect(),
                        name => vec![name],
                    })
                    .collect();
            }
        }
        Some(Plant::CutsPrefixes) => {
            for rule in &mut records.rules {
                let Resources::AnyOf(any) = &mut rule.resources else {
                    continue;
                };
                for clause in any.iter_mut().flatten() {
                    if let ResourcePattern::Ends { prefix, .. } = &mut clause.pattern {
                        prefix.truncate(4);
                    }
                }
            }
        }
        Some(Plant::DefaultAlsoFires) => {
            for rule in records.rules.iter_mut().filter(|rule| rule.is_default()) {
                rule.name = RuleName::parse("DefaultEnRule2").expect("it is a name");
                rule.event_types.0 = [
                    "ObjectCreated:*",
                    "ObjectRemoved:*",
                    "ObjectModified:*",
                    "BucketQueried:*",
                ]
                .iter()
                .filter_map(|text| EventTypePattern::parse(text).ok())
                .collect();
            }
        }
        _ => {}
    }
    records
}

/// A message as a mistaken sender passes it on.
pub(crate) fn spoil_message(
    mut message: OutgoingMessage,
    holds: &Holds,
    from: Stage,
    state: &mut State,
) -> OutgoingMessage {
    let Some(plant) = state.settings.plant else {
        return message;
    };
    let retry = from == Stage::Deliver
        && matches!(holds, Holds::Deliveries(items) if items.iter().any(|item| item.attempts > 0));
    let mut change = |by: &mut dyn FnMut(&mut Delivery)| {
        if let Ok(mut deliveries) = open_deliveries(&message.body) {
            deliveries.iter_mut().for_each(by);
            let mut packer = Packer::new();
            for delivery in &deliveries {
                packer.push(delivery).expect("it fitted before");
            }
            if let Some(body) = packer.finish().pop() {
                message.body = body;
            }
        }
    };
    match plant {
        Plant::RetriesOnceMore if retry => change(&mut |delivery| {
            if delivery.history.len() == 1 {
                delivery.attempts = 0;
            }
        }),
        Plant::RetriesOnceLess if retry => change(&mut |delivery| {
            if delivery.history.len() == 1 {
                delivery.attempts = 2;
            }
        }),
        Plant::RetriesForEver if retry => change(&mut |delivery| delivery.attempts = 0),
        Plant::DrawsIds if retry => {
            let drawn = u128::from(state.rng.next());
            change(&mut |delivery| delivery.notification.message_id = MessageId::from_bits(drawn));
        }
        Plant::EncodesTwice if from == Stage::Match => {
            change(&mut |delivery| {
                delivery.notification.body = BASE64.encode(&delivery.notification.body)
            });
        }
        Plant::RetriesAtOnce if retry => message.delay = Duration::ZERO,
        Plant::DoublesDelay if retry => message.delay *= 2,
        Plant::ObeysRetryAfter if retry => {
            let wished = state.environments.iter().any(|held| {
                held.running
                    .as_ref()
                    .is_some_and(|running| !running.wishes.is_empty())
            });
            if wished {
                message.delay = Duration::from_secs(7 * 86_400);
            }
        }
        Plant::IdsFromArrival if from == Stage::Ingest => {
            if let Ok(mut events) = open_events(&message.body) {
                let mut packer = Packer::new();
                for event in &mut events {
                    event.id = IdentityHasher::new("arrival")
                        .part(&state.id().to_string())
                        .finish();
                    packer.push(event).expect("it fitted before");
                }
                message.body = packer.finish().pop().unwrap_or_default();
            }
        }
        _ => {}
    }
    message
}

/// A push as a mistaken dialler sends it.
pub(crate) fn spoil_push(request: &mut PushRequest, state: &State) {
    match state.settings.plant {
        Some(Plant::HeaderNotSent) => request.headers.retain(|(name, _)| *name != "x-mns-version"),
        Some(Plant::BodyChangedAfterSigning) => {
            request.body = Arc::from(format!("{}\n", request.body))
        }
        _ => {}
    }
}
