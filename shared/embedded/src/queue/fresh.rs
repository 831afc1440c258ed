//! Messages that handlers hand on to a user's queue, and that are received and deleted before they had to be written.
//!
//! They are as good as written: the record they were made from stays in its table until they are settled (see
//! `stage/pass.rs`). A message that is not received and deleted within the store's `hold` is written with all that befell
//! it. So is every one before somebody looks at a queue's numbers, and before anything unusual is done with it. A queue
//! that nobody receives from gets its messages written at once.

use super::{Queues, receipt};
use crate::stage::Flight;
use crate::store::{Care, Job, Ledger, Outage, Outcome};
use carillon_core::event::{MessageId, Timestamp};
use carillon_core::ports::{Message, OutgoingMessage, QueueError, Receipt};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A queue from which nobody has received for so long gets its messages written at once.
const DESERTED: Duration = Duration::from_secs(1);

/// What a call of a handler hands on to a queue.
pub(crate) struct Handed {
    pub(crate) queue: String,
    pub(crate) flight: Flight,
    pub(crate) messages: Vec<OutgoingMessage>,
    pub(crate) reply: oneshot::Sender<Vec<Result<String, QueueError>>>,
}

/// A message that was not written.
pub(super) struct Fresh {
    queue: i64,
    id: u128,
    body: String,
    enqueued: Timestamp,
    /// The call that handed it on.
    parent: Flight,
    held: Option<Hold>,
    /// The running transaction deletes it.
    going: bool,
    /// The running transaction writes it.
    written: bool,
}

/// A reception.
#[derive(Clone, Copy)]
struct Hold {
    lease: i64,
    first_received: Timestamp,
    due: Timestamp,
}

impl Queues {
    /// How many messages are in memory alone.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Passes over what is gone at the front of the ages.
    pub(crate) fn trim(&mut self) {
        while let Some((_, seq)) = self.ages.front()
            && !self.fresh.contains_key(seq)
        {
            self.ages.pop_front();
        }
    }

    /// When the oldest came.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.ages.front().map(|&(born, _)| born)
    }

    /// Messages that are older than `hold` and must be written. They must be given back when that fails.
    pub(crate) fn aged(&mut self, hold: Duration) -> Vec<i64> {
        let mut aged = Vec::new();
        while let Some(&(born, seq)) = self.ages.front() {
            if born.elapsed() < hold {
                break;
            }
            self.ages.pop_front();
            if self.fresh.contains_key(&seq) {
                aged.push(seq);
            }
        }
        aged
    }

    /// Writing them failed: they are old again after a while.
    pub(crate) fn not_spilled(&mut self, seqs: Vec<i64>) {
        let now = Instant::now();
        self.ages.extend(seqs.into_iter().map(|seq| (now, seq)));
    }

    /// Takes messages out of memory; gives the calls that handed them on.
    pub(crate) fn forget(&mut self, seqs: &[i64]) -> Vec<Flight> {
        let gone = seqs.iter().filter_map(|seq| self.fresh.remove(seq));
        gone.map(|fresh| fresh.parent).collect()
    }

    /// As above, of a queue that is deleted.
    pub(super) fn forget_queue(&mut self, queue: i64) -> Vec<Flight> {
        let gone = self.fresh.extract_if(|_, fresh| fresh.queue == queue);
        gone.map(|(_, fresh)| fresh.parent).collect()
    }

    /// A transaction did not commit: receptions, deletions and writings of it did not happen.
    pub(crate) fn undo(&mut self, taken: &[i64], going: &[i64], written: &[i64]) {
        for seq in going {
            if let Some(fresh) = self.fresh.get_mut(seq) {
                fresh.going = false;
            }
        }
        for seq in written {
            if let Some(fresh) = self.fresh.get_mut(seq) {
                fresh.written = false;
            }
        }
        for &seq in taken.iter().rev() {
            self.put_back(seq);
        }
    }

    /// Undoes a reception.
    fn put_back(&mut self, seq: i64) {
        let Some(fresh) = self.fresh.get_mut(&seq) else {
            return;
        };
        fresh.held = None;
        let queue = fresh.queue;
        let name = self.names.get(&queue);
        if let Some(memory) = name.and_then(|name| self.by_name.get_mut(name)) {
            memory.fresh.push_front(seq);
            self.look.insert(queue);
        }
    }

    /// Whether the receipt names a reception of a message that is in memory alone.
    pub(super) fn held_fresh(&mut self, queue: i64, seq: i64, lease: i64) -> Option<&mut Fresh> {
        self.fresh.get_mut(&seq).filter(|fresh| {
            !fresh.going
                && !fresh.written
                && fresh.queue == queue
                && fresh.held.is_some_and(|held| held.lease == lease)
        })
    }
}

