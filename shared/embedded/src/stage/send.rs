//! Sending from one stage to the next.

use super::{group_number, number};
use crate::archive::Packed;
use crate::store::{Care, Ledger, Outcome, Store};
use carillon_core::event::Timestamp;
use carillon_core::ports::{OutgoingMessage, QueueError, Stage, StageSender};

/// A record that memory learns of when its transaction commits.
pub(crate) struct NewRecord {
    pub(super) stage: usize,
    pub(super) group: i64,
    pub(super) due: Timestamp,
}

#[async_trait::async_trait]
impl StageSender for Store {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        self.send_to_stage(Care::Durable, stage, messages).await
    }
}

impl Store {
    pub(crate) async fn send_to_stage(
        &self,
        care: Care,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let count = messages.len();
        let kept = match stage {
            Stage::Match => Some(Packed::of(self, &messages)),
            Stage::Ingest | Stage::Deliver => None,
        };
        let bodies: usize = messages.iter().map(|message| message.body.len()).sum();
        let bytes = bodies + kept.as_ref().map_or(0, Packed::bytes);
        let sent = self
            .write_with(care, bytes, move |ledger| {
                ledger.send_to_stage(stage, &messages, kept.as_ref())
            })
            .await;
        match sent {
            Ok(results) => results,
            Err(error) => vec![Err(error); count],
        }
    }
}

impl Ledger {
    pub(crate) fn send_to_stage(
        &mut self,
        stage: Stage,
        messages: &[OutgoingMessage],
        kept: Option<&Packed>,
    ) -> Outcome<Vec<Result<(), QueueError>>, QueueError> {
        let limit = self.settings.max_stage_message;
        let mut results = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let len = message.body.len();
            if len > limit {
                results.push(Err(QueueError::TooLarge {
                    queue: stage.to_string(),
                    len,
                    limit: u32::try_from(limit).unwrap_or(u32::MAX),
                }));
                continue;
            }
            let due = self.now.plus(message.delay);
            self.insert_record(stage, message.group.as_deref(), due, &message.body)?;
            if let Some(pack) = kept.and_then(|kept| kept.get(index)) {
                self.keep_pack(pack)?;
            }
            results.push(Ok(()));
        }
        Ok(Ok(results))
    }

    /// Adds a record to a stage's queue.
    pub(crate) fn insert_record(
        &mut self,
        stage: Stage,
        group: Option<&str>,
        due: Timestamp,
        body: &str,
    ) -> rusqlite::Result<()> {
        self.insert_record_of(stage, group_number(group), due, body)
    }

    /// As above, of a group known by its number.
    pub(super) fn insert_record_of(
        &mut self,
        stage: Stage,
        group: i64,
        due: Timestamp,
        body: &str,
    ) -> rusqlite::Result<()> {
        let seq = self.seq();
        let stage = number(stage);
        // Should the clock have been set back, the record must still stand after its group's cursor, or it would never
        // be found.
        let cursor = self.stages.cursor(stage, group);
        let due = due.max(cursor);
        self.run(
            "INSERT INTO stage_messages (seq, stage, grp, due, enqueued, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (seq, stage, group, due.as_millis(), self.now.as_millis(), body),
        )?;
        self.effects.records.push(NewRecord { stage, group, due });
        Ok(())
    }
}
