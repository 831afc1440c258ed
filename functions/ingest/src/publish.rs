//! Direct publish: ingest with a publisher who waits for the answer.

use crate::decoder::{Hint, SourceKind};
use crate::extras::Extras;
use crate::handle::outgoing;
use crate::settings::Settings;
use crate::storage::Facts;
use carillon_core::envelope::{Packer, TooLarge};
use carillon_core::event::{Event, EventId, Timestamp};
use carillon_core::ports::{
    Clock, OutgoingMessage, PublishError, PublishReceipt, Publisher, StageSender, Submission,
};
use carillon_core::ruleset::{Hits, Snapshot, SnapshotCache};
use std::str::FromStr as _;
use std::sync::Arc;

/// Takes bodies from publishers: decodes them at once, so that a publisher hears what is wrong, and hands their events
/// to match. All events of a body are accepted, or none.
#[derive(Clone)]
pub struct DirectPublish {
    /// Takes the events, packed.
    pub stages: Arc<dyn StageSender>,
    /// Tells whether a rule covers an event: the status header depends on it.
    pub snapshots: Arc<SnapshotCache>,
    /// Time of arrival.
    pub clock: Arc<dyn Clock>,
    /// How to decode.
    pub settings: Arc<Settings>,
    /// Stores that the settings may ask for.
    pub extras: Extras,
}

#[async_trait::async_trait]
impl Publisher for DirectPublish {
    async fn publish(&self, submission: Submission) -> Result<PublishReceipt, PublishError> {
        let unreadable =
            |error: &dyn std::fmt::Display| PublishError::Unreadable(error.to_string());
        let source = submission
            .headers
            .iter()
            .find(|(name, _)| name == "x-carillon-source")
            .map(|(_, kind)| SourceKind::from_str(kind))
            .transpose()
            .map_err(|error| unreadable(&error))?;
        let hint = Hint {
            product: submission.product,
            headers: submission.headers,
            source,
            received: self.clock.now(),
        };
        let decoded = crate::decode(&submission.body, &hint, &self.settings)
            .and_then(crate::Decoded::all_or_nothing)
            .map_err(|error| unreadable(&error))?;

        // A copy of what was accepted before counts: its publisher asks whether the event is safe, and it is.
        let accepted = decoded.events.len();
        let snapshot = self.snapshots.current().await;
        // Only an OSS body has a caller who reads the header (seed 000, 3.1).
        let covered = decoded.kind == Some(SourceKind::Oss)
            && snapshot.is_ok_and(|snapshot| is_covered(&snapshot, &decoded.events));
        let messages = self
            .pack(hint.received, decoded.events, decoded.facts)
            .await
            .map_err(|error| unreadable(&error))?;
        if !messages.is_empty() {
            let asked = messages.len();
            let results = self
                .extras
                .send(&self.settings, hint.received, &*self.stages, messages)
                .await;
            let refused = results.iter().find_map(|result| result.as_ref().err());
            if refused.is_some() || results.len() < asked {
                let reason = refused.map_or_else(
                    || "the queue gave no answer".to_owned(),
                    ToString::to_string,
                );
                return Err(PublishError::Unavailable { reason, covered });
            }
        }
        Ok(PublishReceipt {
            accepted,
            ignored: decoded.ignored,
            status: covered.then_some(Ok(())),
        })
    }
}

impl DirectPublish {
    /// Messages for match, each with the ids of its events; copies of events that were accepted lately are left out.
    async fn pack(
        &self,
        now: Timestamp,
        events: Vec<Event>,
        facts: Vec<(usize, Facts)>,
    ) -> Result<Vec<(OutgoingMessage, Vec<EventId>)>, TooLarge> {
        let mut all = Vec::with_capacity(events.len());
        outgoing(0, events, facts, &mut all);
        let mut all = self.extras.drop_copies(&self.settings, now, all).await;
        self.extras.complete(&self.settings, &mut all).await;
        let mut packer = Packer::new();
        let mut ids: Vec<Vec<EventId>> = Vec::new();
        for outgoing in &all {
            let message = packer.push(&outgoing.event)?;
            if ids.len() <= message {
                ids.resize_with(message + 1, Vec::new);
            }
            ids[message].push(outgoing.event.id);
        }
        let messages = packer.finish().into_iter().map(OutgoingMessage::new);
        Ok(messages.zip(ids).collect())
    }
}

fn is_covered(snapshot: &Snapshot, events: &[Event]) -> bool {
    let mut hits = Hits::new();
    events.iter().any(|event| {
        let set = snapshot.rule_set(&event.product);
        set.judge(event.event_type.as_str(), &event.resource, &mut hits)
            .next()
            .is_some()
    })
}
