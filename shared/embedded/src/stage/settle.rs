//! What becomes of records that were taken.

use super::suspect::Suspect;
use super::{Flight, Lease, StageMemory, Stages, number};
use crate::store::{Job, Ledger, Shared};
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::event::Timestamp;
use carillon_core::ports::{QueueRecord, Stage};
use std::sync::Arc;
use std::time::Duration;

/// Names one reception of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) stage: Stage,
    pub(super) group: i64,
    pub(super) seq: i64,
    pub(super) token: u64,
}

/// A record that was taken. It must be settled before its lease ends; dropped unsettled, it is free again at once, as if
/// it had not been received.
pub struct LeasedRecord {
    /// What the handler sees.
    pub record: QueueRecord,
    alone: bool,
    held: Option<Held>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for LeasedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LeasedRecord({:?})", self.record)
    }
}

impl LeasedRecord {
    pub(super) fn new(record: QueueRecord, held: Held, alone: bool, shared: Arc<Shared>) -> Self {
        LeasedRecord {
            record,
            alone,
            held: Some(held),
            shared,
        }
    }

    /// Whether it was in hand at more than one end of the process, and so may be their cause. Its handler should keep it
    /// for no longer than it must, so that it is not in hand at the next by mere chance.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    fn settle(mut self, fate: Fate) -> Settlement {
        let held = self
            .held
            .take()
            .expect("only settling takes it, and settling consumes the record");
        Settlement { held, fate }
    }

    /// It was handled: it is deleted.
    #[must_use]
    pub fn done(self) -> Settlement {
        self.settle(Fate::Done)
    }

    /// It failed, for this reason: it comes again after `rest`, or goes to the dead letters when it was received often
    /// enough.
    #[must_use]
    pub fn failed(self, reason: String, rest: Duration) -> Settlement {
        self.settle(Fate::Failed { reason, rest })
    }
}

impl Drop for LeasedRecord {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            let released = Settlement {
                held,
                fate: Fate::Released,
            };
            self.shared.inbox.push_now(Job::Settle {
                flight: None,
                settlements: vec![released],
            });
        }
    }
}

/// What became of one record; see [`crate::Store::settle`].
#[derive(Debug)]
pub struct Settlement {
    held: Held,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    Done,
    Failed { reason: String, rest: Duration },
    Released,
}

/// What must be written about a settled record. Kept until it is: a full disk delays it and loses nothing.
pub(super) enum Pending {
    Delete {
        stage: Stage,
        group: i64,
        seq: i64,
        noted: bool,
    },
    Note {
        seq: i64,
        count: u32,
        reason: String,
    },
    Bury {
        stage: Stage,
        group: i64,
        seq: i64,
        at: Timestamp,
        reason: String,
    },
}

impl crate::Store {
    /// Settles records. Deletions are written with the next commit, after at most the store's `linger`; a process that
    /// is killed before that handles those records again.
    pub fn settle(&self, settlements: Vec<Settlement>) {
        if !settlements.is_empty() {
            self.inner.shared.inbox.push_now(Job::Settle {
                flight: None,
                settlements,
            });
        }
    }

    /// As [`settle`](Self::settle), after a call that may have handed something on: its records are deleted once all of
    /// that is settled.
    pub(crate) fn settle_call(&self, flight: Flight, settlements: Vec<Settlement>) {
        self.inner.shared.inbox.push_now(Job::Settle {
            flight: Some(flight),
            settlements,
        });
    }
}

