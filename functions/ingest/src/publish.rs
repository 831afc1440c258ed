//! Direct publish: ingest with a publisher who waits for the answer.

use crate::decoder::{Hint, SourceKind};
use crate::settings::Settings;
use carillon_core::envelope::Packer;
use carillon_core::event::Event;
use carillon_core::ports::{
    Clock, OutgoingMessage, PublishError, PublishReceipt, Publisher, Stage, StageSender, Submission,
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

        let mut packer = Packer::new();
        for event in &decoded.events {
            packer.push(event).map_err(|error| unreadable(&error))?;
        }
        let snapshot = self.snapshots.current().await;
        // Only an OSS body has a caller who reads the header (seed 000, 3.1).
        let covered = decoded.kind == Some(SourceKind::Oss)
            && snapshot.is_ok_and(|snapshot| is_covered(&snapshot, &decoded.events));
        let messages: Vec<OutgoingMessage> = packer
            .finish()
            .into_iter()
            .map(OutgoingMessage::new)
            .collect();
        if !messages.is_empty() {
            let asked = messages.len();
            let results = self.stages.send(Stage::Match, messages).await;
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
            accepted: decoded.events.len(),
            status: covered.then_some(Ok(())),
        })
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
