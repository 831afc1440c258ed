//! Receiving from users' queues: visibility, receipts, dead-letter queues, and those who wait.

use super::look::end_of_life;
use super::send::properties;
use super::{read_receipt, receipt, void};
use crate::store::{Job, Ledger, Outcome, Store};
use carillon_core::event::{MessageId, Timestamp};
use carillon_core::ports::{Message, QueueConsumer, QueueError, Receipt, UserProperty};
use carillon_core::topic::QueueName;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest visibility timeout (MNS limits).
const LONGEST_VISIBILITY: Duration = Duration::from_secs(43_200);
/// Longest wait of a receive (MNS limits).
const LONGEST_POLL: Duration = Duration::from_secs(30);

type Reply = oneshot::Sender<Result<Vec<Message>, QueueError>>;

/// Somebody who wants messages.
pub(crate) struct Reception {
    queue: String,
    max: usize,
    wait: Option<Duration>,
    /// When the wait ends; set when it begins.
    deadline: Timestamp,
    reply: Reply,
}

impl Reception {
    pub(super) fn refuse(self, error: QueueError) {
        // Whoever asked may have gone.
        let _ = self.reply.send(Err(error));
    }
}

/// Somebody who gets messages, or is told that none came.
pub(crate) struct Served {
    pub(crate) reply: Reply,
    pub(crate) outcome: Result<Vec<Message>, QueueError>,
}

/// A row of `queue_messages` and its body.
struct Row {
    seq: i64,
    enqueued: Timestamp,
    first_received: Option<Timestamp>,
    receive_count: u32,
    id: u128,
    body: String,
    properties: Vec<UserProperty>,
}

#[async_trait::async_trait]
impl QueueConsumer for Store {
    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<Message>, QueueError> {
        let (reply, told) = oneshot::channel();
        let reception = Reception {
            queue: queue.as_str().to_owned(),
            max,
            wait,
            deadline: Timestamp::default(),
            reply,
        };
        let pushed = self
            .inner
            .shared
            .inbox
            .push(Job::Receive(reception), 0)
            .await;
        pushed.map_err(|outage| super::unavailable(&outage))?;
        told.await
            .unwrap_or_else(|_| Err(super::unavailable(&crate::store::Outage::closed())))
    }

    async fn peek(&self, queue: &QueueName, max: usize) -> Result<Vec<Message>, QueueError> {
        let name = queue.as_str().to_owned();
        let now = self.inner.shared.settings.clock.now();
        let settled = self.settle_messages().await;
        settled.map_err(|outage| super::unavailable(&outage))?;
        let read = self
            .read(move |conn| super::look::peek(conn, &name, max, now))
            .await;
        read.unwrap_or_else(|outage| Err(super::unavailable(&outage)))
    }

    async fn delete(
        &self,
        queue: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let name = queue.as_str().to_owned();
        let receipts = receipts.to_vec();
        self.write(0, move |ledger| ledger.delete_messages(&name, &receipts))
            .await
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(Receipt, Timestamp), QueueError> {
        let name = queue.as_str().to_owned();
        let receipt = receipt.clone();
        self.write(0, move |ledger| {
            ledger.change_visibility(&name, &receipt, visibility)
        })
        .await
    }
}

impl Ledger {
    /// Lines up those who want messages.
    pub(crate) fn park(&mut self, receptions: Vec<Reception>) {
        for mut reception in receptions {
            let Some(memory) = self.queues.by_name.get_mut(&reception.queue) else {
                let name = reception.queue.clone();
                reception.refuse(QueueError::NotExist(name));
                continue;
            };
            let own = Duration::from_secs(u64::from(memory.attributes.polling_wait_seconds));
            let wait = reception.wait.unwrap_or(own).min(LONGEST_POLL);
            reception.deadline = self.now.plus(wait);
            memory.received = Some(Instant::now());
            self.queues.look.insert(memory.id);
            memory.waiting.push_back(reception);
        }
    }