impl Stages {
    pub(crate) fn settle(
        &mut self,
        flight: Option<Flight>,
        settlements: Vec<Settlement>,
        now: Timestamp,
    ) {
        let open = self.is_open(flight);
        let mut parents = Vec::new();
        for Settlement { held, fate } in settlements {
            let Held {
                stage,
                group,
                seq,
                token,
            } = held;
            let queue = &mut self.queues[number(stage)];
            let mine = queue
                .leases
                .get(&seq)
                .is_some_and(|lease| lease.token == Some(token));
            match fate {
                Fate::Done => {
                    // Also when the lease ran out: the work is done, and need not be done once more.
                    let noted = queue.end_lease(seq).is_none_or(|lease| lease.noted);
                    match open {
                        Some(flight) => self.wait_for(flight, held, noted),
                        None => parents.extend(self.finish(held, noted)),
                    }
                }
                // Of a lease that ran out, only success still counts.
                _ if !mine => {}
                Fate::Failed { reason, rest } => {
                    let Some(mut lease) = queue.end_lease(seq) else {
                        continue;
                    };
                    if lease.count >= lease.most {
                        let times = if lease.count == 1 {
                            "once".to_owned()
                        } else {
                            format!("{} times", lease.count)
                        };
                        let reason =
                            format!("received {times} without success; the last time: {reason}");
                        self.pending.push(Pending::Bury {
                            stage,
                            group,
                            seq,
                            at: now,
                            reason,
                        });
                        continue;
                    }
                    lease.token = None;
                    lease.noted = true;
                    lease.ends = now.plus(rest);
                    lease.reason.clone_from(&reason);
                    self.pending.push(Pending::Note {
                        seq,
                        count: lease.count,
                        reason,
                    });
                    queue.start_lease(seq, lease);
                }
                Fate::Released => {
                    let of = queue.groups.get(&group);
                    let alone = of.is_some_and(|group| group.alone == Some(seq));
                    let Some(mut lease) = queue.end_lease(seq) else {
                        continue;
                    };
                    lease.count = lease.count.saturating_sub(1);
                    if lease.noted {
                        // As if it had not been received, also for the next process.
                        self.pending.push(Pending::Note {
                            seq,
                            count: lease.count,
                            reason: lease.reason.clone(),
                        });
                    }
                    match queue.groups.get_mut(&group) {
                        Some(of) if alone => {
                            let count = lease.count;
                            of.suspects.push_front(Suspect { seq, count });
                            queue.give_suspect_turn(group);
                        }
                        _ => queue.free(seq, lease),
                    }
                }
            }
        }
        self.resolve(parents);
        self.answered(flight);
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl StageMemory {
    pub(super) fn start_lease(&mut self, seq: i64, lease: Lease) {
        self.ends.insert((lease.ends, seq));
        self.leases.insert(seq, lease);
    }

    fn end_lease(&mut self, seq: i64) -> Option<Lease> {
        let lease = self.leases.remove(&seq)?;
        self.is_alone_no_more(lease.group, seq);
        self.ends.remove(&(lease.ends, seq));
        Some(lease)
    }
}

impl Ledger {
    /// Writes what is pending, in the running transaction: at least the deletions, which need no room on the disk; with
    /// `all`, the rest too.
    pub(crate) fn write_settlements(&mut self, all: bool) -> rusqlite::Result<()> {
        // Deletions first; stable, so that what befell one record stays in its order.
        self.stages
            .pending
            .sort_by_key(|item| !matches!(item, Pending::Delete { .. }));
        let pending = std::mem::take(&mut self.stages.pending);
        let mut result = Ok(());
        for item in &pending {
            if !all && !matches!(item, Pending::Delete { .. }) {
                break;
            }
            match self.write_settlement(item) {
                Ok(gone) => self.stages.written.push(gone),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.stages.pending = pending;
        result
    }

    /// Tells whether the record left the table by it.
    fn write_settlement(&mut self, item: &Pending) -> rusqlite::Result<bool> {
        match item {
            Pending::Delete { seq, noted, .. } => {
                if *noted {
                    self.run("DELETE FROM stage_attempts WHERE seq = ?1", [seq])?;
                }
                Ok(self.run("DELETE FROM stage_messages WHERE seq = ?1", [seq])? > 0)
            }
            Pending::Note { seq, count, reason } => self.note(*seq, *count, reason).map(|()| false),
            Pending::Bury {
                stage,
                seq,
                at,
                reason,
                ..
            } => {
                let young = self.stages.young.get(seq).map(|young| young.body.clone());
                let body = match young {
                    Some(body) => Some(body),
                    None => self.body(*seq)?,
                };
                let Some(body) = body else {
                    return Ok(false);
                };
                self.insert_dead_letter(&DeadLetter {
                    at: *at,
                    reason: reason.clone(),
                    content: DeadLetterContent::Record {
                        stage: stage.to_string(),
                        body,
                    },
                })?;
                self.run("DELETE FROM stage_attempts WHERE seq = ?1", [seq])?;
                Ok(self.run("DELETE FROM stage_messages WHERE seq = ?1", [seq])? > 0)
            }
        }
    }

    /// Writes down how often a record was received, unless it is gone by now.
    pub(super) fn note(&mut self, seq: i64, count: u32, reason: &str) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO stage_attempts (seq, count, reason) \
             SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM stage_messages WHERE seq = ?1) \
             ON CONFLICT (seq) DO UPDATE SET count = excluded.count, reason = excluded.reason",
            (seq, count, reason),
        )
        .map(drop)
    }

    /// A transaction begins: nothing of what is pending stands in it yet.
    pub(crate) fn nothing_written(&mut self) {
        self.stages.written.clear();
    }

    /// The transaction with the pending settlements has committed.
    pub(crate) fn settlements_written(&mut self) {
        let written = std::mem::take(&mut self.stages.written);
        let settled: Vec<Pending> = self.stages.pending.drain(..written.len()).collect();
        for (item, gone) in settled.into_iter().zip(written) {
            let (stage, group, seq) = match item {
                Pending::Delete {
                    stage, group, seq, ..
                }
                | Pending::Bury {
                    stage, group, seq, ..
                } => (stage, group, seq),
                Pending::Note { .. } => continue,
            };
            if gone {
                self.stages.tracked.remove(&seq);
                self.stages.queues[number(stage)].gone(group);
            } else if let Some(parent) = self.stages.forget(seq) {
                // Buried before it was ever written.
                self.stages.resolve(vec![parent]);
            }
        }
    }
}
