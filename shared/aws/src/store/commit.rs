//! Writing a commit.

use super::item::{Write, key, text, writes};
use super::{DynamoRules, Head, Item, MAX_ACTIONS, explain_dynamo};
use crate::world::{SystemClock, SystemRandom};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, DeleteRequest, Put, TransactWriteItem, Update,
    WriteRequest,
};
use carillon_core::ports::{Change, Clock, CommitError, Random, StoreError};
use std::time::Duration;

/// Most bytes of records in one transaction: DynamoDB takes 4 MB, and counts keys and names of its own.
const MAX_BYTES: usize = 3 * 1024 * 1024;
/// Most bytes of one record, and of the changes in one item of a journal. DynamoDB takes 400 KB; a journal keeps JSON
/// within JSON, whose quotes double at worst.
const MAX_PART: usize = 180 * 1024;
/// Seconds that the receipt of a commit is kept: far longer than anybody tries to learn whether a commit stands.
const RECEIPT_KEPT: i64 = 86_400;
/// How often a commit that met another one in flight is tried again before it gives up.
const TRIES: u32 = 8;

impl DynamoRules {
    pub(super) async fn write(
        &self,
        expected: u64,
        changes: Vec<Change>,
    ) -> Result<u64, CommitError> {
        let writes = writes(&changes);
        if let Some(large) = writes.iter().find(|write| write.len() > MAX_PART) {
            return Err(self
                .failed(
                    "committing",
                    &format!(
                        "{} {:?} takes {} bytes, the limit is 184320: give the rule fewer patterns",
                        large.pk,
                        large.sk,
                        large.len()
                    ),
                )
                .into());
        }
        let random = SystemRandom::default();
        let token = format!("{:016x}{:016x}", random.draw(), random.draw());
        let small = writes.len() <= MAX_ACTIONS - 2
            && writes.iter().map(Write::len).sum::<usize>() <= MAX_BYTES;
        let parts = if small {
            Vec::new()
        } else {
            self.write_journal(&token, &writes).await?
        };
        let actions: Vec<TransactWriteItem> = if small {
            writes
                .iter()
                .map(|write| self.action(write, expected + 1))
                .collect()
        } else {
            Vec::new()
        };
        let journal = (!small).then_some(token.as_str());
        let outcome = self.move_head(expected, &token, journal, actions).await;
        match (&outcome, journal) {
            (Ok(_), Some(journal)) => {
                // The commit stands. Writing it out is only tidying: should it fail, the next commit does it.
                if let Err(error) = self.write_out(journal, expected + 1).await {
                    tracing::warn!(%error, "the journal of a large commit is left to the next commit");
                }
            }
            // Whoever moved the version first wrote out whatever was pending. After any other error the commit may yet
            // stand, and its journal must stay.
            (Err(CommitError::Moved(_)), Some(journal)) => {
                self.forget_journal(journal, &parts).await;
            }
            _ => {}
        }
        outcome
    }

