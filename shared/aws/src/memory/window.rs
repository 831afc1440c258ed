//! Events accepted lately.

use super::{MAX_READ, PATIENCE, key, read, text};
use crate::Clients;
use crate::clients::Lazy;
use crate::put::put_all;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::event::{EventId, Timestamp};
use carillon_core::ports::{DuplicateWindow, StoreError};
use std::collections::HashSet;

/// The duplicate window in the table: a read and a write unit an event. The mark needs no condition: it is made after
/// the event is sent, when it is too late to hold the event back.
#[derive(Clone, Debug)]
pub struct DynamoWindow {
    client: Lazy<Client>,
    table: String,
}

impl DynamoWindow {
    /// The window in this table.
    #[must_use]
    pub fn new(clients: &Clients, table: &str) -> Self {
        DynamoWindow {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
        }
    }

    fn failed(&self, why: &str) -> StoreError {
        StoreError(format!(
            "table {:?}, marking accepted events: {why}",
            self.table
        ))
    }
}

fn partition(id: &EventId) -> String {
    format!("accepted#{id}")
}

#[async_trait::async_trait]
impl DuplicateWindow for DynamoWindow {
    async fn known(&self, ids: &[EventId], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let known = tokio::time::timeout(PATIENCE, self.look_up(ids, now)).await;
        known.unwrap_or_else(|_| Err(self.failed("the table gave no answer in time")))
    }

    async fn mark(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError> {
        let marked = tokio::time::timeout(PATIENCE, self.write(ids, until)).await;
        marked.unwrap_or_else(|_| Err(self.failed("the table gave no answer in time")))
    }
}

impl DynamoWindow {
    async fn look_up(&self, ids: &[EventId], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let distinct: HashSet<EventId> = ids.iter().copied().collect();
        let distinct: Vec<EventId> = distinct.into_iter().collect();
        let mut standing: HashSet<String> = HashSet::new();
        for chunk in distinct.chunks(MAX_READ) {
            let keys = chunk.iter().map(|id| key(&partition(id), "accepted"));
            let found = read(&self.client, &self.table, keys.collect(), true).await?;
            // The table deletes what has expired in its own time: the clock decides.
            standing.extend(
                found
                    .iter()
                    .filter(|item| {
                        item.get("until")
                            .and_then(|until| until.as_n().ok())
                            .and_then(|until| until.parse::<i64>().ok())
                            .is_some_and(|until| until > now.as_millis())
                    })
                    .map(|item| text(item, "pk").to_owned()),
            );
        }
        Ok(ids
            .iter()
            .map(|id| standing.contains(&partition(id)))
            .collect())
    }

    async fn write(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError> {
        // One request names no item twice.
        let ids: HashSet<EventId> = ids.into_iter().collect();
        let items = ids.iter().map(|id| {
            let mut item = key(&partition(id), "accepted");
            let millis = until.as_millis();
            item.insert("until".to_owned(), AttributeValue::N(millis.to_string()));
            let seconds = millis.div_euclid(1000) + 1;
            item.insert("expires".to_owned(), AttributeValue::N(seconds.to_string()));
            item
        });
        put_all(&self.client, &self.table, items.collect())
            .await
            .map_err(|why| self.failed(&why))
    }
}
