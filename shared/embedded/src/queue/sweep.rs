//! Housekeeping: messages past their retention, messages of deleted queues, old attempts, old events, marks that have
//! ended, what ingest need not remember any more. Little by little, so that
//! nobody waits for it.

use super::look::end_of_life;
use crate::store::Ledger;

/// Most rows that one transaction sweeps away.
const ONCE: i64 = 1_000;

impl Ledger {
    /// Sweeps once; tells whether there may be more.
    pub(crate) fn sweep(&mut self) -> rusqlite::Result<bool> {
        let mut left = ONCE;
        left -= self.sweep_deleted_queues(left)?;
        let ends: Vec<(i64, i64)> = self
            .queues
            .by_name
            .values()
            .map(|memory| (memory.id, end_of_life(&memory.attributes, self.now)))
            .collect();
        for (queue, end) in ends {
            if left > 0 {
                left -= self.sweep_messages(queue, end, left)?;
            }
        }
        if left > 0 {
            left -= self.sweep_attempts(left)?;
        }
        if left > 0 {
            left -= self.sweep_archive(left)?;
        }
        if left > 0 {
            left -= self.sweep_marks(left)?;
        }
        if left > 0 {
            left -= self.sweep_memory(left)?;
        }
        Ok(left <= 0)
    }

    fn sweep_deleted_queues(&mut self, limit: i64) -> rusqlite::Result<i64> {
        let deleted: Option<i64> = self
            .conn
            .prepare_cached("SELECT min(id) FROM queues WHERE name IS NULL")?
            .query_row([], |row| row.get(0))?;
        let Some(queue) = deleted else {
            return Ok(0);
        };
        let swept = self.sweep_messages(queue, i64::MAX, limit)?;
        if swept < limit {
            self.run("DELETE FROM queues WHERE id = ?1", [queue])?;
            // Another deleted queue may wait behind this one.
            return Ok(swept + 1);
        }
        Ok(swept)
    }

    /// Removes messages sent at `end` or before.
    fn sweep_messages(&mut self, queue: i64, end: i64, limit: i64) -> rusqlite::Result<i64> {
        let seqs: Vec<i64> = self
            .conn
            .prepare_cached(
                "SELECT seq FROM queue_messages INDEXED BY queue_age WHERE queue = ?1 AND enqueued <= ?2 ORDER BY enqueued LIMIT ?3",
            )?
            .query_map((queue, end, limit), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for &seq in &seqs {
            self.remove_message(queue, seq)?;
        }
        Ok(i64::try_from(seqs.len()).unwrap_or(limit))
    }

    fn sweep_attempts(&mut self, limit: i64) -> rusqlite::Result<i64> {
        let keep = i64::try_from(self.settings.keep_attempts.as_millis()).unwrap_or(i64::MAX);
        let end = self.now.as_millis().saturating_sub(keep);
        // Ids ascend with time, near enough: the first that is young enough ends the sweep.
        let swept = self.run(
            "DELETE FROM attempts WHERE id IN (SELECT id FROM (SELECT id, at FROM attempts ORDER BY id LIMIT ?2) WHERE at < ?1)",
            (end, limit),
        )?;
        Ok(i64::try_from(swept).unwrap_or(limit))
    }
}
