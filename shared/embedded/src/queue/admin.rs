//! Making, changing, listing and deleting users' queues, and looking into them.

use super::QueueChange;
use crate::store::{Ledger, Outcome, Store};
use carillon_core::event::{MessageId, Timestamp};
use carillon_core::ports::{
    Message, QueueAdmin, QueueAttributes, QueueError, QueueStatistics, UserQueue,
};
use carillon_core::topic::QueueName;
use rusqlite::{Connection, OptionalExtension as _, Row};
use std::sync::PoisonError;

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

impl Store {
    async fn describe(
        &self,
        which: &'static str,
        argument: String,
    ) -> Result<Vec<UserQueue>, QueueError> {
        let totals = self.inner.shared.totals.clone();
        let now = self.inner.shared.settings.clock.now();
        let read = self.read(move |conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT id, name, attributes, created, modified FROM queues WHERE {which} ORDER BY name"
            ))?;
            let mut rows = query.query([&argument])?;
            let mut queues = Vec::new();
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                let total = {
                    let totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    totals.get(&id).copied().unwrap_or(0)
                };
                queues.push(user_queue(conn, row, total, now)?);
            }
            Ok(queues)
        });
        read.await.map_err(|outage| super::unavailable(&outage))
    }
}

fn user_queue(
    conn: &Connection,
    row: &Row<'_>,
    total: u64,
    now: Timestamp,
) -> rusqlite::Result<UserQueue> {
    let id: i64 = row.get(0)?;
    let name: String = row.get(1)?;
    let attributes = read_attributes(&row.get::<_, String>(2)?)?;
    let (inactive, delayed) = invisible(conn, id, now)?;
    let expired = expired(conn, id, &attributes, now)?;
    Ok(UserQueue {
        name: QueueName::parse(&name).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                1,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        attributes,
        created: Timestamp::from_millis(row.get(3)?),
        modified: Timestamp::from_millis(row.get(4)?),
        statistics: QueueStatistics {
            active: total.saturating_sub(inactive + delayed + expired),
            inactive,
            delayed,
        },
    })
}

/// How many messages are received, and how many delayed. Those are few beside a backlog, so they are counted and the
/// rest is what remains of the total.
fn invisible(conn: &Connection, queue: i64, now: Timestamp) -> rusqlite::Result<(u64, u64)> {
    let mut counted = (0, 0);
    for priority in 1..=16u8 {
        let (all, delayed): (u64, u64) = conn
            .prepare_cached(
                "SELECT count(*), coalesce(sum(receive_count = 0), 0) FROM queue_messages \
                 WHERE queue = ?1 AND priority = ?2 AND due > ?3",
            )?
            .query_row((queue, priority, now.as_millis()), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        counted.0 += all - delayed;
        counted.1 += delayed;
    }
    Ok(counted)
}

/// Visible messages that are past their retention, and only still there because nobody has swept them away.
fn expired(
    conn: &Connection,
    queue: i64,
    attributes: &QueueAttributes,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    conn.prepare_cached(
        "SELECT count(*) FROM queue_messages INDEXED BY queue_age WHERE queue = ?1 AND enqueued <= ?2 AND due <= ?3",
    )?
    .query_row(
        (queue, end_of_life(attributes, now), now.as_millis()),
        |row| row.get(0),
    )
}

/// Messages sent then or earlier have expired.
pub(super) fn end_of_life(attributes: &QueueAttributes, now: Timestamp) -> i64 {
    now.as_millis() - i64::from(attributes.message_retention_period) * 1000
}

/// Looks at visible messages without taking them.
pub(super) fn peek(
    conn: &Connection,
    name: &str,
    max: usize,
    now: Timestamp,
) -> rusqlite::Result<Result<Vec<Message>, QueueError>> {
    let queue: Option<(i64, String)> = conn
        .prepare_cached("SELECT id, attributes FROM queues WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((queue, attributes)) = queue else {
        return Ok(Err(QueueError::NotExist(name.to_owned())));
    };
    let attributes = read_attributes(&attributes)?;
    let mut query = conn.prepare_cached(
        "SELECT m.id, b.body, m.enqueued, m.first_received, m.due, m.receive_count \
         FROM queue_messages m JOIN queue_bodies b ON b.seq = m.seq \
         WHERE m.queue = ?1 AND m.priority = ?2 AND m.due <= ?3 AND m.enqueued > ?4 ORDER BY m.due, m.seq LIMIT ?5",
    )?;
    let mut messages = Vec::new();
    for priority in 1..=16u8 {
        let left = i64::try_from(max - messages.len()).unwrap_or(i64::MAX);
        let mut rows = query.query((
            queue,
            priority,
            now.as_millis(),
            end_of_life(&attributes, now),
            left,
        ))?;
        while let Some(row) = rows.next()? {
            let enqueued = Timestamp::from_millis(row.get(2)?);
            messages.push(Message {
                id: MessageId::from_bits(u128::from_be_bytes(row.get(0)?)).to_string(),
                body: row.get(1)?,
                receipt: None,
                enqueued,
                first_received: row
                    .get::<_, Option<i64>>(3)?
                    .map_or(enqueued, Timestamp::from_millis),
                next_visible: Timestamp::from_millis(row.get(4)?),
                receive_count: row.get(5)?,
                priority,
            });
        }
    }
    Ok(Ok(messages))
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
        // Housekeeping begins with the next transaction.
        Ok(Ok(true))
    }
}
