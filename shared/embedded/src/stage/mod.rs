//! The queues between stages.
//!
//! Rows are written once and deleted once; who holds a record is known to the process alone. In the table a group's
//! records stand in the order of (due, row), and memory holds one cursor a group: what stands before it is taken or
//! gone, what stands after it is free once it is due.
//!
//! ```text
//!   group "orders/warehouse":   ── taken ──┃ due now · due now · due in 9 s · due in 512 s
//!                                          ┃ cursor
//!   again: records before the cursor whose lease ended without success
//! ```

mod lease;
mod numbers;
mod pass;
mod send;
mod settle;
mod suspect;

pub(crate) use lease::Intake;
pub(crate) use numbers::Numbers;
pub use numbers::StageStatistics;
pub(crate) use pass::{CROWD, Flight, Passed, Spilled};
pub(crate) use send::NewRecord;
pub use settle::{LeasedRecord, Settlement};

use carillon_core::event::Timestamp;
use carillon_core::ports::Stage;
use pass::{Call, Young};
use rusqlite::Connection;
use settle::Pending;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Instant;
use suspect::Suspect;

/// A stage's number in the tables.
pub(crate) fn number(stage: Stage) -> usize {
    match stage {
        Stage::Ingest => 0,
        Stage::Match => 1,
        Stage::Deliver => 2,
    }
}

/// Reads a stage's name, as dead letters hold it.
pub(crate) fn stage_named(name: &str) -> Option<Stage> {
    [Stage::Ingest, Stage::Match, Stage::Deliver]
        .into_iter()
        .find(|stage| stage.as_str() == name)
}

/// A group's number in the tables: FNV-1a of its name, zero for records without one. Should two names meet in one number,
/// they share their turns, and nothing else happens.
pub(crate) fn group_number(group: Option<&str>) -> i64 {
    let Some(group) = group else { return 0 };
    let hash = group.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    i64::from_ne_bytes(hash.to_ne_bytes())
}

/// What the writer knows of the three queues.
pub(crate) struct Stages {
    queues: [StageMemory; 3],
    /// Rows up to here were there when the store was opened. A process that died may have been handling them, so their
    /// receptions are written down before they are handed out; of later rows, only failures are.
    old: i64,
    next_token: u64,
    /// What must be written about settled records.
    pending: Vec<Pending>,
    /// Calls of handlers of which something is open.
    calls: HashMap<Flight, Call>,
    /// Records that are in memory alone.
    young: HashMap<i64, Young>,
    /// Those in the order in which they came, some of them gone.
    ages: VecDeque<(Instant, i64)>,
    /// Rows that were written while somebody had them in hand. The cursor has not passed them, yet they are not free.
    tracked: HashSet<i64>,
    /// Records that were never written, since the last time this was read.
    pub(crate) passed: u64,
    /// For each of `pending` that stands in the running transaction: whether its record leaves the table by it.
    written: Vec<bool>,
}

/// What the writer knows of one queue.
#[derive(Default)]
struct StageMemory {
    groups: HashMap<i64, Group>,
    /// Groups that may have a free record, in the order of their turns.
    turns: VecDeque<i64>,
    /// Groups with a record that becomes free later.
    due: BTreeSet<(Timestamp, i64)>,
    leases: HashMap<i64, Lease>,
    /// When leases (and rests after a failure) end.
    ends: BTreeSet<(Timestamp, i64)>,
    waiting: VecDeque<Intake>,
    /// Groups with a suspect that may be handed out.
    suspect_turns: VecDeque<i64>,
    total: u64,
}

struct Group {
    /// (due, row) of the last record taken from the table.
    cursor: (i64, i64),
    again: VecDeque<Again>,
    /// Records that were in hand when the process ended, and not for the first time. They are handed out alone, one of the
    /// group at a time: of a stage would let one slow endpoint hold up the suspects of all others.
    suspects: VecDeque<Suspect>,
    /// The suspect that is in hand.
    alone: Option<i64>,
    has_turn: bool,
    armed: Option<Timestamp>,
    total: u64,
    /// Those of `total` that are in memory alone.
    young: u64,
}

impl Default for Group {
    fn default() -> Self {
        Group {
            cursor: (i64::MIN, i64::MIN),
            again: VecDeque::new(),
            suspects: VecDeque::new(),
            alone: None,
            has_turn: false,
            armed: None,
            total: 0,
            young: 0,
        }
    }
}

