//! What the writer thread owns: the one connection that writes, and what it remembers between commits.

use super::outage::{FromOutage, Outage};
use crate::archive::Keeping;
use crate::queue::Queues;
use crate::settings::Settings;
use crate::stage::{CROWD, NewRecord, Spilled, Stages};
use carillon_core::event::Timestamp;
use rusqlite::Connection;

/// Result of work on the database: the outer error is the database's, the inner the work's own refusal. Both roll back
/// what the work did.
pub(crate) type Outcome<T, E> = rusqlite::Result<Result<T, E>>;

/// See the module.
pub(crate) struct Ledger {
    pub(crate) conn: Connection,
    pub(crate) settings: Settings,
    /// The time of this transaction.
    pub(crate) now: Timestamp,
    pub(crate) queues: Queues,
    pub(crate) stages: Stages,
    pub(crate) keeping: Keeping,
    /// What becomes true in memory when the transaction commits.
    pub(crate) effects: Effects,
    /// The database has given up the whole transaction by itself (a full disk does that).
    pub(crate) broken: Option<Outage>,
    pub(crate) next_seq: i64,
    /// The work that runs has found that its answer need not wait for the disk.
    pub(crate) need_not_sync: bool,
}

/// Changes of memory that wait for the commit.
#[derive(Default)]
pub(crate) struct Effects {
    /// Messages more or fewer, by queue.
    pub(crate) totals: Vec<(i64, i64)>,
    /// Queues where a message may have become visible, with its priority.
    pub(crate) touched: Vec<(i64, u8)>,
    /// New records between stages.
    pub(crate) records: Vec<NewRecord>,
    /// Queues made or changed.
    pub(crate) changed_queues: Vec<crate::queue::QueueChange>,
    /// Records that were in memory alone, and are written.
    pub(crate) spilled_records: Vec<Spilled>,
    /// Messages that are in memory alone: received, deleted, written.
    pub(crate) fresh_taken: Vec<i64>,
    pub(crate) fresh_going: Vec<i64>,
    pub(crate) fresh_written: Vec<i64>,
    /// New version of the rules.
    pub(crate) rules_version: Option<u64>,
    /// Whether attempts were recorded. One too many wakes a follower for nothing, so a step back leaves it.
    pub(crate) attempts: bool,
}

impl Effects {
    fn mark(&self) -> [usize; 8] {
        [
            self.totals.len(),
            self.touched.len(),
            self.records.len(),
            self.changed_queues.len(),
            self.spilled_records.len(),
            self.fresh_taken.len(),
            self.fresh_going.len(),
            self.fresh_written.len(),
        ]
    }

    fn back_to(&mut self, mark: [usize; 8], queues: &mut Queues) {
        queues.undo(
            &self.fresh_taken[mark[5]..],
            &self.fresh_going[mark[6]..],
            &self.fresh_written[mark[7]..],
        );
        self.totals.truncate(mark[0]);
        self.touched.truncate(mark[1]);
        self.records.truncate(mark[2]);
        self.changed_queues.truncate(mark[3]);
        self.spilled_records.truncate(mark[4]);
        self.fresh_taken.truncate(mark[5]);
        self.fresh_going.truncate(mark[6]);
        self.fresh_written.truncate(mark[7]);
    }
}

impl Ledger {
    /// The next row number of messages; ascending in the order of sending.
    pub(crate) fn seq(&mut self) -> i64 {
        self.next_seq += 1;
        self.next_seq
    }

    /// Whether so much is in memory that the stages before deliver had better rest.
    pub(crate) fn is_crowded(&self) -> bool {
        self.stages.young() + self.queues.fresh() >= CROWD
    }

    /// Sixty-four random bits as SQLite keeps integers.
    pub(crate) fn draw(&self) -> i64 {
        i64::from_ne_bytes(self.settings.random.draw().to_ne_bytes())
    }

    /// Runs SQL that is compiled once.
    pub(crate) fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.conn.prepare_cached(sql)?.execute(params)
    }

    /// Runs work that fails alone: when it does, only its own changes are undone.
    pub(crate) fn alone<T, E: FromOutage>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> Outcome<T, E>,
    ) -> Result<T, E> {
        if let Some(outage) = &self.broken {
            return Err(E::from_outage(outage.clone()));
        }
        let mark = self.effects.mark();
        let version = self.effects.rules_version;
        let keeping = self.keeping;
        let outcome = match self.run("SAVEPOINT work", []) {
            Ok(_) => work(self),
            Err(error) => Err(error),
        };
        let failure = match outcome {
            Ok(Ok(value)) => match self.run("RELEASE work", []) {
                Ok(_) => return Ok(value),
                Err(error) => E::from_outage(error.into()),
            },
            Ok(Err(refusal)) => refusal,
            Err(error) => E::from_outage(error.into()),
        };
        self.effects.back_to(mark, &mut self.queues);
        self.effects.rules_version = version;
        self.keeping = keeping;
        if self.conn.is_autocommit() {
            self.broken = Some(Outage(
                "the transaction was given up for another request's failure: try again".to_owned(),
            ));
        } else if let Err(error) = self
            .run("ROLLBACK TO work", [])
            .and_then(|_| self.run("RELEASE work", []))
        {
            self.broken = Some(error.into());
        }
        Err(failure)
    }
}
