//! What follows a transaction: its effects on memory, or their undoing; and the writing of what was in memory alone.

use super::inbox::{Care, Job};
use super::outage::Outage;
use super::writer::{AFTER_FAILURE, Writer};
use crate::queue::Served;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Writer {
    /// Real time at which what is in memory alone is to be written.
    pub(super) fn spill_at(&self) -> Option<Instant> {
        let oldest = [self.ledger.stages.oldest(), self.ledger.queues.oldest()];
        let at = oldest.into_iter().flatten().min()? + self.ledger.settings.hold;
        Some(self.spill_after.map_or(at, |after| at.max(after)))
    }

    /// Writes what has been in memory alone for `hold`, in a transaction of its own: should it fail, nobody else's work
    /// fails with it.
    pub(super) fn spill(&mut self, hold: Duration) {
        let ledger = &mut self.ledger;
        ledger.nothing_written();
        ledger.broken = None;
        let done = ledger
            .run("BEGIN", [])
            .map_err(Outage::from)
            .and_then(|_| ledger.alone(|ledger| ledger.spill_all(hold)))
            .and_then(|()| ledger.write_totals().map_err(Outage::from))
            .and_then(|()| ledger.run("COMMIT", []).map_err(Outage::from));
        match done {
            Ok(_) => {
                self.spill_after = None;
                self.ledger.note_touched();
                self.apply_effects();
            }
            Err(outage) => {
                tracing::warn!(reason = %outage, "what handlers handed on cannot be written now, and stays in memory");
                self.spill_after = Some(Instant::now() + AFTER_FAILURE);
                self.roll_back();
            }
        }
    }

    /// Undoes a transaction that failed.
    pub(super) fn roll_back(&mut self) {
        let ledger = &mut self.ledger;
        if !ledger.conn.is_autocommit()
            && let Err(error) = ledger.run("ROLLBACK", [])
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
        let effects = std::mem::take(&mut ledger.effects);
        ledger.queues.undo(
            &effects.fresh_taken,
            &effects.fresh_going,
            &effects.fresh_written,
        );
        // Those that were to be written are old again after a while.
        ledger.queues.not_spilled(effects.fresh_written);
        let seqs = effects.spilled_records.iter().map(|spilled| spilled.seq);
        ledger.stages.not_spilled(seqs.collect());
    }

    /// Folds the little that is left of the log, so that it begins anew.
    pub(super) fn finish_log(&mut self) {
        let folded = self
            .ledger
            .conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::debug!(%error, "the rest of the log cannot be folded now");
        }
    }

    pub(super) fn apply_effects(&mut self) {
        let effects = std::mem::take(&mut self.ledger.effects);
        if let Some(version) = effects.rules_version {
            self.shared.rules_version.store(version, Ordering::Release);
        }
        if effects.attempts {
            self.shared.attempts.send_modify(|moved| *moved += 1);
        }
        let written = effects.spilled_records.len() + effects.fresh_written.len();
        let passed = effects.fresh_going.len();
        let mut parents = self.ledger.queues.apply(effects.changed_queues);
        parents.extend(self.ledger.queues.forget(&effects.fresh_going));
        parents.extend(self.ledger.queues.forget(&effects.fresh_written));
        self.ledger.stages.arrived(effects.records, self.ledger.now);
        self.ledger.stages.spilled(effects.spilled_records);
        self.ledger.stages.resolve(parents);
        let counters = &self.shared.counters;
        counters
            .spilled
            .fetch_add(written as u64, Ordering::Relaxed);
        let passed = passed as u64 + std::mem::take(&mut self.ledger.stages.passed);
        counters.passed.fetch_add(passed, Ordering::Relaxed);
        // Before anybody is answered: who was told that a record is durable also sees it counted.
        self.ledger.stages.publish(&self.shared.stage_numbers);
    }

    pub(super) fn answer_receptions(&mut self, served: Vec<Served>, outage: Option<Outage>) {
        let mut unheard = Vec::new();
        for Served { reply, outcome } in served {
            let outcome = match &outage {
                Some(outage) => outcome.and_then(|messages| {
                    // Nothing was taken, so nothing can be wrong with an empty answer.
                    if messages.is_empty() {
                        Ok(messages)
                    } else {
                        Err(crate::queue::unavailable(outage))
                    }
                }),
                None => outcome,
            };
            if let Err(Ok(messages)) = reply.send(outcome)
                && outage.is_none()
            {
                unheard.extend(messages.into_iter().filter_map(|message| message.receipt));
            }
        }
        if !unheard.is_empty() {
            // The receiver went away in the moment it was served: others must not wait a visibility timeout for it.
            self.carried.push(Job::Write {
                care: Care::Committed,
                run: Box::new(move |ledger| {
                    let _: Result<(), Outage> =
                        ledger.alone(|ledger| ledger.give_back(&unheard).map(Ok));
                    Box::new(|_| {})
                }),
            });
        }
    }
}