/// A record that was received before and is free again.
struct Again {
    seq: i64,
    /// Receptions so far.
    count: u32,
    /// Whether `stage_attempts` has a row of it.
    noted: bool,
    reason: String,
}

/// A record that is handed out, or rests after a failure.
struct Lease {
    group: i64,
    /// Names the reception; none while it rests.
    token: Option<u64>,
    count: u32,
    noted: bool,
    most: u32,
    ends: Timestamp,
    reason: String,
}

impl Stages {
    /// Reads which groups there are; the records stay in the table.
    pub(crate) fn recall(conn: &Connection, old: i64) -> rusqlite::Result<Self> {
        let mut queues: [StageMemory; 3] = Default::default();
        let mut counts = conn.prepare(
            "SELECT stage, grp, count(*), min(due) FROM stage_messages GROUP BY stage, grp",
        )?;
        let mut rows = counts.query([])?;
        while let Some(row) = rows.next()? {
            let (stage, id, total): (usize, i64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let Some(memory) = queues.get_mut(stage) else {
                continue;
            };
            memory.total += total;
            memory.groups.insert(
                id,
                Group {
                    total,
                    ..Group::default()
                },
            );
            memory.becomes_free(id, Timestamp::from_millis(row.get(3)?));
        }
        Ok(Stages {
            queues,
            old,
            next_token: 0,
            pending: Vec::new(),
            calls: HashMap::new(),
            young: HashMap::new(),
            ages: VecDeque::new(),
            tracked: HashSet::new(),
            passed: 0,
            written: Vec::new(),
        })
    }

    /// When something becomes free by itself.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        let firsts = self
            .queues
            .iter()
            .flat_map(|queue| [queue.due.first(), queue.ends.first()]);
        firsts.flatten().map(|&(at, _)| at).min()
    }

    /// Frees what has become due, and what was held for too long.
    pub(crate) fn run_timers(&mut self, now: Timestamp) {
        for queue in &mut self.queues {
            while let Some(&(at, group)) = queue.due.first() {
                if at > now {
                    break;
                }
                queue.due.pop_first();
                if let Some(held) = queue.groups.get_mut(&group) {
                    held.armed = None;
                }
                queue.give_turn(group);
            }
            while let Some(&(at, seq)) = queue.ends.first() {
                if at > now {
                    break;
                }
                queue.ends.pop_first();
                if let Some(lease) = queue.leases.remove(&seq) {
                    queue.is_alone_no_more(lease.group, seq);
                    queue.free(seq, lease);
                }
            }
        }
    }

    /// Takes over the records of a transaction that committed.
    pub(crate) fn arrived(&mut self, records: Vec<NewRecord>, now: Timestamp) {
        for record in records {
            let queue = &mut self.queues[record.stage];
            queue.total += 1;
            queue.groups.entry(record.group).or_default().total += 1;
            if record.due <= now {
                queue.give_turn(record.group);
            } else {
                queue.becomes_free(record.group, record.due);
            }
        }
    }
}

impl StageMemory {
    fn give_turn(&mut self, id: i64) {
        if let Some(group) = self.groups.get_mut(&id)
            && !group.has_turn
        {
            group.has_turn = true;
            self.turns.push_back(id);
        }
    }

    /// Notes that the group has a record that is due at `at`.
    fn becomes_free(&mut self, id: i64, at: Timestamp) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        if group.armed.is_none_or(|armed| at < armed) {
            if let Some(armed) = group.armed.replace(at) {
                self.due.remove(&(armed, id));
            }
            self.due.insert((at, id));
        }
    }

    fn free(&mut self, seq: i64, lease: Lease) {
        if let Some(group) = self.groups.get_mut(&lease.group) {
            group.again.push_back(Again {
                seq,
                count: lease.count,
                noted: lease.noted,
                reason: lease.reason,
            });
        }
        self.give_turn(lease.group);
    }

    /// Forgets a record that left the table.
    fn gone(&mut self, id: i64) {
        self.total = self.total.saturating_sub(1);
        if let Some(group) = self.groups.get_mut(&id) {
            group.total = group.total.saturating_sub(1);
            if group.total == 0 {
                if let Some(armed) = group.armed {
                    self.due.remove(&(armed, id));
                }
                group.armed = None;
                // With a place among the turns it is forgotten when that comes up: forgotten now and back before then, it
                // would have two.
                if !group.has_turn {
                    self.groups.remove(&id);
                }
            }
        }
    }
}
