//! Users' queues, with the semantics of MNS and SQS.

mod admin;
mod fresh;
mod look;
mod receive;
mod send;
mod sweep;

pub(crate) use fresh::Handed;
pub(crate) use receive::{Reception, Served};

use crate::stage::Flight;
use crate::store::Outage;
use carillon_core::event::Timestamp;
use carillon_core::ports::{QueueAttributes, QueueError, Receipt};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

/// What the writer knows of one queue.
pub(crate) struct QueueMemory {
    id: i64,
    attributes: QueueAttributes,
    /// Bit `p` is set when messages of priority `p` may be there.
    priorities: u32,
    /// Receivers in the order they came.
    waiting: VecDeque<Reception>,
    /// The timer set for this queue.
    armed: Option<Timestamp>,
    /// Visible messages that are in memory alone, some of them gone.
    fresh: VecDeque<i64>,
    /// When somebody last asked for messages, in real time.
    received: Option<Instant>,
}

/// A queue that was made, changed, or deleted (`None`).
pub(crate) struct QueueChange {
    pub(crate) name: String,
    pub(crate) to: Option<(i64, QueueAttributes)>,
}

/// What the writer knows of all users' queues.
#[derive(Default)]
pub(crate) struct Queues {
    by_name: HashMap<String, QueueMemory>,
    names: HashMap<i64, String>,
    /// Queues with waiting receivers, and when to look at them again.
    timers: BTreeSet<(Timestamp, i64)>,
    /// Queues to look at in this transaction.
    look: BTreeSet<i64>,
    /// Messages that are in memory alone.
    fresh: HashMap<i64, fresh::Fresh>,
    /// Those in the order in which they came, some of them gone.
    ages: VecDeque<(Instant, i64)>,
}

impl Queues {
    /// Reads what there is.
    pub(crate) fn recall(conn: &Connection) -> rusqlite::Result<Self> {
        let mut queues = Queues::default();
        let mut rows =
            conn.prepare("SELECT id, name, attributes FROM queues WHERE name IS NOT NULL")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let attributes = admin::read_attributes(&row.get::<_, String>(2)?)?;
            queues.put(name, id, attributes);
        }
        // A skip from one priority to the next: the index answers each step with one look.
        for memory in queues.by_name.values_mut() {
            for priority in 1..=16u32 {
                let found: bool = conn
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM queue_messages WHERE queue = ?1 AND priority = ?2)")?
                    .query_row((memory.id, priority), |row| row.get(0))?;
                memory.priorities |= u32::from(found) << priority;
            }
        }
        Ok(queues)
    }

    fn put(&mut self, name: String, id: i64, attributes: QueueAttributes) {
        match self.by_name.get_mut(&name) {
            Some(memory) if memory.id == id => memory.attributes = attributes,
            _ => {
                self.names.insert(id, name.clone());
                self.by_name.insert(
                    name,
                    QueueMemory {
                        id,
                        attributes,
                        priorities: 0,
                        waiting: VecDeque::new(),
                        armed: None,
                        fresh: VecDeque::new(),
                        received: None,
                    },
                );
            }
        }
    }

    /// Takes over what a transaction changed; gives the calls whose messages went with a queue.
    pub(crate) fn apply(&mut self, changes: Vec<QueueChange>) -> Vec<Flight> {
        let mut parents = Vec::new();
        for change in changes {
            match change.to {
                Some((id, attributes)) => self.put(change.name, id, attributes),
                None => {
                    if let Some(memory) = self.by_name.remove(&change.name) {
                        self.names.remove(&memory.id);
                        parents.extend(self.forget_queue(memory.id));
                        if let Some(armed) = memory.armed {
                            self.timers.remove(&(armed, memory.id));
                        }
                        for reception in memory.waiting {
                            reception.refuse(QueueError::NotExist(change.name.clone()));
                        }
                    }
                }
            }
        }
        parents
    }

    /// When a queue must be looked at next.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|&(due, _)| due)
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        !self.look.is_empty() || self.next_timer().is_some_and(|due| due <= now)
    }

    fn get(&self, name: &str) -> Result<&QueueMemory, QueueError> {
        self.by_name
            .get(name)
            .ok_or_else(|| QueueError::NotExist(name.to_owned()))
    }

    fn name(&self, id: i64) -> Option<&String> {
        self.names.get(&id)
    }
}

/// A receipt names the message's row and the lease that it was given.
fn receipt(seq: i64, lease: i64) -> Receipt {
    Receipt(format!("{seq:x}-{lease:016x}"))
}

/// Reads a receipt; none when it was never ours.
fn read_receipt(receipt: &Receipt) -> Option<(i64, i64)> {
    let (seq, lease) = receipt.0.split_once('-')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain(seq) || !plain(lease) {
        return None;
    }
    let seq = i64::from_str_radix(seq, 16).ok()?;
    let lease = u64::from_str_radix(lease, 16).ok()?;
    Some((seq, i64::from_ne_bytes(lease.to_ne_bytes())))
}

/// Why a receipt names no message: it never did, or it does no longer.
fn void(receipt: &Receipt) -> QueueError {
    match read_receipt(receipt) {
        Some(_) => QueueError::ReceiptVoid,
        None => QueueError::ReceiptInvalid,
    }
}

pub(crate) fn unavailable(outage: &Outage) -> QueueError {
    QueueError::Unavailable(outage.0.clone())
}