    /// Notes which queues are to be looked at.
    pub(crate) fn note_touched(&mut self) {
        for (queue, priority) in std::mem::take(&mut self.effects.touched) {
            let name = self.queues.names.get(&queue);
            if let Some(memory) = name.and_then(|name| self.queues.by_name.get_mut(name)) {
                memory.priorities |= 1 << priority;
                self.queues.look.insert(queue);
            }
        }
    }

    /// Serves those who wait, at every queue where something may have changed.
    pub(crate) fn serve_queues(&mut self, served: &mut Vec<Served>) -> rusqlite::Result<()> {
        loop {
            self.note_touched();
            while let Some(&(due, queue)) = self.queues.timers.first() {
                if due > self.now {
                    break;
                }
                self.queues.timers.pop_first();
                self.queues.look.insert(queue);
            }
            // Serving one queue may move messages to another (its dead-letter queue), which then has its turn.
            let Some(queue) = self.queues.look.pop_first() else {
                return Ok(());
            };
            self.serve_queue(queue, served)?;
        }
    }

    fn serve_queue(&mut self, queue: i64, served: &mut Vec<Served>) -> rusqlite::Result<()> {
        let Some(name) = self.queues.name(queue).cloned() else {
            return Ok(());
        };
        let mut waiting = match self.queues.by_name.get_mut(&name) {
            Some(memory) => std::mem::take(&mut memory.waiting),
            None => return Ok(()),
        };
        let mut fault = None;
        while let Some(reception) = waiting.front() {
            if reception.reply.is_closed() {
                waiting.pop_front();
                continue;
            }
            let messages = match self.take_visible(&name, reception.max) {
                Ok(messages) => messages,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            };
            if messages.is_empty() && reception.max > 0 {
                break;
            }
            if let Some(Reception { reply, .. }) = waiting.pop_front() {
                served.push(Served {
                    reply,
                    outcome: Ok(messages),
                });
            }
        }
        // Deadlines differ, so any of those who wait may be the next to give up.
        let now = self.now;
        let mut still = std::collections::VecDeque::with_capacity(waiting.len());
        for reception in waiting {
            if fault.is_none() && reception.deadline <= now {
                served.push(Served {
                    reply: reception.reply,
                    outcome: Ok(Vec::new()),
                });
            } else {
                still.push_back(reception);
            }
        }
        let deadline = still.iter().map(|reception| reception.deadline).min();
        let due = match (deadline, &fault) {
            (Some(_), None) => self.next_due(&name)?,
            _ => None,
        };
        if let Some(memory) = self.queues.by_name.get_mut(&name) {
            memory.waiting = still;
            let next = deadline.map(|deadline| due.map_or(deadline, |due| due.min(deadline)));
            if let Some(old) = memory.armed.take() {
                self.queues.timers.remove(&(old, queue));
            }
            if let Some(next) = next {
                self.queues.timers.insert((next, queue));
                memory.armed = Some(next);
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// When the next message of the queue becomes visible.
    fn next_due(&self, name: &str) -> rusqlite::Result<Option<Timestamp>> {
        let Ok(memory) = self.queues.get(name) else {
            return Ok(None);
        };
        let mut next: Option<i64> = None;
        for priority in priorities(memory.priorities) {
            let due: Option<i64> = self
                .conn
                .prepare_cached("SELECT min(due) FROM queue_messages WHERE queue = ?1 AND priority = ?2 AND due > ?3")?
                .query_row((memory.id, priority, self.now.as_millis()), |row| row.get(0))?;
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(next.map(Timestamp::from_millis))
    }

    /// Takes up to `max` visible messages: highest priority first, then the longest visible.
    fn take_visible(&mut self, name: &str, max: usize) -> rusqlite::Result<Vec<Message>> {
        let Ok(memory) = self.queues.get(name) else {
            return Ok(Vec::new());
        };
        let queue = memory.id;
        let attributes = memory.attributes.clone();
        let fresh = u32::from(!memory.fresh.is_empty()) << Message::DEFAULT_PRIORITY;
        let held = memory.priorities;
        // A queue is not its own dead-letter queue, and a missing one keeps the message where it is.
        let dead_letter = attributes.dead_letter_queue.as_ref().and_then(|target| {
            let target = self.queues.get(target.as_str()).ok()?;
            Some((target.id, attributes.max_receive_count?)).filter(|_| target.id != queue)
        });
        let expired = end_of_life(&attributes, self.now);
        let next_visible = self.now.plus(Duration::from_secs(u64::from(
            attributes.visibility_timeout.max(1),
        )));
        let mut taken = Vec::new();
        for priority in priorities(held | fresh) {
            while taken.len() < max && held & (1 << priority) != 0 {
                let rows = self.visible_rows(queue, priority, max - taken.len())?;
                if rows.is_empty() {
                    break;
                }
                for row in rows {
                    if row.enqueued.as_millis() <= expired {
                        self.remove_message(queue, row.seq)?;
                    } else if let Some((target, _)) =
                        dead_letter.filter(|&(_, limit)| row.receive_count >= limit)
                    {
                        self.move_message(queue, target, row.seq, priority)?;
                    } else {
                        taken.push(self.lease(row, priority, next_visible)?);
                    }
                }
            }
            if priority == Message::DEFAULT_PRIORITY {
                // They came after all of their priority that are in the table.
                self.take_fresh(name, max, next_visible, &mut taken);
            }
        }
        Ok(taken)
    }

    fn visible_rows(&self, queue: i64, priority: u8, limit: usize) -> rusqlite::Result<Vec<Row>> {
        let mut query = self.conn.prepare_cached(
            "SELECT m.seq, m.enqueued, m.first_received, m.receive_count, m.id, b.body, b.properties \
             FROM queue_messages m JOIN queue_bodies b ON b.seq = m.seq \
             WHERE m.queue = ?1 AND m.priority = ?2 AND m.due <= ?3 ORDER BY m.due, m.seq LIMIT ?4",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        query
            .query_map((queue, priority, self.now.as_millis(), limit), |row| {
                Ok(Row {
                    seq: row.get(0)?,
                    enqueued: Timestamp::from_millis(row.get(1)?),
                    first_received: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
                    receive_count: row.get(3)?,
                    id: u128::from_be_bytes(row.get(4)?),
                    body: row.get(5)?,
                    properties: properties(row, 6)?,
                })
            })?
            .collect()
    }

    fn lease(
        &mut self,
        row: Row,
        priority: u8,
        next_visible: Timestamp,
    ) -> rusqlite::Result<Message> {
        let lease = self.draw();
        let first_received = row.first_received.unwrap_or(self.now);
        let receive_count = row.receive_count.saturating_add(1);
        self.run(
            "UPDATE queue_messages SET due = ?2, first_received = ?3, receive_count = ?4, lease = ?5 WHERE seq = ?1",
            (row.seq, next_visible.as_millis(), first_received.as_millis(), receive_count, lease),
        )?;
        Ok(Message {
            id: MessageId::from_bits(row.id).to_string(),
            body: row.body,
            receipt: Some(receipt(row.seq, lease)),
            enqueued: row.enqueued,
            first_received,
            next_visible,
            receive_count,
            priority,
            properties: row.properties,
        })
    }

    /// Moves a message to the dead-letter queue. Its time of sending stays: the retention clock is not restarted (MNS,
    /// "Dead-letter queue"). There it counts as never received.
    fn move_message(&mut self, from: i64, to: i64, seq: i64, priority: u8) -> rusqlite::Result<()> {
        self.run(
            "UPDATE queue_messages SET queue = ?2, due = ?3, first_received = NULL, receive_count = 0, lease = NULL WHERE seq = ?1",
            (seq, to, self.now.as_millis()),
        )?;
        self.effects.totals.extend([(from, -1), (to, 1)]);
        self.touch(to, priority);
        Ok(())
    }

    pub(super) fn remove_message(&mut self, queue: i64, seq: i64) -> rusqlite::Result<()> {
        self.run("DELETE FROM queue_messages WHERE seq = ?1", [seq])?;
        self.run("DELETE FROM queue_bodies WHERE seq = ?1", [seq])?;
        self.effects.totals.push((queue, -1));
        Ok(())
    }

    /// Whether the receipt still names a reception of a message of the queue; gives the message's row and priority.
    fn held(&self, queue: i64, end: i64, receipt: &Receipt) -> rusqlite::Result<Option<(i64, u8)>> {
        let Some((seq, lease)) = read_receipt(receipt) else {
            return Ok(None);
        };
        let mut query = self.conn.prepare_cached(
            "SELECT priority FROM queue_messages WHERE seq = ?1 AND queue = ?2 AND lease = ?3 AND enqueued > ?4",
        )?;
        let mut rows = query.query((seq, queue, lease, end))?;
        Ok(match rows.next()? {
            Some(row) => Some((seq, row.get(0)?)),
            None => None,
        })
    }

    fn delete_messages(
        &mut self,
        name: &str,
        receipts: &[Receipt],
    ) -> Outcome<Vec<Result<(), QueueError>>, QueueError> {
        let (queue, end) = match self.queues.get(name) {
            Ok(memory) => (memory.id, end_of_life(&memory.attributes, self.now)),
            Err(error) => return Ok(Err(error)),
        };
        let mut results = Vec::with_capacity(receipts.len());
        // What was never written need not be waited for: until its record is settled it may come again in any case.
        let mut in_table = false;
        for receipt in receipts {
            let named = read_receipt(receipt);
            if let Some((seq, lease)) = named
                && let Some(fresh) = self.queues.held_fresh(queue, seq, lease)
            {
                fresh.goes();
                self.effects.fresh_going.push(seq);
                results.push(Ok(()));
                continue;
            }
            results.push(match self.held(queue, end, receipt)? {
                Some((seq, _)) => {
                    in_table = true;
                    self.remove_message(queue, seq)?;
                    Ok(())
                }
                None => Err(void(receipt)),
            });
        }
        self.need_not_sync = !in_table;
        Ok(Ok(results))
    }

    fn change_visibility(
        &mut self,
        name: &str,
        old: &Receipt,
        visibility: Duration,
    ) -> Outcome<(Receipt, Timestamp), QueueError> {
        let (queue, end) = match self.queues.get(name) {
            Ok(memory) => (memory.id, end_of_life(&memory.attributes, self.now)),
            Err(error) => return Ok(Err(error)),
        };
        if visibility > LONGEST_VISIBILITY {
            return Ok(Err(QueueError::Refused(format!(
                "queue {name}, VisibilityTimeout {}: it must be at most 43200",
                visibility.as_secs()
            ))));
        }
        self.settle_down(old)?;
        let Some((seq, priority)) = self.held(queue, end, old)? else {
            return Ok(Err(void(old)));
        };
        let next_visible = self.now.plus(visibility);
        let lease = self.draw();
        self.run(
            "UPDATE queue_messages SET due = ?2, lease = ?3 WHERE seq = ?1",
            (seq, next_visible.as_millis(), lease),
        )?;
        self.touch(queue, priority);
        Ok(Ok((receipt(seq, lease), next_visible)))
    }

    /// Undoes receptions whose receivers went away before they were told.
    pub(crate) fn give_back(&mut self, receipts: &[Receipt]) -> rusqlite::Result<()> {
        for receipt in receipts {
            let Some((seq, lease)) = read_receipt(receipt) else {
                continue;
            };
            if self.give_back_fresh(seq, lease) {
                continue;
            }
            let row = {
                let mut query = self.conn.prepare_cached(
                    "UPDATE queue_messages SET due = ?3, lease = NULL, receive_count = receive_count - 1, \
                     first_received = CASE receive_count WHEN 1 THEN NULL ELSE first_received END \
                     WHERE seq = ?1 AND lease = ?2 RETURNING queue, priority",
                )?;
                let mut rows = query.query((seq, lease, self.now.as_millis()))?;
                match rows.next()? {
                    Some(row) => Some((row.get(0)?, row.get(1)?)),
                    None => None,
                }
            };
            if let Some((queue, priority)) = row {
                self.touch(queue, priority);
            }
        }
        Ok(())
    }
}

/// The priorities of a bit set, highest (1) first.
fn priorities(bits: u32) -> impl Iterator<Item = u8> {
    (1..=16u8).filter(move |priority| bits & (1 << priority) != 0)
}
