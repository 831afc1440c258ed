//! Dead letters in the table, spread over sixteen partitions, newest first.
//!
//! | pk | sk | further attributes |
//! |---|---|---|
//! | `dead#<0-f>` | `<time>-<hash>`, which is the id | `doc`: the letter as JSON; `expires`: the table's time to live |
//! | `dead#<id>` | `0000`, `0001` ... | `doc`: the letter piece by piece, where it is larger than an item; the item above then says `pieces` |
//!
//! They lie in the table and not in a queue of SQS, since an operator looks, filters and picks: a queue can do none of
//! these, and hides what was looked at. What Lambda itself gave up on (a function that crashes on a record again and
//! again) lies in the queues' own dead-letter queues, as SQS puts it there.

mod item;
mod list;

use self::item::{is_id, items, partition, piece_count, piece_key, pieces_of, shard_of, text};
use crate::clients::Lazy;
use crate::put::put_all;
use crate::store::{Item, explain_dynamo};
use crate::world::SystemClock;
use crate::{Clients, StageQueues};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::envelope::Packer;
use carillon_core::ports::{
    Clock, DeadLetterAdmin, DeadLetterStore, KeptDeadLetter, OutgoingMessage, Page, Selection,
    Stage, StageSender, StoreError,
};
use std::time::Duration;
use tokio::task::JoinSet;

/// Letters that are read and sent again at a time.
const ONCE: usize = 25;

/// The dead letters.
#[derive(Clone, Debug)]
pub struct DynamoDeadLetters {
    client: Lazy<Client>,
    table: String,
    keep: Duration,
    stages: Option<StageQueues>,
}

impl DynamoDeadLetters {
    /// Dead letters in this table, kept for so many days.
    #[must_use]
    pub fn new(clients: &Clients, table: &str, days: u32) -> Self {
        DynamoDeadLetters {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
            keep: Duration::from_secs(u64::from(days) * 86_400),
            stages: None,
        }
    }

    /// The same, able to send letters again through these queues.
    #[must_use]
    pub fn with_stages(self, stages: StageQueues) -> Self {
        DynamoDeadLetters {
            stages: Some(stages),
            ..self
        }
    }

    /// The letter that an item tells of. None when its pieces are not all there: it was deleted meanwhile, or the table
    /// lets it go, since its time is over, one item after another.
    async fn read(&self, item: &Item) -> Result<Option<KeptDeadLetter>, StoreError> {
        let id = text(item, "sk").to_owned();
        let count = piece_count(item);
        let whole;
        let doc = if count == 0 {
            text(item, "doc")
        } else {
            let pieces = self.pieces(&id).await?;
            if pieces.len() != count {
                return Ok(None);
            }
            whole = pieces.concat();
            &whole
        };
        let letter = serde_json::from_str(doc).map_err(|error| {
            self.failed(&format!("reading dead letter {id:?}"), &error.to_string())
        })?;
        Ok(Some(KeptDeadLetter { id, letter }))
    }

    /// The pieces of a letter that is kept so.
    async fn pieces(&self, id: &str) -> Result<Vec<String>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pieces_of(id)))
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut pieces = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(|error| self.failed("reading a dead letter", &explain_dynamo(&error)))?;
            let items = page.items.unwrap_or_default();
            pieces.extend(items.iter().map(|item| text(item, "doc").to_owned()));
        }
        Ok(pieces)
    }

    /// Deletes a letter; whether there was one. What is left of its pieces after a failure goes when its time is over.
    async fn delete_one(&self, id: &str) -> Result<bool, StoreError> {
        let delete = |pk: String, sk: String| {
            self.client
                .delete_item()
                .table_name(&self.table)
                .key("pk", AttributeValue::S(pk))
                .key("sk", AttributeValue::S(sk))
        };
        let failed = |why: &str| self.failed("deleting a dead letter", why);
        let answer = delete(partition(shard_of(id)), id.to_owned())
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| failed(&explain_dynamo(&error)))?;
        let held = answer.attributes.unwrap_or_default();
        for index in 0..piece_count(&held) {
            let sent = delete(pieces_of(id), piece_key(index)).send().await;
            sent.map_err(|error| failed(&explain_dynamo(&error)))?;
        }
        Ok(!held.is_empty())
    }

    fn failed(&self, doing: &str, why: &str) -> StoreError {
        StoreError(format!("table {:?}, {doing}: {why}", self.table))
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for DynamoDeadLetters {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        let expires = SystemClock.now().plus(self.keep);
        let all: Vec<_> = letters.iter().map(|held| items(held, expires)).collect();
        let (mut heads, pieces): (Vec<Item>, Vec<Vec<Item>>) = all.into_iter().unzip();
        let mut pieces = pieces.concat();
        // One request names no item twice: the same letter twice is one.
        for items in [&mut heads, &mut pieces] {
            items.sort_by(|a, b| item::key(a).cmp(&item::key(b)));
            items.dedup_by(|a, b| item::key(a) == item::key(b));
        }
        let count = u64::try_from(heads.len()).unwrap_or(u64::MAX);
        // All pieces before the first letter that consists of some: what can be seen is whole.
        for items in [pieces, heads] {
            put_all(&self.client, &self.table, items)
                .await
                .map_err(|why| self.failed("keeping dead letters", &why))?;
        }
        crate::metrics::emit(&crate::metrics::line(
            SystemClock.now(),
            &[&[]],
            &[],
            &[("DeadLetters", count, "Count")],
        ));
        Ok(())
    }
}

