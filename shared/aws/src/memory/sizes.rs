//! Histories of objects.

use super::{MAX_READ, PATIENCE, TRIES, key, pause, read, text};
use crate::Clients;
use crate::clients::Lazy;
use crate::store::{Item, explain_dynamo};
use crate::world::SystemClock;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::event::history::{Judged, KeyHistory, ObjectWrite};
use carillon_core::ports::{Clock as _, SizeIndex, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Writes under way at a time.
const AT_ONCE: usize = 16;
/// Seconds that an object which is gone is remembered: longer than any queue holds a late event.
const KEEP_GONE: i64 = 14 * 86_400;
/// Longest partition key (DynamoDB quotas: 2048 bytes).
const MAX_KEY: usize = 2048;

/// The size index in the table. Reads go a hundred keys to a request; each key that moved is written by itself, on
/// condition that its last sequencer is still the one that was read, and judged again when it is not. Two who judge one
/// key at a time so cannot lose each other's write.
#[derive(Clone, Debug)]
pub struct DynamoSizes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Lazy<Client>,
    table: String,
}

/// The writes of one key, with their places in the batch.
struct Group {
    pk: String,
    writes: Vec<(usize, ObjectWrite)>,
}

impl DynamoSizes {
    /// The index in this table.
    #[must_use]
    pub fn new(clients: &Clients, table: &str) -> Self {
        DynamoSizes(Arc::new(Inner {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
        }))
    }
}

#[async_trait::async_trait]
impl SizeIndex for DynamoSizes {
    async fn observe(&self, writes: Vec<ObjectWrite>) -> Vec<Result<Judged, StoreError>> {
        let deadline = Instant::now() + PATIENCE;
        let silent = || Err(StoreError("the index gave no answer in time".to_owned()));
        let mut answers: Vec<Result<Judged, StoreError>> =
            writes.iter().map(|_| silent()).collect();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (index, write) in writes.into_iter().enumerate() {
            let pk = format!("object#{}/{}", write.bucket, write.key);
            if pk.len() > MAX_KEY {
                answers[index] = Err(StoreError(format!(
                    "the name of an object in bucket {:?} is longer than the table's keys can be",
                    write.bucket
                )));
                continue;
            }
            groups
                .entry(pk.clone())
                .or_insert_with(|| Group {
                    pk,
                    writes: Vec::new(),
                })
                .writes
                .push((index, write));
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks: JoinSet<Vec<(usize, Result<Judged, StoreError>)>> = JoinSet::new();
        while !groups.is_empty() {
            let rest = groups.split_off(groups.len().min(MAX_READ));
            let these = std::mem::replace(&mut groups, rest);
            let keys = these
                .iter()
                .map(|group| key(&group.pk, "history"))
                .collect();
            // An old answer does no harm: the write's condition finds it out.
            let read = read(&self.0.client, &self.0.table, keys, false);
            let found = match timeout_at(deadline, read).await {
                Ok(Ok(found)) => found,
                // Their answers are that there was none.
                Err(_) => continue,
                Ok(Err(error)) => {
                    for (index, _) in these.iter().flat_map(|group| &group.writes) {
                        answers[*index] = Err(error.clone());
                    }
                    continue;
                }
            };
            let mut found: HashMap<String, Item> = found
                .into_iter()
                .map(|item| (text(&item, "pk").to_owned(), item))
                .collect();
            for group in these {
                let (inner, room) = (self.0.clone(), room.clone());
                let item = found.remove(&group.pk);
                tasks.spawn(async move {
                    let _permit = room.acquire().await;
                    inner.judge(group, item).await
                });
            }
        }
        // What is under way at the end of our patience is let go: its write may still take effect, and says what happened.
        while let Ok(Some(done)) = timeout_at(deadline, tasks.join_next()).await {
            for (index, answer) in done.unwrap_or_default() {
                answers[index] = answer;
            }
        }
        answers
    }
}

impl Inner {
    async fn judge(
        &self,
        group: Group,
        item: Option<Item>,
    ) -> Vec<(usize, Result<Judged, StoreError>)> {
        let answer = self.settle(&group, item).await;
        let answer = |place: usize| match &answer {
            Ok(judged) => Ok(judged[place]),
            Err(error) => Err(error.clone()),
        };
        let places = group.writes.iter().enumerate();
        places
            .map(|(place, (index, _))| (*index, answer(place)))
            .collect()
    }

    async fn settle(
        &self,
        group: &Group,
        mut item: Option<Item>,
    ) -> Result<Vec<Judged>, StoreError> {
        let writes: Vec<&ObjectWrite> = group.writes.iter().map(|(_, write)| write).collect();
        for attempt in 0..TRIES {
            let mut history = match &item {
                None => KeyHistory::default(),
                Some(item) => serde_json::from_str(text(item, "doc"))
                    .map_err(|error| self.failed(&group.pk, &error.to_string()))?,
            };
            let before = history.sequencer().to_owned();
            let judged = history.judge(&writes);
            if history.sequencer() == before || self.put(&group.pk, &before, &history).await? {
                return Ok(judged);
            }
            pause(attempt).await;
            let keys = vec![key(&group.pk, "history")];
            item = read(&self.client, &self.table, keys, true).await?.pop();
        }
        Err(self.failed(&group.pk, "others write it all the time"))
    }

    /// Writes a history, unless its key has moved on; tells whether it did.
    async fn put(&self, pk: &str, before: &str, history: &KeyHistory) -> Result<bool, StoreError> {
        let doc = serde_json::to_string(history).expect("texts and numbers");
        let mut item = key(pk, "history");
        item.insert("doc".to_owned(), AttributeValue::S(doc));
        let last = history.sequencer().to_owned();
        item.insert("seq".to_owned(), AttributeValue::S(last));
        if history.may_be_forgotten() {
            let expires = SystemClock.now().as_millis() / 1000 + KEEP_GONE;
            let expires = AttributeValue::N(expires.to_string());
            item.insert("expires".to_owned(), expires);
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = if before.is_empty() {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("seq = :before")
                .expression_attribute_values(":before", AttributeValue::S(before.to_owned()))
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error))
                if matches!(
                    error.err(),
                    PutItemError::ConditionalCheckFailedException(_)
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.failed(pk, &explain_dynamo(&error))),
        }
    }

    fn failed(&self, pk: &str, why: &str) -> StoreError {
        StoreError(format!("table {:?}, size of {pk}: {why}", self.table))
    }
}
