//! Taking records: whose turn it is, and who holds what.

use super::settle::{Held, Pending};
use super::suspect::Suspect;
use super::{Again, Group, Lease, LeasedRecord, Stages, number};
use crate::queue::unavailable;
use crate::store::{Care, Job, Ledger, Outage, Shared, Store};
use carillon_core::event::Timestamp;
use carillon_core::ports::{QueueError, QueueRecord, Stage};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Somebody who wants records of a stage.
pub(crate) struct Intake {
    stage: Stage,
    max: usize,
    lease: Duration,
    most: u32,
    reply: Reply,
    shared: Arc<Shared>,
}

type Reply = oneshot::Sender<Result<Vec<LeasedRecord>, QueueError>>;

/// A record about to be handed out.
pub(super) struct Pick {
    pub(super) seq: i64,
    pub(super) group: i64,
    pub(super) body: String,
    pub(super) count: u32,
    pub(super) noted: bool,
    pub(super) reason: String,
    /// To be handled alone.
    pub(super) alone: bool,
}

impl Store {
    /// Takes up to `max` records of a stage; waits until there is one. Each is held for `lease`, then it comes again. A
    /// record that was received `most` times already goes to the dead letters instead, with the last reason given.
    ///
    /// A record that was in hand at two ends of the process comes alone ([`LeasedRecord::is_alone`]), and no other such
    /// record of its group comes before it is settled.
    ///
    /// Dropping the future gives up the wait; whatever it was just given is free at once.
    ///
    /// # Errors
    /// When the store is closed, or cannot write down now that records were taken.
    pub async fn take_records(
        &self,
        stage: Stage,
        max: usize,
        lease: Duration,
        most: u32,
    ) -> Result<Vec<LeasedRecord>, QueueError> {
        let (reply, told) = oneshot::channel();
        let shared = self.inner.shared.clone();
        let intake = Intake {
            stage,
            max: max.max(1),
            lease,
            most: most.max(1),
            reply,
            shared,
        };
        let pushed = self.inner.shared.inbox.push(Job::Intake(intake), 0).await;
        pushed.map_err(|outage| unavailable(&outage))?;
        told.await
            .unwrap_or_else(|_| Err(unavailable(&Outage::closed())))
    }
}

impl Stages {
    pub(crate) fn park(&mut self, intakes: Vec<Intake>) {
        for intake in intakes {
            self.queues[number(intake.stage)].waiting.push_back(intake);
        }
    }

    /// Time of the group's cursor: nothing may be added before it.
    pub(super) fn cursor(&self, stage: usize, group: i64) -> Timestamp {
        let cursor = self.queues[stage]
            .groups
            .get(&group)
            .map_or(i64::MIN, |group| group.cursor.0);
        Timestamp::from_millis(cursor)
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }
}

impl Ledger {
    /// Serves those who wait for records. What must be written down before it is handed out comes back as a job.
    pub(crate) fn serve_stages(&mut self) -> Option<Job> {
        let mut careful = Vec::new();
        for stage in [Stage::Ingest, Stage::Match, Stage::Deliver] {
            if stage != Stage::Deliver && self.is_crowded() {
                continue;
            }
            while let Some(intake) = self.next_intake(stage) {
                let picks = match self.pick(stage, intake.max, intake.most) {
                    Ok(picks) => picks,
                    Err(error) => {
                        tracing::error!(%stage, %error, "records could not be read; trying again");
                        self.retry_reading(stage);
                        Vec::new()
                    }
                };
                if picks.is_empty() {
                    self.stages.queues[number(stage)].waiting.push_front(intake);
                    break;
                }
                self.hold(intake, picks, &mut careful);
            }
        }
        (!careful.is_empty()).then(|| note_then_answer(careful))
    }

