//! Dead letters: kept until an operator sends them again or deletes them.

mod query;
mod redrive;

pub(crate) use query::read_cursor;

use crate::store::{Ledger, Store};
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::event::MessageId;
use carillon_core::ports::{DeadLetterStore, StoreError};

#[async_trait::async_trait]
impl DeadLetterStore for Store {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        let bytes = letters.iter().map(weight).sum();
        self.write(bytes, move |ledger| {
            for letter in &letters {
                ledger.insert_dead_letter(letter)?;
            }
            Ok(Ok(()))
        })
        .await
    }
}

/// Bytes that a letter carries, near enough.
fn weight(letter: &DeadLetter) -> usize {
    match &letter.content {
        DeadLetterContent::Delivery(delivery) => delivery.notification.body.len(),
        DeadLetterContent::Record { body, .. } => body.len(),
    }
}

/// A message id as the tables hold it.
pub(crate) fn id_bytes(id: &MessageId) -> [u8; 16] {
    u128::from_str_radix(&id.to_string(), 16)
        .expect("a message id prints as 32 hex digits")
        .to_be_bytes()
}

impl Ledger {
    /// Keeps one letter, in the running transaction.
    pub(crate) fn insert_dead_letter(&mut self, letter: &DeadLetter) -> rusqlite::Result<()> {
        let content = serde_json::to_string(&letter.content)
            .expect("dead letters have only string keys and finite numbers");
        let delivery = match &letter.content {
            DeadLetterContent::Delivery(delivery) => Some(delivery),
            DeadLetterContent::Record { .. } => None,
        };
        self.run(
            "INSERT INTO dead_letters (at, product, rule, topic, subscription, message_id, reason, content) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                letter.at.as_millis(),
                delivery.map(|delivery| delivery.notification.product.as_str()),
                delivery.map(|delivery| delivery.notification.rule.as_str()),
                delivery.map(|delivery| delivery.topic.as_str()),
                delivery.map(|delivery| delivery.subscription.as_str()),
                delivery.map(|delivery| id_bytes(&delivery.notification.message_id)),
                &letter.reason,
                content,
            ),
        )
        .map(drop)
    }
}
