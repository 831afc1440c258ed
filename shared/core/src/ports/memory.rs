//! What ingest may remember, or ask for, beyond the bodies that come in. Each is a choice of the operator's, off unless
//! chosen.

use super::{OutgoingMessage, QueueError, Stage, StageSender, StoreError};
use crate::event::history::{Judged, ObjectWrite};
use crate::event::{EventId, Timestamp};

/// Remembers the writes of each object: the source of an exact `deltaSize`, and of the mark of late events.
#[async_trait::async_trait]
pub trait SizeIndex: Send + Sync {
    /// Judges writes, in the order of their arrival, and remembers them. One answer for each, in order; one key's
    /// failure is no other's. Writes of one key are judged as
    /// [`KeyHistory::judge`](crate::event::history::KeyHistory::judge) does, whoever else judges at the same time.
    async fn observe(&self, writes: Vec<ObjectWrite>) -> Vec<Result<Judged, StoreError>>;
}

/// An object, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The bucket.
    pub bucket: String,
    /// The object's name, as it stands.
    pub key: String,
    /// The version; none: the present one.
    pub version: Option<String>,
}

/// Asks the store for the user metadata of objects (`HeadObject`).
#[async_trait::async_trait]
pub trait ObjectMetadata: Send + Sync {
    /// User metadata of each object, in order: names without `x-amz-meta-`, in lower case, and values. An object that
    /// cannot be asked for, or no longer exists, fails alone.
    async fn of(&self, objects: Vec<ObjectName>) -> Vec<Result<Vec<(String, String)>, StoreError>>;
}

/// A message to match, and the ids of the events in it.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The message.
    pub message: OutgoingMessage,
    /// Its events.
    pub ids: Vec<EventId>,
}

/// Remembers for some time which events were accepted.
///
/// A mark is made when the message is safely sent, never before: between the two a duplicate may slip through, and no
/// event is ever lost.
#[async_trait::async_trait]
pub trait DuplicateWindow: Send + Sync {
    /// Of each id, in order, whether it was accepted and its time has not run out at `now`.
    async fn known(&self, ids: &[EventId], now: Timestamp) -> Result<Vec<bool>, StoreError>;

    /// Marks ids as accepted, until `until`.
    async fn mark(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError>;

    /// Sends messages to match by `stages`, and marks the events of those that were taken. One result for each, in
    /// order. A mark that fails is no failure of the message.
    ///
    /// A store that holds both the queue and the marks does it in one transaction, and does not use `stages`.
    async fn send(
        &self,
        stages: &dyn StageSender,
        accepted: Vec<Accepted>,
        until: Timestamp,
    ) -> (Vec<Result<(), QueueError>>, Result<(), StoreError>) {
        let (messages, ids): (Vec<OutgoingMessage>, Vec<Vec<EventId>>) = accepted
            .into_iter()
            .map(|accepted| (accepted.message, accepted.ids))
            .unzip();
        let results = stages.send(Stage::Match, messages).await;
        let taken: Vec<EventId> = ids
            .into_iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok())
            .flat_map(|(ids, _)| ids)
            .collect();
        let marked = if taken.is_empty() {
            Ok(())
        } else {
            self.mark(taken, until).await
        };
        (results, marked)
    }
}
