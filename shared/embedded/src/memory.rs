//! What ingest remembers by an operator's choice: the sizes of objects, and which events were accepted lately.

use crate::archive::Packed;
use crate::store::{FromOutage as _, Ledger, Outcome, Store};
use carillon_core::event::history::{Judged, KeyHistory, ObjectWrite};
use carillon_core::event::{EventId, Timestamp};
use carillon_core::ports::{
    Accepted, DuplicateWindow, OutgoingMessage, QueueError, SizeIndex, Stage, StageSender,
    StoreError,
};
use rusqlite::OptionalExtension as _;
use std::collections::BTreeMap;

/// How long a key without an object is remembered, in milliseconds: longer than any queue holds a late event.
const KEEP_GONE: i64 = 14 * 86_400_000;

#[async_trait::async_trait]
impl SizeIndex for Store {
    async fn observe(&self, writes: Vec<ObjectWrite>) -> Vec<Result<Judged, StoreError>> {
        let count = writes.len();
        let bytes = writes.iter().map(|write| write.key.len() + 256).sum();
        let judged: Result<Vec<Judged>, StoreError> = self
            .write(bytes, move |ledger| ledger.observe(&writes))
            .await;
        match judged {
            Ok(judged) => judged.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); count],
        }
    }
}

#[async_trait::async_trait]
impl DuplicateWindow for Store {
    async fn known(&self, ids: &[EventId], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |conn| {
            let mut query =
                conn.prepare_cached("SELECT 1 FROM accepted_events WHERE id = ?1 AND until > ?2")?;
            ids.iter()
                .map(|id| query.exists((id.as_bytes(), now.as_millis())))
                .collect()
        })
        .await
        .map_err(StoreError::from_outage)
    }

    async fn mark(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError> {
        self.write(ids.len() * 32, move |ledger| {
            ledger.mark_accepted(&ids, until)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Message and marks are one transaction: no copy slips through between them.
    async fn send(
        &self,
        _: &dyn StageSender,
        accepted: Vec<Accepted>,
        until: Timestamp,
    ) -> (Vec<Result<(), QueueError>>, Result<(), StoreError>) {
        let count = accepted.len();
        let (messages, ids): (Vec<OutgoingMessage>, Vec<Vec<EventId>>) = accepted
            .into_iter()
            .map(|accepted| (accepted.message, accepted.ids))
            .unzip();
        let kept = Packed::of(self, &messages);
        let bodies: usize = messages.iter().map(|message| message.body.len()).sum();
        let bytes = bodies + kept.bytes();
        let sent: Result<Vec<Result<(), QueueError>>, QueueError> = self
            .write(bytes, move |ledger| {
                let results = match ledger.send_to_stage(Stage::Match, &messages, Some(&kept))? {
                    Ok(results) => results,
                    Err(error) => return Ok(Err(error)),
                };
                for (ids, result) in ids.iter().zip(&results) {
                    if result.is_ok() {
                        ledger.mark_accepted(ids, until)?;
                    }
                }
                Ok(Ok(results))
            })
            .await;
        (sent.unwrap_or_else(|error| vec![Err(error); count]), Ok(()))
    }
}

impl Ledger {
    fn observe(&mut self, writes: &[ObjectWrite]) -> Outcome<Vec<Judged>, StoreError> {
        let mut keys: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (index, write) in writes.iter().enumerate() {
            keys.entry((&write.bucket, &write.key))
                .or_default()
                .push(index);
        }
        let mut all = vec![Judged::default(); writes.len()];
        for ((bucket, key), indices) in keys {
            let stored: Option<String> = self
                .conn
                .prepare_cached("SELECT history FROM key_histories WHERE bucket = ?1 AND key = ?2")?
                .query_row((bucket, key), |row| row.get(0))
                .optional()?;
            let mut history: KeyHistory = match stored.as_deref().map(serde_json::from_str) {
                None => KeyHistory::default(),
                Some(Ok(history)) => history,
                Some(Err(error)) => {
                    return Ok(Err(StoreError(format!(
                        "the history of {bucket}/{key} cannot be read ({error}): was it written by a newer release?"
                    ))));
                }
            };
            let before = history.sequencer().to_owned();
            let these: Vec<&ObjectWrite> = indices.iter().map(|index| &writes[*index]).collect();
            for (index, judged) in indices.into_iter().zip(history.judge(&these)) {
                all[index] = judged;
            }
            if history.sequencer() == before {
                continue;
            }
            let gone = history.may_be_forgotten().then(|| self.now.as_millis());
            let json = serde_json::to_string(&history).expect("texts and numbers");
            self.run(
                "INSERT OR REPLACE INTO key_histories (bucket, key, history, gone) VALUES (?1, ?2, ?3, ?4)",
                (bucket, key, json, gone),
            )?;
        }
        Ok(Ok(all))
    }

    fn mark_accepted(&mut self, ids: &[EventId], until: Timestamp) -> rusqlite::Result<()> {
        for id in ids {
            self.run(
                "INSERT OR REPLACE INTO accepted_events (id, until) VALUES (?1, ?2)",
                (id.as_bytes(), until.as_millis()),
            )?;
        }
        Ok(())
    }

    /// Forgets events whose time has run out, and keys long gone.
    pub(crate) fn sweep_memory(&mut self, limit: i64) -> rusqlite::Result<i64> {
        let events = self.run(
            "DELETE FROM accepted_events WHERE id IN (SELECT id FROM accepted_events WHERE until <= ?1 LIMIT ?2)",
            (self.now.as_millis(), limit),
        )?;
        let keys = self.run(
            "DELETE FROM key_histories WHERE (bucket, key) IN (SELECT bucket, key FROM key_histories WHERE gone <= ?1 LIMIT ?2)",
            (self.now.as_millis() - KEEP_GONE, limit),
        )?;
        Ok(i64::try_from(events.max(keys)).unwrap_or(limit))
    }
}