/// What sending a letter again is: the stage, and the message.
fn again(letter: &DeadLetter) -> Result<(Stage, OutgoingMessage), StoreError> {
    match &letter.content {
        DeadLetterContent::Delivery(delivery) => {
            let mut packer = Packer::new();
            let fits = packer.push(&delivery.as_ref().clone().renewed(SystemClock.now()));
            fits.map_err(|error| StoreError(error.to_string()))?;
            let body = packer.finish().pop().unwrap_or_default();
            // As match groups them, so that a large redrive holds up no other subscription.
            let group = format!("{}/{}", delivery.topic, delivery.subscription);
            let message = OutgoingMessage {
                group: Some(group),
                ..OutgoingMessage::new(body)
            };
            Ok((Stage::Deliver, message))
        }
        DeadLetterContent::Record { stage, body } => {
            let stages = [Stage::Ingest, Stage::Match, Stage::Deliver];
            let stage = stages.into_iter().find(|held| held.as_str() == stage);
            let stage = stage.ok_or_else(|| {
                StoreError("a dead letter names a stage that this release does not know".to_owned())
            })?;
            Ok((stage, OutgoingMessage::new(body.clone())))
        }
    }
}

#[async_trait::async_trait]
impl DeadLetterAdmin for DynamoDeadLetters {
    async fn list(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        self.page(selection, from, limit).await
    }

    async fn get(&self, id: &str) -> Result<Option<KeptDeadLetter>, StoreError> {
        if !is_id(id) {
            return Ok(None);
        }
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(partition(shard_of(id))))
            .key("sk", AttributeValue::S(id.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("reading a dead letter", &explain_dynamo(&error)))?;
        match answer.item {
            None => Ok(None),
            Some(item) => self.read(&item).await,
        }
    }

    async fn delete(&self, ids: &[String]) -> Result<usize, StoreError> {
        let mut deletes = JoinSet::new();
        let mut gone = 0;
        let mut waiting = ids.iter().filter(|id| is_id(id)).cloned();
        loop {
            while deletes.len() < 16
                && let Some(id) = waiting.next()
            {
                let store = self.clone();
                deletes.spawn(async move { store.delete_one(&id).await });
            }
            match deletes.join_next().await {
                None => return Ok(gone),
                Some(done) => {
                    gone += usize::from(done.map_err(|error| StoreError(error.to_string()))??);
                }
            }
        }
    }

    async fn redrive(&self, ids: &[String]) -> Result<usize, StoreError> {
        let Some(stages) = &self.stages else {
            return Err(self.failed(
                "sending dead letters again",
                "this process has no queues to send to",
            ));
        };
        let mut count = 0;
        for chunk in ids.chunks(ONCE) {
            let mut letters = Vec::with_capacity(chunk.len());
            for id in chunk {
                if let Some(kept) = self.get(id).await? {
                    let (stage, message) = again(&kept.letter)?;
                    letters.push((kept.id, stage, message));
                }
            }
            let mut sent = Vec::with_capacity(letters.len());
            let mut refused = None;
            for stage in [Stage::Ingest, Stage::Match, Stage::Deliver] {
                let (ids, messages): (Vec<String>, Vec<OutgoingMessage>) = letters
                    .iter()
                    .filter(|(_, held, _)| *held == stage)
                    .map(|(id, _, message)| (id.clone(), message.clone()))
                    .unzip();
                if ids.is_empty() {
                    continue;
                }
                for (id, result) in ids.into_iter().zip(stages.send(stage, messages).await) {
                    match result {
                        Ok(()) => sent.push(id),
                        Err(error) => refused = Some(error),
                    }
                }
            }
            // First sent, then deleted: what dies between the two is sent twice, under the same message id.
            self.delete(&sent).await?;
            count += sent.len();
            if let Some(error) = refused {
                return Err(self.failed(
                    "sending dead letters again",
                    &format!("{count} were sent, then: {error}"),
                ));
            }
        }
        Ok(count)
    }
}
