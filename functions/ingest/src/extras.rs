//! What an operator may add to ingest: each asks a store beside the queues, and none can lose an event. A store that
//! does not answer leaves the event as it came, with a line in the log.

use crate::settings::Settings;
use crate::storage::Facts;
use crate::x_vars;
use carillon_core::event::history::{Judged, ObjectWrite};
use carillon_core::event::oss::Completion;
use carillon_core::event::{Body, Event, EventId, Timestamp};
use carillon_core::ports::{
    Accepted, DuplicateWindow, ObjectMetadata, ObjectName, OutgoingMessage, QueueError, SizeIndex,
    Stage, StageSender, StoreError,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The stores that [`Settings`] may ask for. What is asked for and not here is not done.
#[derive(Clone, Default)]
pub struct Extras {
    /// For [`DeltaSize::Index`](crate::DeltaSize::Index) and [`Settings::mark_stale`].
    pub sizes: Option<Arc<dyn SizeIndex>>,
    /// For [`Settings::x_vars_from_head_object`].
    pub metadata: Option<Arc<dyn ObjectMetadata>>,
    /// For [`Settings::duplicate_window`].
    pub window: Option<Arc<dyn DuplicateWindow>>,
}

/// An event on its way out, with the record of the batch that it came in.
pub(crate) struct Outgoing {
    pub(crate) record: usize,
    pub(crate) event: Event,
    pub(crate) facts: Option<Facts>,
}

impl Extras {
    /// The window, when it is open.
    fn open_window(&self, settings: &Settings) -> Option<&dyn DuplicateWindow> {
        (settings.duplicate_window > 0)
            .then_some(self.window.as_deref())
            .flatten()
    }

    /// Drops copies of events that were accepted within the window, and copies within the batch.
    pub(crate) async fn drop_copies(
        &self,
        settings: &Settings,
        now: Timestamp,
        events: Vec<Outgoing>,
    ) -> Vec<Outgoing> {
        let Some(window) = self.open_window(settings) else {
            return events;
        };
        let mut here: HashSet<EventId> = HashSet::with_capacity(events.len());
        let mut events: Vec<Outgoing> = events
            .into_iter()
            .filter(|outgoing| here.insert(outgoing.event.id))
            .collect();
        let ids: Vec<EventId> = events.iter().map(|outgoing| outgoing.event.id).collect();
        if ids.is_empty() {
            return events;
        }
        match window.known(&ids, now).await {
            Ok(known) => {
                let mut known = known.into_iter();
                events.retain(|outgoing| {
                    let copy = known.next().unwrap_or(false);
                    if copy {
                        tracing::debug!(id = %outgoing.event.id, "a copy of an accepted event is dropped");
                    }
                    !copy
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the duplicate window does not answer: copies are let through");
            }
        }
        events
    }

    /// Completes events by what the index and the object's metadata say.
    pub(crate) async fn complete(&self, settings: &Settings, events: &mut [Outgoing]) {
        let mut writes: Vec<ObjectWrite> = Vec::new();
        let mut writers: Vec<usize> = Vec::new();
        let mut objects: Vec<ObjectName> = Vec::new();
        let mut owners: Vec<usize> = Vec::new();
        for (index, outgoing) in events.iter_mut().enumerate() {
            let Some(facts) = outgoing.facts.take() else {
                continue;
            };
            if let Some(write) = facts.write {
                writes.push(write);
                writers.push(index);
            }
            if let Some(object) = facts.object {
                objects.push(object);
                owners.push(index);
            }
        }
        let mut learnt: BTreeMap<usize, Completion> = BTreeMap::new();
        for (index, judged) in writers.into_iter().zip(self.judge(writes).await) {
            let completion = learnt.entry(index).or_default();
            if settings.delta_size == crate::DeltaSize::Index {
                completion.delta_size = judged.delta;
            }
            completion.stale = settings.mark_stale && judged.stale;
        }
        for (index, metadata) in owners.into_iter().zip(self.ask(objects).await) {
            learnt.entry(index).or_default().x_vars = x_vars::of_head(metadata);
        }
        for (index, completion) in learnt {
            let event = &mut events[index].event;
            if completion != Completion::default()
                && let Body::Oss(body) = &event.body
            {
                let body = Body::Oss(body.completed(&completion));
                // An event that was small enough must not become too large by what is only an extra.
                if crate::decoder::is_small_enough(&body) {
                    event.body = body;
                }
            }
        }
    }

    async fn judge(&self, writes: Vec<ObjectWrite>) -> Vec<Judged> {
        let (Some(sizes), false) = (&self.sizes, writes.is_empty()) else {
            return vec![Judged::default(); writes.len()];
        };
        sizes
            .observe(writes)
            .await
            .into_iter()
            .map(|judged| {
                judged.unwrap_or_else(|error| {
                    tracing::warn!(%error, "the size index does not answer: deltaSize is left out");
                    Judged::default()
                })
            })
            .collect()
    }

    async fn ask(&self, objects: Vec<ObjectName>) -> Vec<Vec<(String, String)>> {
        let (Some(store), false) = (&self.metadata, objects.is_empty()) else {
            return Vec::new();
        };
        store
            .of(objects)
            .await
            .into_iter()
            .map(|metadata| {
                metadata.unwrap_or_else(|error| {
                    tracing::warn!(%error, "an object's metadata cannot be had: xVars is left out");
                    Vec::new()
                })
            })
            .collect()
    }

    /// Sends messages to match, each with the ids of its events, and remembers those that were taken.
    pub(crate) async fn send(
        &self,
        settings: &Settings,
        now: Timestamp,
        stages: &dyn StageSender,
        messages: Vec<(OutgoingMessage, Vec<EventId>)>,
    ) -> Vec<Result<(), QueueError>> {
        let Some(window) = self.open_window(settings) else {
            let messages = messages.into_iter().map(|(message, _)| message).collect();
            return stages.send(Stage::Match, messages).await;
        };
        let until = now.plus(Duration::from_secs(u64::from(settings.duplicate_window)));
        let accepted = messages
            .into_iter()
            .map(|(message, ids)| Accepted { message, ids })
            .collect();
        let (results, marked): (_, Result<(), StoreError>) =
            window.send(stages, accepted, until).await;
        if let Err(error) = marked {
            tracing::warn!(%error, "accepted events were not remembered: copies of them will be let through");
        }
        results
    }
}
