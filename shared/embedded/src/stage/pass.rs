//! Records that pass from stage to stage without being written.
//!
//! What a handler hands on is kept in memory, and the record it was made from stays in its table, until all that came of
//! it is settled: then that one row is deleted, and nothing else was ever written. A process that dies, or a power cut,
//! finds the row and begins again from there. What is not settled within the store's `hold` is written after all, and
//! then lets go of the row.
//!
//! ```text
//!   match record (a row) ─► call of the handler ─► deliver record (memory) ─► call ─► message of a user's queue (memory)
//!        ▲                      waits for ◄───────────── settled ◄────── waits for ◄─── received and deleted, or written
//!        └── deleted, once nothing waits
//! ```

use super::settle::{Held, Pending};
use super::{Again, Stages, number};
use crate::store::{Ledger, Outcome};
use carillon_core::event::Timestamp;
use carillon_core::ports::Stage;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Names one call of a handler.
pub(crate) type Flight = u64;

/// While so many records and messages are in memory, the stages before deliver rest: a backlog waits where it is cheap,
/// packed and on the disk.
pub(crate) const CROWD: usize = 4_096;

/// What a call of a handler hands on to a stage: groups and bodies.
pub(crate) struct Passed {
    pub(crate) stage: Stage,
    pub(crate) flight: Flight,
    pub(crate) records: Vec<(i64, String)>,
}

/// A call of a handler.
#[derive(Default)]
pub(super) struct Call {
    /// What it handed on and is not settled.
    open: usize,
    /// The handler has answered.
    answered: bool,
    /// Its records that are done but for what waits above; and whether their receptions were written down.
    inputs: Vec<(Held, bool)>,
}

/// A record that was not written.
pub(super) struct Young {
    stage: Stage,
    group: i64,
    pub(super) body: String,
    enqueued: Timestamp,
    /// The call that handed it on.
    parent: Flight,
    /// It was handled, and waits for what came of it.
    pub(super) done: bool,
}

/// A record that the running transaction writes.
pub(crate) struct Spilled {
    pub(crate) seq: i64,
    /// Nobody has it in hand: it was written as a new record.
    anew: bool,
}

impl Stages {
    /// Takes over what a call hands on.
    fn pass(&mut self, passed: Passed, mut seq: i64, now: Timestamp) {
        let born = Instant::now();
        self.calls.entry(passed.flight).or_default().open += passed.records.len();
        for (id, body) in passed.records {
            seq += 1;
            let queue = &mut self.queues[number(passed.stage)];
            queue.total += 1;
            let group = queue.groups.entry(id).or_default();
            group.total += 1;
            group.young += 1;
            group.again.push_back(Again {
                seq,
                count: 0,
                noted: false,
                reason: String::new(),
            });
            queue.give_turn(id);
            self.ages.push_back((born, seq));
            self.young.insert(
                seq,
                Young {
                    stage: passed.stage,
                    group: id,
                    body,
                    enqueued: now,
                    parent: passed.flight,
                    done: false,
                },
            );
        }
    }

    /// Counts messages that a call handed on to users' queues.
    pub(crate) fn open(&mut self, flight: Flight, count: usize) {
        self.calls.entry(flight).or_default().open += count;
    }

    /// How many records are in memory alone.
    pub(crate) fn young(&self) -> usize {
        self.young.len()
    }

    /// Whether something of this call is open.
    pub(super) fn is_open(&self, flight: Option<Flight>) -> Option<Flight> {
        flight.filter(|flight| self.calls.get(flight).is_some_and(|call| call.open > 0))
    }

    /// A record is done but for what its call handed on.
    pub(super) fn wait_for(&mut self, flight: Flight, held: Held, noted: bool) {
        if let Some(young) = self.young.get_mut(&held.seq) {
            young.done = true;
        }
        self.calls
            .entry(flight)
            .or_default()
            .inputs
            .push((held, noted));
    }

    /// The handler has answered: the call ends when nothing of it is open.
    pub(super) fn answered(&mut self, flight: Option<Flight>) {
        let Some(flight) = flight else { return };
        if let Some(call) = self.calls.get_mut(&flight) {
            call.answered = true;
            if call.open == 0 {
                self.calls.remove(&flight);
            }
        }
    }

    /// Of each of these calls one thing more is settled; what waited for it is done, and so on upwards.
    pub(crate) fn resolve(&mut self, mut flights: Vec<Flight>) {
        while let Some(flight) = flights.pop() {
            let Some(call) = self.calls.get_mut(&flight) else {
                continue;
            };
            call.open = call.open.saturating_sub(1);
            if call.open > 0 || !call.answered {
                continue;
            }
            if let Some(call) = self.calls.remove(&flight) {
                for (held, noted) in call.inputs {
                    flights.extend(self.finish(held, noted));
                }
            }
        }
    }

