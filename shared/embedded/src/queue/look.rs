//! Looking at users' queues without touching them: attributes, numbers, peeks. On the readers' connections.

use super::admin::read_attributes;
use super::send::properties;
use crate::store::Store;
use carillon_core::event::{MessageId, Timestamp};
use carillon_core::ports::{Message, QueueAttributes, QueueError, QueueStatistics, UserQueue};
use carillon_core::topic::QueueName;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};

impl Store {
    /// The queues of which the SQL condition `which` holds, in order of name.
    pub(super) async fn describe(
        &self,
        which: &'static str,
        argument: String,
    ) -> Result<Vec<UserQueue>, QueueError> {
        let now = self.inner.shared.settings.clock.now();
        let settled = self.settle_messages().await;
        settled.map_err(|outage| super::unavailable(&outage))?;
        let read = self.read(move |conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT id, name, attributes, created, modified, messages FROM queues WHERE {which} ORDER BY name"
            ))?;
            let mut rows = query.query([&argument])?;
            let mut queues = Vec::new();
            while let Some(row) = rows.next()? {
                queues.push(user_queue(conn, row, now)?);
            }
            Ok(queues)
        });
        read.await.map_err(|outage| super::unavailable(&outage))
    }
}

fn user_queue(conn: &Connection, row: &Row<'_>, now: Timestamp) -> rusqlite::Result<UserQueue> {
    let id: i64 = row.get(0)?;
    let name: String = row.get(1)?;
    let attributes = read_attributes(&row.get::<_, String>(2)?)?;
    Ok(UserQueue {
        name: QueueName::parse(&name).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error))
        })?,
        created: Timestamp::from_millis(row.get(3)?),
        modified: Timestamp::from_millis(row.get(4)?),
        statistics: statistics(conn, id, row.get(5)?, end_of_life(&attributes, now), now)?,
        attributes,
    })
}

/// Received, delayed and expired messages are few beside a backlog: they are counted, and the rest of the `total` is
/// visible.
fn statistics(
    conn: &Connection,
    queue: i64,
    total: u64,
    end: i64,
    now: Timestamp,
) -> rusqlite::Result<QueueStatistics> {
    let expired: u64 = conn
        .prepare_cached("SELECT count(*) FROM queue_messages INDEXED BY queue_age WHERE queue = ?1 AND enqueued <= ?2")?
        .query_row((queue, end), |row| row.get(0))?;
    let mut numbers = QueueStatistics::default();
    for priority in 1..=16u8 {
        let (all, delayed): (u64, u64) = conn
            .prepare_cached(
                "SELECT count(*), coalesce(sum(receive_count = 0), 0) FROM queue_messages \
                 WHERE queue = ?1 AND priority = ?2 AND due > ?3 AND enqueued > ?4",
            )?
            .query_row((queue, priority, now.as_millis(), end), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        numbers.inactive += all - delayed;
        numbers.delayed += delayed;
    }
    numbers.active = total.saturating_sub(expired + numbers.inactive + numbers.delayed);
    Ok(numbers)
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
    let end = end_of_life(&read_attributes(&attributes)?, now);
    let mut query = conn.prepare_cached(
        "SELECT m.id, b.body, m.enqueued, m.first_received, m.due, m.receive_count, b.properties \
         FROM queue_messages m JOIN queue_bodies b ON b.seq = m.seq \
         WHERE m.queue = ?1 AND m.priority = ?2 AND m.due <= ?3 AND m.enqueued > ?4 ORDER BY m.due, m.seq LIMIT ?5",
    )?;
    let mut messages = Vec::new();
    for priority in 1..=16u8 {
        let left = i64::try_from(max - messages.len()).unwrap_or(i64::MAX);
        let mut rows = query.query((queue, priority, now.as_millis(), end, left))?;
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
                properties: properties(row, 6)?,
            });
        }
    }
    Ok(Ok(messages))
}
