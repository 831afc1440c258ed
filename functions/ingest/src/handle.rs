//! The stage: bodies in, packed events out.

use crate::decoder::{Decoded, Hint};
use crate::error::DecodeError;
use crate::extras::{Extras, Outgoing};
use crate::settings::Settings;
use crate::storage::Facts;
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::envelope::{RecordPacker, not_taken};
use carillon_core::event::{Event, EventId, Timestamp};
use carillon_core::ports::{
    BatchOutcome, Clock, DeadLetterStore, OutgoingMessage, QueueRecord, Stage, StageSender,
};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What the stage asks of the world.
#[derive(Clone)]
pub struct Ports {
    /// Takes the events, packed.
    pub stages: Arc<dyn StageSender>,
    /// Takes what cannot be read.
    pub dead_letters: Arc<dyn DeadLetterStore>,
    /// Time of arrival, for events that do not say when they happened.
    pub clock: Arc<dyn Clock>,
    /// How to decode.
    pub settings: Arc<Settings>,
    /// Stores that the settings may ask for.
    pub extras: Extras,
}

/// Decodes a batch of raw bodies and sends their events on to match.
pub async fn handle(ports: &Ports, batch: &[QueueRecord]) -> BatchOutcome {
    handle_by(ports, batch, crate::decode).await
}

/// [`handle`] with a decoder of the caller's: the tests give one that panics.
async fn handle_by(
    ports: &Ports,
    batch: &[QueueRecord],
    decode: impl Fn(&[u8], &Hint, &Settings) -> Result<Decoded, DecodeError>,
) -> BatchOutcome {
    let now = ports.clock.now();
    let hint = Hint {
        received: now,
        ..Hint::default()
    };
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    let mut letters: Vec<(usize, DeadLetter)> = Vec::new();
    let mut events: Vec<Outgoing> = Vec::with_capacity(batch.len());

    for (index, record) in batch.iter().enumerate() {
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            decode(record.body.as_bytes(), &hint, &ports.settings)
        }));
        let decoded = match decoded {
            Ok(Ok(decoded)) => decoded,
            Ok(Err(error)) => {
                letters.push((index, letter(now, error.to_string(), record.body.clone())));
                continue;
            }
            Err(_) => {
                failed.insert(index, "decoding this record panicked".to_owned());
                continue;
            }
        };
        for reason in decoded.ignored {
            tracing::debug!(record = record.id, reason, "nothing to tell");
        }
        letters.extend(
            decoded
                .refused
                .into_iter()
                .map(|refused| (index, letter(now, refused.reason.to_string(), refused.body))),
        );
        outgoing(index, decoded.events, decoded.facts, &mut events);
    }

    let (settings, extras) = (&ports.settings, &ports.extras);
    let mut events = extras.drop_copies(settings, now, events).await;
    extras.complete(settings, &mut events).await;
    let mut packer = RecordPacker::new();
    let mut ids: Vec<Vec<EventId>> = Vec::new();
    for outgoing in &events {
        match packer.push(outgoing.record, &outgoing.event) {
            Ok(message) => {
                if ids.len() <= message {
                    ids.resize_with(message + 1, Vec::new);
                }
                ids[message].push(outgoing.event.id);
            }
            Err(too_large) => {
                let body = batch[outgoing.record].body.clone();
                letters.push((outgoing.record, letter(now, too_large.to_string(), body)));
            }
        }
    }

    // Letters first: a record is only let go once its unreadable part is kept.
    if !letters.is_empty() {
        let (records, letters): (Vec<usize>, Vec<DeadLetter>) = letters.into_iter().unzip();
        for letter in &letters {
            tracing::warn!(reason = letter.reason, "record refused");
        }
        if let Err(error) = ports.dead_letters.put(letters).await {
            failed.extend(
                records
                    .into_iter()
                    .map(|record| (record, error.to_string())),
            );
        }
    }

    // A record that comes again sends its events twice; their ids are equal, and receivers can drop the double.
    let (messages, carried): (Vec<_>, Vec<Vec<usize>>) = packer
        .finish()
        .into_iter()
        .zip(ids)
        .map(|((body, records), ids)| ((OutgoingMessage::new(body), ids), records))
        .unzip();
    if !messages.is_empty() {
        let results = extras.send(settings, now, &*ports.stages, messages).await;
        failed.extend(not_taken(&results, carried));
    }
    BatchOutcome {
        failed: failed
            .into_iter()
            .map(|(record, reason)| (batch[record].id.clone(), reason))
            .collect(),
    }
}

/// Lines up the events of one record, each with its facts.
pub(crate) fn outgoing(
    record: usize,
    events: Vec<Event>,
    facts: Vec<(usize, Facts)>,
    all: &mut Vec<Outgoing>,
) {
    let mut facts = facts.into_iter().peekable();
    all.extend(events.into_iter().enumerate().map(|(place, event)| {
        Outgoing {
            record,
            event,
            facts: facts
                .next_if(|(of, _)| *of == place)
                .map(|(_, facts)| facts),
        }
    }));
}

fn letter(at: Timestamp, reason: String, body: String) -> DeadLetter {
    DeadLetter {
        at,
        reason,
        content: DeadLetterContent::Record {
            stage: Stage::Ingest.as_str().to_owned(),
            body,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_core::ports::{QueueError, StoreError};

    struct Nothing;

    #[async_trait::async_trait]
    impl StageSender for Nothing {
        async fn send(
            &self,
            _: Stage,
            messages: Vec<OutgoingMessage>,
        ) -> Vec<Result<(), QueueError>> {
            messages.iter().map(|_| Ok(())).collect()
        }
    }

    #[async_trait::async_trait]
    impl DeadLetterStore for Nothing {
        async fn put(&self, _: Vec<DeadLetter>) -> Result<(), StoreError> {
            Ok(())
        }
    }

    impl Clock for Nothing {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }
    }

    #[tokio::test]
    async fn a_record_whose_decoding_panics_fails_alone() {
        let nothing = Arc::new(Nothing);
        let ports = Ports {
            stages: nothing.clone(),
            dead_letters: nothing.clone(),
            clock: nothing,
            settings: Arc::default(),
            extras: Extras::default(),
        };
        let batch: Vec<QueueRecord> = ["good", "bad", "good"]
            .iter()
            .enumerate()
            .map(|(index, body)| QueueRecord {
                id: index.to_string(),
                body: (*body).to_owned(),
                receive_count: 1,
            })
            .collect();
        let outcome = handle_by(&ports, &batch, |body, _, _| {
            assert_ne!(body, b"bad", "this panic is the test's own");
            Ok(Decoded::default())
        })
        .await;
        assert_eq!(
            outcome.failed,
            [("1".to_owned(), "decoding this record panicked".to_owned())]
        );
    }
}