    /// A record is done and nothing waits for it: it leaves memory, or its row is deleted with the next commit. Gives the
    /// call that handed it on.
    pub(super) fn finish(&mut self, held: Held, noted: bool) -> Option<Flight> {
        let parent = self.forget(held.seq);
        if parent.is_none() {
            self.pending.push(Pending::Delete {
                stage: held.stage,
                group: held.group,
                seq: held.seq,
                noted,
            });
        }
        parent
    }

    /// Takes a record out of memory; gives the call that handed it on, when it was there.
    pub(super) fn forget(&mut self, seq: i64) -> Option<Flight> {
        let young = self.young.remove(&seq)?;
        let queue = &mut self.queues[number(young.stage)];
        if let Some(group) = queue.groups.get_mut(&young.group) {
            group.young = group.young.saturating_sub(1);
        }
        queue.gone(young.group);
        self.passed += 1;
        Some(young.parent)
    }

    /// Passes over what is gone at the front of the ages.
    pub(crate) fn trim(&mut self) {
        while let Some((_, seq)) = self.ages.front()
            && self.young.get(seq).is_none_or(|young| young.done)
        {
            self.ages.pop_front();
        }
    }

    /// When the oldest record came.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.ages.front().map(|&(born, _)| born)
    }

    /// The records that are older than `hold` and must be written. They must be given back when that fails.
    pub(crate) fn aged(&mut self, hold: Duration) -> Vec<i64> {
        let mut aged = Vec::new();
        while let Some(&(born, seq)) = self.ages.front() {
            if born.elapsed() < hold {
                break;
            }
            self.ages.pop_front();
            if self.young.get(&seq).is_some_and(|young| !young.done) {
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

    /// The transaction that wrote them has committed.
    pub(crate) fn spilled(&mut self, spilled: Vec<Spilled>) {
        let mut parents = Vec::with_capacity(spilled.len());
        let mut written_anew: HashMap<(usize, i64), HashSet<i64>> = HashMap::new();
        for Spilled { seq, anew } in spilled {
            let Some(young) = self.young.remove(&seq) else {
                continue;
            };
            let stage = number(young.stage);
            let queue = &mut self.queues[stage];
            if let Some(group) = queue.groups.get_mut(&young.group) {
                group.young = group.young.saturating_sub(1);
            }
            if anew {
                // The new record has been counted.
                queue.gone(young.group);
                written_anew
                    .entry((stage, young.group))
                    .or_default()
                    .insert(seq);
            } else {
                self.tracked.insert(seq);
            }
            parents.push(young.parent);
        }
        for ((stage, group), seqs) in written_anew {
            if let Some(group) = self.queues[stage].groups.get_mut(&group) {
                group.again.retain(|again| !seqs.contains(&again.seq));
            }
        }
        self.resolve(parents);
    }
}

impl Ledger {
    /// Takes over what a call hands on.
    pub(crate) fn pass(&mut self, passed: Passed) {
        let first = self.next_seq;
        self.next_seq += i64::try_from(passed.records.len()).expect("far fewer than row numbers");
        self.stages.pass(passed, first, self.now);
    }

    /// Writes records that were in memory alone, in the running transaction.
    pub(crate) fn spill_records(&mut self, seqs: &[i64]) -> rusqlite::Result<()> {
        for &seq in seqs {
            let Some(young) = self.stages.young.get(&seq) else {
                continue;
            };
            let (stage, group) = (young.stage, young.group);
            let queue = &self.stages.queues[number(stage)];
            let lease = queue.leases.get(&seq);
            let received = lease.is_some()
                || queue.groups.get(&group).is_some_and(|group| {
                    let mut again = group.again.iter();
                    again.any(|again| again.seq == seq && again.count > 0)
                });
            if !received {
                let due = young.enqueued;
                let body = young.body.clone();
                self.insert_record_of(stage, group, due, &body)?;
                self.effects
                    .spilled_records
                    .push(Spilled { seq, anew: true });
                continue;
            }
            let note = lease
                .filter(|lease| !lease.reason.is_empty())
                .map(|lease| (lease.count, lease.reason.clone()));
            self.run(
                "INSERT INTO stage_messages (seq, stage, grp, due, enqueued, body) VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
                (seq, number(stage), group, young.enqueued.as_millis(), &young.body),
            )?;
            if let Some((count, reason)) = note {
                self.note(seq, count, &reason)?;
            }
            self.effects
                .spilled_records
                .push(Spilled { seq, anew: false });
        }
        Ok(())
    }

    /// Writes everything that is in memory alone.
    pub(crate) fn spill_all(&mut self, hold: Duration) -> Outcome<(), crate::store::Outage> {
        let records = self.stages.aged(hold);
        let messages = self.queues.aged(hold);
        let done = self
            .spill_records(&records)
            .and_then(|()| self.spill_messages(&messages));
        if let Err(error) = done {
            self.stages.not_spilled(records);
            self.queues.not_spilled(messages);
            return Err(error);
        }
        Ok(Ok(()))
    }
}