impl Fresh {
    pub(super) fn goes(&mut self) {
        self.going = true;
    }
}

impl Ledger {
    /// Takes over what a call hands on to a queue. What cannot stay in memory comes back as a job.
    pub(crate) fn hand(&mut self, handed: Handed) -> Option<Job> {
        let Handed {
            queue: name,
            flight,
            messages,
            reply,
        } = handed;
        let Some(memory) = self.queues.by_name.get_mut(&name) else {
            // Whoever asked may have gone.
            let _ = reply.send(vec![Err(QueueError::NotExist(name)); messages.len()]);
            return None;
        };
        let deserted = memory.waiting.is_empty()
            && memory
                .received
                .is_none_or(|received| received.elapsed() > DESERTED);
        let plain = |message: &OutgoingMessage| {
            message.delay.is_zero() && message.priority.is_none() && message.properties.is_empty()
        };
        if deserted || memory.attributes.delay_seconds > 0 || !messages.iter().all(plain) {
            return Some(write(name, messages, reply));
        }
        let (queue, limit) = (memory.id, memory.attributes.maximum_message_size);
        let now = Instant::now();
        let mut results = Vec::with_capacity(messages.len());
        let mut seqs = Vec::with_capacity(messages.len());
        for message in messages {
            let len = message.body.len();
            if len > limit as usize {
                results.push(Err(QueueError::TooLarge {
                    queue: name.clone(),
                    len,
                    limit,
                }));
                continue;
            }
            let seq = self.seq();
            let id = self.message_id(&message);
            results.push(Ok(MessageId::from_bits(id).to_string()));
            seqs.push(seq);
            self.queues.ages.push_back((now, seq));
            self.queues.fresh.insert(
                seq,
                Fresh {
                    queue,
                    id,
                    body: message.body,
                    enqueued: self.now,
                    parent: flight,
                    held: None,
                    going: false,
                    written: false,
                },
            );
        }
        if !seqs.is_empty() {
            self.stages.open(flight, seqs.len());
            self.queues.look.insert(queue);
            if let Some(memory) = self.queues.by_name.get_mut(&name) {
                memory.fresh.extend(seqs);
            }
        }
        let _ = reply.send(results);
        None
    }

    /// Takes up to `max` visible messages that are in memory alone.
    pub(super) fn take_fresh(
        &mut self,
        name: &str,
        max: usize,
        due: Timestamp,
        taken: &mut Vec<Message>,
    ) {
        while taken.len() < max {
            let Some(seq) = self
                .queues
                .by_name
                .get_mut(name)
                .and_then(|memory| memory.fresh.pop_front())
            else {
                return;
            };
            let lease = self.draw();
            let now = self.now;
            let Some(fresh) = self.queues.fresh.get_mut(&seq) else {
                continue;
            };
            if fresh.held.is_some() || fresh.going || fresh.written {
                continue;
            }
            fresh.held = Some(Hold {
                lease,
                first_received: now,
                due,
            });
            self.effects.fresh_taken.push(seq);
            taken.push(Message {
                id: MessageId::from_bits(fresh.id).to_string(),
                body: fresh.body.clone(),
                receipt: Some(receipt(seq, lease)),
                enqueued: fresh.enqueued,
                first_received: now,
                next_visible: due,
                receive_count: 1,
                priority: Message::DEFAULT_PRIORITY,
                properties: Vec::new(),
            });
        }
    }

