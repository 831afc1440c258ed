//! Making, changing, listing and deleting users' queues.

use super::QueueChange;
use crate::store::{Ledger, Outcome, Store};
use carillon_core::ports::{QueueAdmin, QueueAttributes, QueueError, UserQueue};
use carillon_core::topic::QueueName;
use rusqlite::OptionalExtension as _;

#[async_trait::async_trait]
impl QueueAdmin for Store {
    async fn create(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<bool, QueueError> {
        check_attributes(queue, &attributes)?;
        let name = queue.as_str().to_owned();
        self.write(0, move |ledger| ledger.create_queue(name, attributes))
            .await
    }

    async fn set_attributes(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<(), QueueError> {
        check_attributes(queue, &attributes)?;
        let name = queue.as_str().to_owned();
        self.write(0, move |ledger| ledger.change_queue(name, attributes))
            .await
    }

    async fn get(&self, queue: &QueueName) -> Result<UserQueue, QueueError> {
        let name = queue.as_str().to_owned();
        let wanted = name.clone();
        let found = self.describe("name = ?1", name).await?;
        found.into_iter().next().ok_or(QueueError::NotExist(wanted))
    }

    async fn delete(&self, queue: &QueueName) -> Result<bool, QueueError> {
        let name = queue.as_str().to_owned();
        self.write(0, move |ledger| ledger.delete_queue(name)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<UserQueue>, QueueError> {
        // Names are ASCII letters, digits and hyphens, so a comparison of the first characters is one of bytes.
        self.describe(
            "substr(name, 1, length(?1)) = ?1 AND name IS NOT NULL",
            prefix.to_owned(),
        )
        .await
    }
}

/// Holds attributes to the limits of MNS.
fn check_attributes(queue: &QueueName, attributes: &QueueAttributes) -> Result<(), QueueError> {
    let receptions = attributes.max_receive_count.unwrap_or(1);
    let limits = [
        ("DelaySeconds", attributes.delay_seconds, 0, 604_800),
        (
            "MaximumMessageSize",
            attributes.maximum_message_size,
            1_024,
            65_536,
        ),
        (
            "MessageRetentionPeriod",
            attributes.message_retention_period,
            60,
            604_800,
        ),
        (
            "VisibilityTimeout",
            attributes.visibility_timeout,
            1,
            43_200,
        ),
        ("PollingWaitSeconds", attributes.polling_wait_seconds, 0, 30),
        ("MaxReceiveCount", receptions, 1, u32::MAX),
    ];
    for (field, value, least, most) in limits {
        if value < least || value > most {
            return Err(QueueError::Refused(format!(
                "queue {queue}, {field} {value}: it must be {least} to {most}"
            )));
        }
    }
    if attributes.dead_letter_queue.as_ref() == Some(queue) {
        return Err(QueueError::Refused(format!(
            "queue {queue}, DeadLetterTargetQueue {queue}: a queue cannot be its own dead-letter queue, name another"
        )));
    }
    Ok(())
}

/// The attributes as they stand in the table.
pub(super) fn read_attributes(json: &str) -> rusqlite::Result<QueueAttributes> {
    serde_json::from_str(json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn write_attributes(attributes: &QueueAttributes) -> String {
    serde_json::to_string(attributes).expect("attributes are numbers, booleans and strings")
}

impl Ledger {
    fn find_queue(&self, name: &str) -> rusqlite::Result<Option<(i64, QueueAttributes)>> {
        let found: Option<(i64, String)> = self
            .conn
            .prepare_cached("SELECT id, attributes FROM queues WHERE name = ?1")?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found
            .map(|(id, json)| Ok((id, read_attributes(&json)?)))
            .transpose()
    }

    fn create_queue(
        &mut self,
        name: String,
        attributes: QueueAttributes,
    ) -> Outcome<bool, QueueError> {
        if let Some((_, held)) = self.find_queue(&name)? {
            return Ok(if held == attributes {
                Ok(false)
            } else {
                Err(QueueError::AlreadyExist(name))
            });
        }
        self.run(
            "INSERT INTO queues (name, attributes, created, modified) VALUES (?1, ?2, ?3, ?3)",
            (&name, write_attributes(&attributes), self.now.as_millis()),
        )?;
        let id = self.conn.last_insert_rowid();
        self.effects.changed_queues.push(QueueChange {
            name,
            to: Some((id, attributes)),
        });
        Ok(Ok(true))
    }

    fn change_queue(
        &mut self,
        name: String,
        attributes: QueueAttributes,
    ) -> Outcome<(), QueueError> {
        let Some((id, _)) = self.find_queue(&name)? else {
            return Ok(Err(QueueError::NotExist(name)));
        };
        self.run(
            "UPDATE queues SET attributes = ?2, modified = ?3 WHERE id = ?1",
            (id, write_attributes(&attributes), self.now.as_millis()),
        )?;
        self.effects.changed_queues.push(QueueChange {
            name,
            to: Some((id, attributes)),
        });
        Ok(Ok(()))
    }

    fn delete_queue(&mut self, name: String) -> Outcome<bool, QueueError> {
        // Only the name goes at once; ten million messages would hold up everybody else. They are swept away later.
        let gone = self.run("UPDATE queues SET name = NULL WHERE name = ?1", [&name])?;
        if gone == 0 {
            return Ok(Ok(false));
        }
        self.effects
            .changed_queues
            .push(QueueChange { name, to: None });
        Ok(Ok(true))
    }
}
