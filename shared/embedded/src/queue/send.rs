//! Sending to users' queues.

use crate::store::{Ledger, Outcome, Store};
use carillon_core::event::{MessageId, Timestamp};
use carillon_core::ports::{Message, OutgoingMessage, QueueError, QueueSender, UserProperty};
use carillon_core::topic::QueueName;
use rusqlite::types::Type;
use std::time::Duration;

/// Longest delay of a message (MNS limits).
const LONGEST_DELAY: Duration = Duration::from_secs(604_800);

#[async_trait::async_trait]
impl QueueSender for Store {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        let count = messages.len();
        let bytes = messages.iter().map(OutgoingMessage::size).sum();
        let name = queue.as_str().to_owned();
        let sent = self
            .write(bytes, move |ledger| ledger.send_to_queue(&name, messages))
            .await;
        match sent {
            Ok(results) => results,
            Err(error) => vec![Err(error); count],
        }
    }
}

impl Ledger {
    pub(super) fn send_to_queue(
        &mut self,
        name: &str,
        messages: Vec<OutgoingMessage>,
    ) -> Outcome<Vec<Result<String, QueueError>>, QueueError> {
        let memory = match self.queues.get(name) {
            Ok(memory) => memory,
            Err(error) => return Ok(Err(error)),
        };
        let queue = memory.id;
        let limit = memory.attributes.maximum_message_size;
        let standard_delay = Duration::from_secs(u64::from(memory.attributes.delay_seconds));
        let mut results = Vec::with_capacity(messages.len());
        let mut stored = 0;
        for message in messages {
            let len = message.size();
            if len > limit as usize {
                results.push(Err(QueueError::TooLarge {
                    queue: name.to_owned(),
                    len,
                    limit,
                }));
                continue;
            }
            let delay = if message.delay.is_zero() && !message.at_once {
                standard_delay
            } else {
                message.delay
            };
            let priority = message.priority.unwrap_or(Message::DEFAULT_PRIORITY);
            if delay > LONGEST_DELAY || !(1..=16).contains(&priority) {
                results.push(Err(QueueError::Refused(format!(
                    "queue {name}, DelaySeconds {} and Priority {priority}: they must be 0 to 604800 and 1 to 16",
                    delay.as_secs()
                ))));
                continue;
            }
            let id = self.insert_message(queue, priority, self.now.plus(delay), &message)?;
            stored += 1;
            results.push(Ok(id.to_string()));
        }
        if stored > 0 {
            self.effects.totals.push((queue, stored));
        }
        Ok(Ok(results))
    }

    /// A message's id: its own, or drawn.
    pub(super) fn message_id(&self, message: &OutgoingMessage) -> u128 {
        if let Some(id) = message.id {
            return id.bits();
        }
        (u128::from(self.settings.random.draw()) << 64) | u128::from(self.settings.random.draw())
    }

    fn insert_message(
        &mut self,
        queue: i64,
        priority: u8,
        due: Timestamp,
        message: &OutgoingMessage,
    ) -> rusqlite::Result<MessageId> {
        let seq = self.seq();
        let bits = self.message_id(message);
        self.run(
            "INSERT INTO queue_messages (seq, queue, priority, due, enqueued, receive_count, id) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
            (seq, queue, priority, due.as_millis(), self.now.as_millis(), bits.to_be_bytes()),
        )?;
        self.run(
            "INSERT INTO queue_bodies (seq, body, properties) VALUES (?1, ?2, ?3)",
            (seq, &message.body, written(&message.properties)),
        )?;
        self.touch(queue, priority);
        Ok(MessageId::from_bits(bits))
    }

    /// Writes how many messages each queue holds; once a transaction, however many came and went.
    pub(crate) fn write_totals(&mut self) -> rusqlite::Result<()> {
        let mut totals = std::mem::take(&mut self.effects.totals);
        totals.sort_unstable();
        for of_queue in totals.chunk_by(|a, b| a.0 == b.0) {
            let change: i64 = of_queue.iter().map(|&(_, change)| change).sum();
            self.run(
                "UPDATE queues SET messages = messages + ?2 WHERE id = ?1",
                (of_queue[0].0, change),
            )?;
        }
        Ok(())
    }

    /// Notes that a queue may have something for those who wait.
    pub(super) fn touch(&mut self, queue: i64, priority: u8) {
        if self.effects.touched.last() != Some(&(queue, priority)) {
            self.effects.touched.push((queue, priority));
        }
    }
}

/// Properties as their column has them.
fn written(properties: &[UserProperty]) -> Option<String> {
    (!properties.is_empty()).then(|| {
        serde_json::to_string(properties).expect("properties are texts, which JSON always holds")
    })
}

/// Reads what [`written`] wrote, from the column at this place of the row.
pub(super) fn properties(
    row: &rusqlite::Row<'_>,
    place: usize,
) -> rusqlite::Result<Vec<UserProperty>> {
    let Some(text) = row.get_ref(place)?.as_str_or_null()? else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(place, Type::Text, Box::new(error))
    })
}