    /// The next who still waits, if a group has a turn.
    fn next_intake(&mut self, stage: Stage) -> Option<Intake> {
        let queue = &mut self.stages.queues[number(stage)];
        if queue.turns.is_empty() && queue.suspect_turns.is_empty() {
            return None;
        }
        while let Some(intake) = queue.waiting.pop_front() {
            if !intake.reply.is_closed() {
                return Some(intake);
            }
        }
        None
    }

    /// Takes a suspect, or else up to `max` free records, the groups in turn.
    fn pick(&mut self, stage: Stage, max: usize, most: u32) -> rusqlite::Result<Vec<Pick>> {
        let mut picks = self.pick_suspect(stage, most)?;
        if picks.is_empty() {
            picks = self.pick_in_turn(stage, max, most)?;
        }
        if picks.is_empty() {
            // All that was found may have been suspects.
            picks = self.pick_suspect(stage, most)?;
        }
        Ok(picks)
    }

    fn pick_in_turn(&mut self, stage: Stage, max: usize, most: u32) -> rusqlite::Result<Vec<Pick>> {
        let mut picks: Vec<Pick> = Vec::new();
        while picks.len() < max {
            let queue = &mut self.stages.queues[number(stage)];
            let Some(id) = queue.turns.pop_front() else {
                break;
            };
            let rivals = queue.turns.len();
            let Some(group) = queue.groups.get_mut(&id) else {
                continue;
            };
            group.has_turn = false;
            if group.total == 0 {
                queue.groups.remove(&id);
                continue;
            }
            // A group alone fills the batch in one look; beside others it gets its share, and its next turn later.
            let quota = ((max - picks.len()) / (rivals + 1)).max(1);
            let before = picks.len();
            let exhausted = match self.pick_of_group(stage, id, quota, &mut picks) {
                Ok(exhausted) => exhausted,
                Err(error) => {
                    self.put_back(stage, picks);
                    self.stages.queues[number(stage)].give_turn(id);
                    return Err(error);
                }
            };
            self.bury_worn_out(stage, most, before, &mut picks);
            let queue = &mut self.stages.queues[number(stage)];
            if !exhausted && picks.len() > before {
                queue.give_turn(id);
            } else if !exhausted && let Some(group) = queue.groups.get_mut(&id) {
                // All it gave was worn out, or suspect: that must not cost the group its turn.
                group.has_turn = true;
                queue.turns.push_front(id);
            }
        }
        Ok(picks)
    }

    /// Tells whether the group has nothing more that is free now.
    fn pick_of_group(
        &mut self,
        stage: Stage,
        id: i64,
        quota: usize,
        picks: &mut Vec<Pick>,
    ) -> rusqlite::Result<bool> {
        let mut left = quota;
        while left > 0 {
            let Some(again) = self
                .group(stage, id)
                .and_then(|group| group.again.pop_front())
            else {
                break;
            };
            match self.body_of(again.seq) {
                Ok(Some(body)) => {
                    picks.push(Pick {
                        seq: again.seq,
                        group: id,
                        body,
                        count: again.count,
                        noted: again.noted,
                        reason: again.reason,
                        alone: false,
                    });
                    left -= 1;
                }
                // Settled meanwhile.
                Ok(None) => {}
                Err(error) => {
                    if let Some(group) = self.group(stage, id) {
                        group.again.push_front(again);
                    }
                    return Err(error);
                }
            }
        }
        if left == 0 {
            return Ok(false);
        }
        let Some(group) = self.group(stage, id) else {
            return Ok(true);
        };
        if group.total == group.young {
            // Nothing of it is in the table.
            return Ok(true);
        }
        let cursor = group.cursor;
        let found = self.rows_after(number(stage), id, cursor, left)?;
        let exhausted = found.len() < left;
        if let Some((due, pick)) = found.last()
            && let Some(group) = self.stages.queues[number(stage)].groups.get_mut(&id)
        {
            group.cursor = (*due, pick.seq);
        }
        for (_, pick) in found {
            if self.stages.tracked.contains(&pick.seq) {
                continue;
            }
            if !pick.alone {
                picks.push(pick);
            } else if let Some(group) = self.group(stage, id) {
                let Pick { seq, count, .. } = pick;
                group.suspects.push_back(Suspect { seq, count });
            }
        }
        self.stages.queues[number(stage)].give_suspect_turn(id);
        if exhausted && let Some(next) = self.next_due_of(number(stage), id)? {
            self.stages.queues[number(stage)].becomes_free(id, next);
        }
        Ok(exhausted)
    }