    /// The transaction that makes a commit stand.
    async fn move_head(
        &self,
        expected: u64,
        token: &str,
        journal: Option<&str>,
        actions: Vec<TransactWriteItem>,
    ) -> Result<u64, CommitError> {
        let new = expected + 1;
        let mut last = StoreError(String::new());
        for attempt in 0..TRIES {
            let head = self.head().await?;
            if attempt > 0 && self.stands(&head, new, token).await? {
                return Ok(new);
            }
            if head.version != expected {
                return Err(CommitError::Moved(head.version));
            }
            if let Some(pending) = &head.journal {
                self.write_out(pending, head.version).await?;
            }
            let mut items = vec![
                self.head_action(&head, token, journal),
                self.receipt(new, token),
            ];
            items.extend(actions.iter().cloned());
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items))
                .send()
                .await;
            let Err(error) = sent else { return Ok(new) };
            // Whatever the answer was, and also if none came: the next look at the version item tells whether this
            // commit stands, somebody else's does, or nobody's, and then it is tried again.
            last = self.failed("committing", &explain_transaction(&error));
            tokio::time::sleep(Duration::from_millis(
                (10 << attempt) + SystemRandom::default().draw() % 20,
            ))
            .await;
        }
        let head = self.head().await?;
        if self.stands(&head, new, token).await? {
            return Ok(new);
        }
        if head.version != expected {
            return Err(CommitError::Moved(head.version));
        }
        Err(last.into())
    }

    /// Whether the commit of this token made the version `new`: the version item says so, or, where others have
    /// committed since, the receipt.
    async fn stands(&self, head: &Head, new: u64, token: &str) -> Result<bool, StoreError> {
        if head.version <= new {
            return Ok(head.by == token);
        }
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(receipt_key(new)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("reading a receipt", &explain_dynamo(&error)))?;
        let item = answer.item.unwrap_or_default();
        Ok(text(&item, "by") == Some(token))
    }

    /// The item that tells for a day who made a version.
    fn receipt(&self, version: u64, token: &str) -> TransactWriteItem {
        let expires = SystemClock.now().as_millis().div_euclid(1000) + RECEIPT_KEPT;
        let mut item = receipt_key(version);
        item.insert("by".to_owned(), AttributeValue::S(token.to_owned()));
        item.insert("expires".to_owned(), AttributeValue::N(expires.to_string()));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .build()
            .expect("table and item are set above");
        TransactWriteItem::builder().put(put).build()
    }

    fn head_action(&self, head: &Head, token: &str, journal: Option<&str>) -> TransactWriteItem {
        let set = if journal.is_some() {
            "SET v = :new, #by = :token, journal = :journal"
        } else {
            "SET v = :new, #by = :token"
        };
        let condition = if head.version == 0 {
            "attribute_not_exists(v)"
        } else {
            "v = :old AND attribute_not_exists(journal)"
        };
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key("version", "version")))
            .update_expression(set)
            .condition_expression(condition)
            .expression_attribute_names("#by", "by")
            .expression_attribute_values(":new", number(head.version + 1))
            .expression_attribute_values(":token", AttributeValue::S(token.to_owned()));
        if head.version > 0 {
            update = update.expression_attribute_values(":old", number(head.version));
        }
        if let Some(journal) = journal {
            update = update
                .expression_attribute_values(":journal", AttributeValue::S(journal.to_owned()));
        }
        let update = update
            .build()
            .expect("table, key and expression are set above");
        TransactWriteItem::builder().update(update).build()
    }

    fn action(&self, write: &Write, version: u64) -> TransactWriteItem {
        let builder = TransactWriteItem::builder();
        match &write.doc {
            Some(doc) => {
                let mut item = key(&write.pk, &write.sk);
                item.insert("doc".to_owned(), AttributeValue::S(doc.clone()));
                item.insert("v".to_owned(), number(version));
                let put = Put::builder()
                    .table_name(&self.table)
                    .set_item(Some(item))
                    .build()
                    .expect("table and item are set above");
                builder.put(put).build()
            }
            None => {
                let delete = Delete::builder()
                    .table_name(&self.table)
                    .set_key(Some(key(&write.pk, &write.sk)))
                    .build()
                    .expect("table and key are set above");
                builder.delete(delete).build()
            }
        }
    }

    /// Writes a journal; gives the keys of its parts.
    async fn write_journal(&self, token: &str, writes: &[Write]) -> Result<Vec<Item>, StoreError> {
        let mut parts = Vec::new();
        for (index, part) in split(writes, usize::MAX, MAX_PART).into_iter().enumerate() {
            let doc = serde_json::to_string(part).expect("writes have only string keys");
            let key = key(&format!("journal#{token}"), &format!("{index:06}"));
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(key.clone()))
                .item("doc", AttributeValue::S(doc))
                .send()
                .await
                .map_err(|error| self.failed("writing a journal", &explain_dynamo(&error)))?;
            parts.push(key);
        }
        Ok(parts)
    }

    /// Writes the pending journal out to the records and takes it off the version item. Any number of processes may do
    /// so at once.
    async fn write_out(&self, token: &str, version: u64) -> Result<(), StoreError> {
        let writes = self.journal(token).await?;
        for part in split(&writes, MAX_ACTIONS - 1, MAX_BYTES) {
            let pending = ConditionCheck::builder()
                .table_name(&self.table)
                .set_key(Some(key("version", "version")))
                .condition_expression("journal = :journal")
                .expression_attribute_values(":journal", AttributeValue::S(token.to_owned()))
                .build()
                .expect("table, key and condition are set above");
            let mut items = vec![
                TransactWriteItem::builder()
                    .condition_check(pending)
                    .build(),
            ];
            items.extend(part.iter().map(|write| self.action(write, version)));
            if !self.write_part(token, items).await? {
                return Ok(());
            }
        }
        let taken = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key("version", "version")))
            .update_expression("REMOVE journal")
            .condition_expression("journal = :journal")
            .expression_attribute_values(":journal", AttributeValue::S(token.to_owned()))
            .send()
            .await;
        if let Err(error) = taken
            && self.head().await?.journal.as_deref() == Some(token)
        {
            return Err(self.failed("closing a journal", &explain_dynamo(&error)));
        }
        let parts = split(&writes, usize::MAX, MAX_PART).len();
        let keys: Vec<Item> = (0..parts)
            .map(|index| key(&format!("journal#{token}"), &format!("{index:06}")))
            .collect();
        self.forget_journal(token, &keys).await;
        Ok(())
    }

    /// One transaction of a journal's writes. False when the journal is no longer pending: somebody else wrote it out.
    async fn write_part(
        &self,
        token: &str,
        items: Vec<TransactWriteItem>,
    ) -> Result<bool, StoreError> {
        let mut last = StoreError(String::new());
        for attempt in 0..TRIES {
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .send()
                .await;
            let Err(error) = sent else { return Ok(true) };
            last = self.failed("writing a journal out", &explain_transaction(&error));
            if self.head().await?.journal.as_deref() != Some(token) {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(
                (10 << attempt) + SystemRandom::default().draw() % 20,
            ))
            .await;
        }
        Err(last)
    }

    /// Deletes the parts of a journal that is not pending. What stays behind after a failure is never read.
    async fn forget_journal(&self, token: &str, parts: &[Item]) {
        for keys in parts.chunks(25) {
            let requests = keys.iter().map(|key| {
                let delete = DeleteRequest::builder()
                    .set_key(Some(key.clone()))
                    .build()
                    .expect("the key is set");
                WriteRequest::builder().delete_request(delete).build()
            });
            let sent = self
                .client
                .batch_write_item()
                .request_items(&self.table, requests.collect())
                .send()
                .await;
            if let Err(error) = sent {
                tracing::debug!(
                    token,
                    error = explain_dynamo(&error),
                    "parts of a journal stay behind"
                );
            }
        }
    }
}

