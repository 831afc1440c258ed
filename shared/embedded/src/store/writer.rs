//! The one thread that writes: takes all that waits, does it in one transaction, commits once, answers all.

use super::Shared;
use super::disk::Threads;
use super::inbox::{Answer, Care, Delivered, Job};
use super::ledger::Ledger;
use super::outage::Outage;
use crate::queue::Reception;
use crate::settings::Durability;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Gap between two attempts to write down what must be written, while the disk is full.
pub(super) const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Gap between two rounds of housekeeping that found nothing left to do.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// What a transaction writes down of settled records besides the requests that wait. A full disk must not let the one
/// keep the other from succeeding, least of all deletions, which make room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Burden {
    /// All, together with the requests.
    Shared,
    /// The commit before failed: deletions alone, without company.
    Deletions,
    /// As above, and then all.
    All,
}

/// A write that waits for its turn.
type Run = Box<dyn FnOnce(&mut Ledger) -> Answer + Send>;

pub(super) struct Writer {
    pub(super) ledger: Ledger,
    /// The disk's own threads; they end with this one.
    disk: Option<Threads>,
    /// Real time before which nothing is written of its own accord, after a failure.
    pub(super) spill_after: Option<Instant>,
    pub(super) shared: Arc<Shared>,
    /// Work that lingers for a commit to share.
    lazy: Vec<Run>,
    /// Real time at which lingering work is done without company.
    lazy_until: Option<Instant>,
    /// Work of our own making, and work that a broken transaction left over.
    pub(super) carried: Vec<Job>,
    /// How much of the settled records the next transaction writes down.
    burden: Burden,
    /// When housekeeping comes next, by the store's clock.
    sweep_at: carillon_core::event::Timestamp,
}

/// Refuses everything that still waits when the thread ends, also by a panic.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.inbox.close();
        // Dropping the jobs drops their answers, and whoever waits is told that the store is closed.
        drop(self.0.inbox.take(Some(Duration::ZERO)));
        self.0.readers.close();
        // The last answers still wait for the disk, and are given.
        self.0.waiting.close();
        // Whoever follows the attempts looks again, and finds the store closed.
        self.0.attempts.send_modify(|moved| *moved += 1);
    }
}

impl Writer {
    pub(super) fn new(ledger: Ledger, shared: Arc<Shared>, disk: Threads) -> Self {
        let sweep_at = ledger.now.plus(HOUSEKEEPING);
        Writer {
            ledger,
            disk: Some(disk),
            spill_after: None,
            shared,
            lazy: Vec::new(),
            lazy_until: None,
            carried: Vec::new(),
            burden: Burden::Shared,
            sweep_at,
        }
    }

    pub(super) fn run(mut self) {
        let _closing = Closing(self.shared.clone());
        loop {
            let Delivered { mut jobs, closed } = self.shared.inbox.take(self.patience());
            let idle = jobs.is_empty() && self.carried.is_empty();
            if closed {
                self.lazy_until = Some(Instant::now());
            }
            if !self.carried.is_empty() {
                let mut carried = std::mem::take(&mut self.carried);
                carried.append(&mut jobs);
                jobs = carried;
            }
            self.cycle(jobs);
            if closed && idle && self.carried.is_empty() {
                break;
            }
        }
        // What is in memory alone is written, and what that lets go of is deleted: nothing comes twice for a shutdown.
        self.spill(Duration::ZERO);
        if self.waits() {
            self.transaction(Vec::new(), Vec::new(), false);
        }
        self.shared.waiting.close();
        if let Some(disk) = self.disk.take() {
            disk.join();
        }
    }

    /// How long there is nothing to do unless something comes.
    fn patience(&self) -> Option<Duration> {
        if !self.carried.is_empty() {
            return Some(Duration::ZERO);
        }
        let clock = &self.ledger.settings.clock;
        let due = [
            self.ledger.queues.next_timer(),
            self.ledger.stages.next_timer(),
            Some(self.sweep_at),
        ];
        let by_clock = due
            .into_iter()
            .flatten()
            .min()
            .and_then(|due| clock.wait_until(due));
        let by_linger = self
            .lazy_until
            .map(|until| until.saturating_duration_since(Instant::now()));
        let by_age = self
            .spill_at()
            .map(|at| at.saturating_duration_since(Instant::now()));
        [by_clock, by_linger, by_age].into_iter().flatten().min()
    }