    /// Undoes a reception of a message that is in memory alone; tells whether it was one.
    pub(super) fn give_back_fresh(&mut self, seq: i64, lease: i64) -> bool {
        let held =
            self.queues.fresh.get(&seq).is_some_and(|fresh| {
                !fresh.written && fresh.held.is_some_and(|h| h.lease == lease)
            });
        if held {
            self.queues.put_back(seq);
        }
        held
    }

    /// Writes messages that were in memory alone, in the running transaction, as they stand.
    pub(crate) fn spill_messages(&mut self, seqs: &[i64]) -> rusqlite::Result<()> {
        for &seq in seqs {
            let Some(fresh) = self.queues.fresh.get_mut(&seq) else {
                continue;
            };
            if fresh.going || fresh.written {
                continue;
            }
            // Before the attempt: should it fail, the transaction's end undoes this.
            fresh.written = true;
            self.effects.fresh_written.push(seq);
            let fresh = &self.queues.fresh[&seq];
            let (queue, held) = (fresh.queue, fresh.held);
            let enqueued = fresh.enqueued.as_millis();
            self.run(
                "INSERT INTO queue_messages (seq, queue, priority, due, enqueued, first_received, receive_count, lease, id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                (
                    seq,
                    queue,
                    Message::DEFAULT_PRIORITY,
                    held.map_or(enqueued, |held| held.due.as_millis()),
                    enqueued,
                    held.map(|held| held.first_received.as_millis()),
                    u32::from(held.is_some()),
                    held.map(|held| held.lease),
                    fresh.id.to_be_bytes(),
                ),
            )?;
            self.run(
                "INSERT INTO queue_bodies (seq, body) VALUES (?1, ?2)",
                (seq, &fresh.body),
            )?;
            self.effects.totals.push((queue, 1));
            self.touch(queue, Message::DEFAULT_PRIORITY);
        }
        Ok(())
    }

    /// Writes the message that a receipt names, if it is in memory alone: what follows is done in the table.
    pub(super) fn settle_down(&mut self, receipt: &Receipt) -> rusqlite::Result<()> {
        match super::read_receipt(receipt) {
            Some((seq, _)) => self.spill_messages(&[seq]),
            None => Ok(()),
        }
    }
}

/// Writes messages as if they had been sent.
fn write(
    name: String,
    messages: Vec<OutgoingMessage>,
    reply: oneshot::Sender<Vec<Result<String, QueueError>>>,
) -> Job {
    let count = messages.len();
    Job::Write {
        care: Care::Committed,
        run: Box::new(move |ledger| {
            let sent: Result<_, QueueError> =
                ledger.alone(|ledger| ledger.send_to_queue(&name, messages));
            Box::new(move |fate| {
                let sent = match fate {
                    Ok(()) => sent,
                    Err(outage) => sent.and(Err(super::unavailable(outage))),
                };
                let _ = reply.send(sent.unwrap_or_else(|error| vec![Err(error); count]));
            })
        }),
    }
}

impl crate::Store {
    /// Writes what is in memory alone, so that readers on other connections see it.
    pub(super) async fn settle_messages(&self) -> Result<(), Outage> {
        self.write_with(Care::Committed, 0, |ledger| -> Outcome<(), Outage> {
            let messages = ledger.queues.aged(Duration::ZERO);
            if let Err(error) = ledger.spill_messages(&messages) {
                ledger.queues.not_spilled(messages);
                return Err(error);
            }
            Ok(Ok(()))
        })
        .await
    }
}