/// Splits into runs of at most `most` writes and `bytes` bytes.
fn split(writes: &[Write], most: usize, bytes: usize) -> Vec<&[Write]> {
    let mut runs = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (index, write) in writes.iter().enumerate() {
        if index > from && (index - from == most || size + write.len() > bytes) {
            runs.push(&writes[from..index]);
            (from, size) = (index, 0);
        }
        size += write.len();
    }
    if from < writes.len() {
        runs.push(&writes[from..]);
    }
    runs
}

fn receipt_key(version: u64) -> Item {
    key("version", &format!("commit#{version:020}"))
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The reasons of a cancelled transaction stand in a list of their own.
fn explain_transaction<R: std::fmt::Debug>(
    error: &aws_sdk_dynamodb::error::SdkError<TransactWriteItemsError, R>,
) -> String {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            let reasons: Vec<&str> = cancelled
                .cancellation_reasons()
                .iter()
                .filter_map(|reason| reason.code())
                .filter(|code| *code != "None")
                .collect();
            format!("the transaction was cancelled: {}", reasons.join(", "))
        }
        _ => explain_dynamo(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(count: usize, bytes: usize) -> Vec<Write> {
        (0..count)
            .map(|index| Write {
                pk: "rules".to_owned(),
                sk: format!("oss#{index}"),
                doc: Some("x".repeat(bytes)),
            })
            .collect()
    }

    #[test]
    fn runs_hold_everything_in_order_within_both_bounds() {
        for (count, bytes, most, limit) in [
            (0, 10, 5, 1000),
            (1, 5000, 5, 1000),
            (99, 10, 99, 1 << 20),
            (100, 10, 99, 1 << 20),
            (250, 300, 99, 10_000),
        ] {
            let writes = some(count, bytes);
            let runs = split(&writes, most, limit);
            assert_eq!(runs.concat(), writes);
            for run in runs {
                assert!(!run.is_empty() && run.len() <= most);
                assert!(run.len() == 1 || run.iter().map(Write::len).sum::<usize>() <= limit);
            }
        }
    }
}