    fn cycle(&mut self, jobs: Vec<Job>) {
        self.ledger.now = self.ledger.settings.clock.now();
        self.ledger.stages.trim();
        self.ledger.queues.trim();
        // First, so that a lease that has ended counts as ended, whatever comes in the same moment.
        self.ledger.stages.run_timers(self.ledger.now);
        let mut urgent = Vec::new();
        let mut receptions = Vec::new();
        let mut intakes = Vec::new();
        for job in jobs {
            match job {
                Job::Write {
                    care: Care::Lazy,
                    run,
                } => self.lazy.push(run),
                Job::Write { care, run } => urgent.push((care, run)),
                Job::Receive(reception) => receptions.push(reception),
                Job::Intake(intake) => intakes.push(intake),
                Job::Settle {
                    flight,
                    settlements,
                } => self
                    .ledger
                    .stages
                    .settle(flight, settlements, self.ledger.now),
                Job::Pass(passed) => self.ledger.pass(passed),
                Job::Hand(handed) => {
                    if let Some(Job::Write { care, run }) = self.ledger.hand(handed) {
                        urgent.push((care, run));
                    }
                }
            }
        }

        if self.spill_at().is_some_and(|at| at <= Instant::now()) {
            self.spill(self.ledger.settings.hold);
        }
        if self.shared.waiting.shall_finish() {
            self.finish_log();
        }
        let sweep = self.ledger.now >= self.sweep_at;
        let lingered = self.lazy_until.is_some_and(|until| until <= Instant::now());
        if lingered && self.burden != Burden::Shared && self.ledger.stages.has_pending() {
            self.settle_alone();
        }
        let queues_due = self.ledger.queues.is_due(self.ledger.now);
        if !urgent.is_empty()
            || !receptions.is_empty()
            || queues_due
            || sweep
            || (self.waits() && lingered)
        {
            self.transaction(urgent, receptions, sweep);
        }
        if !self.waits() {
            self.lazy_until = None;
        } else if self.lazy_until.is_none_or(|until| until <= Instant::now()) {
            // Just come: it lingers. Left over from a commit that failed: it waits for better times.
            let gap = if lingered {
                AFTER_FAILURE
            } else {
                self.ledger.settings.linger
            };
            self.lazy_until = Some(Instant::now() + gap);
        }
        self.hand_out(intakes);
    }

    /// Whether something lingers.
    fn waits(&self) -> bool {
        !self.lazy.is_empty() || self.ledger.stages.has_pending()
    }

    /// After a failed commit: writes settled records down in transactions of their own.
    fn settle_alone(&mut self) {
        for burden in [Burden::Deletions, Burden::All] {
            self.burden = burden;
            self.transaction(Vec::new(), Vec::new(), false);
            if self.burden != Burden::Shared {
                return;
            }
        }
    }

    fn transaction(&mut self, urgent: Vec<(Care, Run)>, receptions: Vec<Reception>, sweep: bool) {
        let mut answers: Vec<(bool, Answer)> = Vec::with_capacity(urgent.len() + self.lazy.len());
        let sure = self.ledger.settings.durability == Durability::Disk;
        let mut served = Vec::new();
        let ledger = &mut self.ledger;
        ledger.broken = None;
        let keeping = ledger.keeping;
        if let Err(error) = ledger.run("BEGIN", []) {
            ledger.broken = Some(error.into());
        }
        ledger.nothing_written();
        let alone = urgent.is_empty() && receptions.is_empty();
        let settles = self.burden == Burden::Shared || alone;
        if settles
            && ledger.broken.is_none()
            && let Err(error) = ledger.write_settlements(self.burden != Burden::Deletions)
        {
            ledger.broken = Some(error.into());
        }
        let mut more_to_sweep = false;
        if sweep && ledger.broken.is_none() {
            match ledger.sweep() {
                Ok(more) => more_to_sweep = more,
                Err(error) => ledger.broken = Some(error.into()),
            }
        }
        let lazy = match self.burden {
            Burden::Deletions => Vec::new(),
            Burden::Shared | Burden::All => std::mem::take(&mut self.lazy),
        };
        let lazy = lazy.into_iter().map(|run| (Care::Lazy, run));
        for (care, run) in urgent.into_iter().chain(lazy) {
            if ledger.broken.is_some() && ledger.conn.is_autocommit() && !answers.is_empty() {
                // The database gave up the transaction for an earlier request's fault: the rest gets a fresh one.
                self.carried.push(Job::Write { care, run });
            } else {
                ledger.need_not_sync = false;
                let answer = run(ledger);
                let waits = sure && care == Care::Durable && !ledger.need_not_sync;
                answers.push((waits, answer));
            }
        }
        ledger.park(receptions);
        if ledger.broken.is_none()
            && let Err(error) = ledger
                .serve_queues(&mut served)
                .and_then(|()| ledger.write_totals())
        {
            ledger.broken = Some(error.into());
        }

        let fate = match ledger.broken.take() {
            Some(outage) => Err(outage),
            None => ledger.run("COMMIT", []).map(drop).map_err(Outage::from),
        };
        self.shared
            .counters
            .transactions
            .fetch_add(1, Ordering::Relaxed);
        match &fate {
            Ok(()) => {
                self.ledger.settlements_written();
                if settles {
                    self.burden = Burden::Shared;
                }
                self.apply_effects();
            }
            Err(outage) => {
                tracing::warn!(reason = %outage, "a commit failed; nothing of it was acknowledged");
                if self.ledger.stages.has_pending() && self.burden == Burden::Shared {
                    self.burden = Burden::All;
                }
                self.roll_back();
                self.ledger.keeping = keeping;
            }
        }
        let mut later = Vec::new();
        for (waits, answer) in answers {
            if waits && fate.is_ok() {
                later.push(answer);
            } else {
                answer(fate.as_ref().copied());
            }
        }
        self.shared.waiting.push(later);
        self.answer_receptions(served, fate.err());
        if sweep {
            let gap = if more_to_sweep {
                Duration::from_millis(50)
            } else {
                HOUSEKEEPING
            };
            self.sweep_at = self.ledger.now.plus(gap);
        }
    }

    fn hand_out(&mut self, intakes: Vec<crate::stage::Intake>) {
        self.ledger.stages.park(intakes);
        let careful = self.ledger.serve_stages();
        if let Some(job) = careful {
            self.carried.push(job);
        }
        self.ledger.stages.publish(&self.shared.stage_numbers);
    }
}