    pub(super) fn group(&mut self, stage: Stage, id: i64) -> Option<&mut Group> {
        self.stages.queues[number(stage)].groups.get_mut(&id)
    }

    /// The body of a record that is still to be handled, from memory or from the table.
    fn body_of(&self, seq: i64) -> rusqlite::Result<Option<String>> {
        match self.stages.young.get(&seq) {
            Some(young) => Ok((!young.done).then(|| young.body.clone())),
            None => self.body(seq),
        }
    }

    pub(super) fn body(&self, seq: i64) -> rusqlite::Result<Option<String>> {
        use rusqlite::OptionalExtension as _;
        self.conn
            .prepare_cached("SELECT body FROM stage_messages WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))
            .optional()
    }

    fn rows_after(
        &self,
        stage: usize,
        group: i64,
        cursor: (i64, i64),
        limit: usize,
    ) -> rusqlite::Result<Vec<(i64, Pick)>> {
        let mut query = self.conn.prepare_cached(
            "SELECT due, seq, body FROM stage_messages \
             WHERE stage = ?1 AND grp = ?2 AND (due, seq) > (?3, ?4) AND due <= ?5 ORDER BY due, seq LIMIT ?6",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(
            (
                stage,
                group,
                cursor.0,
                cursor.1,
                self.now.as_millis(),
                limit,
            ),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut found = Vec::new();
        for row in rows {
            let (due, seq, body) = row?;
            let (count, reason) = if seq <= self.stages.old {
                self.noted(seq)?
            } else {
                (0, String::new())
            };
            let pick = Pick {
                seq,
                group,
                body,
                count,
                noted: count > 0,
                alone: count >= Suspect::FROM && reason.is_empty(),
                reason,
            };
            found.push((due, pick));
        }
        Ok(found)
    }

    /// Receptions that were written down.
    fn noted(&self, seq: i64) -> rusqlite::Result<(u32, String)> {
        use rusqlite::OptionalExtension as _;
        Ok(self
            .conn
            .prepare_cached("SELECT count, reason FROM stage_attempts WHERE seq = ?1")?
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .unwrap_or_default())
    }

    fn next_due_of(&self, stage: usize, group: i64) -> rusqlite::Result<Option<Timestamp>> {
        let due: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT min(due) FROM stage_messages WHERE stage = ?1 AND grp = ?2 AND due > ?3",
            )?
            .query_row((stage, group, self.now.as_millis()), |row| row.get(0))?;
        Ok(due.map(Timestamp::from_millis))
    }

    /// Gives back what was picked when reading the rest failed.
    fn put_back(&mut self, stage: Stage, picks: Vec<Pick>) {
        let queue = &mut self.stages.queues[number(stage)];
        for pick in picks.into_iter().rev() {
            if let Some(group) = queue.groups.get_mut(&pick.group) {
                group.again.push_front(Again {
                    seq: pick.seq,
                    count: pick.count,
                    noted: pick.noted,
                    reason: pick.reason,
                });
            }
            queue.give_turn(pick.group);
        }
    }

    fn retry_reading(&mut self, stage: Stage) {
        // Its groups have kept their turns; a timer makes the writer look again.
        let at = self.now.plus(Duration::from_secs(1));
        let queue = &mut self.stages.queues[number(stage)];
        // What cannot be read now is asked for again with its group, and not by itself.
        for id in std::mem::take(&mut queue.suspect_turns) {
            if let Some(group) = queue.groups.get_mut(&id) {
                let suspects = group.suspects.drain(..);
                group.again.extend(suspects.map(|suspect| Again {
                    seq: suspect.seq,
                    count: suspect.count,
                    noted: true,
                    reason: String::new(),
                }));
            }
            queue.becomes_free(id, at);
        }
        let turns: VecDeque<i64> = std::mem::take(&mut queue.turns);
        for id in turns {
            if let Some(group) = queue.groups.get_mut(&id) {
                group.has_turn = false;
            }
            queue.becomes_free(id, at);
        }
    }

    /// Sends to the dead letters what was received too often: its handling ended the process, or the lease ran out.
    pub(super) fn bury_worn_out(
        &mut self,
        stage: Stage,
        most: u32,
        from: usize,
        picks: &mut Vec<Pick>,
    ) {
        let mut index = from;
        while index < picks.len() {
            if picks[index].count < most {
                index += 1;
                continue;
            }
            let pick = picks.remove(index);
            let last = if pick.reason.is_empty() {
                "the process ended, or the time for it ran out, while it was handled".to_owned()
            } else {
                pick.reason
            };
            self.stages.pending.push(Pending::Bury {
                stage,
                group: pick.group,
                seq: pick.seq,
                at: self.now,
                reason: format!(
                    "received {} times without success; the last time: {last}",
                    pick.count
                ),
            });
        }
    }

    fn hold(&mut self, intake: Intake, picks: Vec<Pick>, careful: &mut Vec<Careful>) {
        let ends = self.now.plus(intake.lease);
        let mut notes: Vec<(i64, u32)> = Vec::new();
        let mut records = Vec::with_capacity(picks.len());
        for pick in picks {
            let count = pick.count.saturating_add(1);
            let token = self.stages.token();
            let old = pick.seq <= self.stages.old;
            if old {
                // Without a reason: it is known that it was in hand, and nothing more.
                notes.push((pick.seq, count));
            }
            if pick.alone
                && let Some(group) = self.group(intake.stage, pick.group)
            {
                group.alone = Some(pick.seq);
            }
            self.stages.queues[number(intake.stage)].start_lease(
                pick.seq,
                Lease {
                    group: pick.group,
                    token: Some(token),
                    count,
                    noted: pick.noted || old,
                    most: intake.most,
                    ends,
                    reason: pick.reason,
                },
            );
            let record = QueueRecord {
                id: format!("{:x}", pick.seq),
                body: pick.body,
                receive_count: count,
            };
            let held = Held {
                stage: intake.stage,
                group: pick.group,
                seq: pick.seq,
                token,
            };
            let shared = intake.shared.clone();
            records.push(LeasedRecord::new(record, held, pick.alone, shared));
        }
        if notes.is_empty() {
            // When the receiver is gone, the records are dropped with the answer, and so set free.
            let _ = intake.reply.send(Ok(records));
        } else {
            careful.push(Careful {
                reply: intake.reply,
                records,
                notes,
            });
        }
    }
}

/// Records whose reception is written down before they are handed out.
struct Careful {
    reply: Reply,
    records: Vec<LeasedRecord>,
    notes: Vec<(i64, u32)>,
}

fn note_then_answer(careful: Vec<Careful>) -> Job {
    Job::Write {
        care: Care::Committed,
        run: Box::new(move |ledger| {
            let noted: Result<(), Outage> = ledger.alone(|ledger| {
                for (seq, count) in careful.iter().flat_map(|careful| &careful.notes) {
                    ledger.note(*seq, *count, "")?;
                }
                Ok(Ok(()))
            });
            Box::new(move |fate| {
                let outage = fate.err().cloned().or(noted.err());
                for Careful { reply, records, .. } in careful {
                    // Records that are not handed out are dropped, and so set free.
                    let _ = reply.send(match &outage {
                        None => Ok(records),
                        Some(outage) => Err(unavailable(outage)),
                    });
                }
            })
        }),
    }
}
