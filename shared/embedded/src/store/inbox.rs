//! What waits for the writer: a bounded list that is handed over whole, so that one commit answers all.

use super::ledger::Ledger;
use super::outage::Outage;
use crate::queue::Handed;
use crate::queue::Reception;
use crate::stage::{Flight, Intake, Passed, Settlement};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Tells whoever asked what became of it. Called after the commit.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), &Outage>) + Send>;

/// One piece of work.
pub(crate) enum Job {
    /// Changes rows. Runs in a savepoint of its own.
    Write {
        /// How soon, and how sure before it is answered.
        care: Care,
        /// The work.
        run: Box<dyn FnOnce(&mut Ledger) -> Answer + Send>,
    },
    /// Takes messages from a user's queue, now or when one comes.
    Receive(Reception),
    /// Takes records from a stage's queue, now or when one comes.
    Intake(Intake),
    /// What became of records taken in one call of a handler.
    Settle {
        /// What the call handed on; none when that went the durable way.
        flight: Option<Flight>,
        /// The records.
        settlements: Vec<Settlement>,
    },
    /// Records that a handler hands on to the next stage.
    Pass(Passed),
    /// Messages that a handler hands on to a user's queue.
    Hand(Handed),
}

/// How a write is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Done at once, answered when it is on the disk.
    Durable,
    /// Done at once, answered when it is committed: it survives the process, and stands in the log before everything that
    /// follows from it.
    Committed,
    /// As [`Care::Committed`], and may wait a little for other work to share the commit.
    Lazy,
}

/// Bytes of the bodies that may wait for the writer, in units of [`UNIT`]. Beyond it, senders wait.
const ROOM: usize = 16_384;
/// Bytes that one unit of room stands for.
const UNIT: usize = 4_096;

/// See the module.
pub(crate) struct Inbox {
    state: Mutex<State>,
    signal: Condvar,
    room: Semaphore,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    taken: usize,
    woken: bool,
    closed: bool,
}

/// What the writer got.
pub(crate) struct Delivered {
    pub(crate) jobs: Vec<Job>,
    pub(crate) closed: bool,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Inbox {
            state: Mutex::default(),
            signal: Condvar::new(),
            room: Semaphore::new(ROOM),
        }
    }

    /// Nothing panics while it holds the lock, and a list of jobs is sound at every moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in a job that carries about `bytes`; waits while the inbox is full.
    pub(crate) async fn push(&self, job: Job, bytes: usize) -> Result<(), Outage> {
        // One job never asks for more than a quarter of the room, or it might wait for ever.
        let units = (1 + bytes / UNIT).min(ROOM / 4);
        let units_asked = u32::try_from(units).expect("bounded by the room, which is small");
        let permit = self
            .room
            .acquire_many(units_asked)
            .await
            .map_err(|_| Outage::closed())?;
        let mut state = self.lock();
        if state.closed {
            return Err(Outage::closed());
        }
        permit.forget();
        state.taken += units;
        state.jobs.push(job);
        drop(state);
        self.signal.notify_one();
        Ok(())
    }

    /// Hands in a job that carries next to nothing and must not wait.
    pub(crate) fn push_now(&self, job: Job) {
        let mut state = self.lock();
        if !state.closed {
            state.jobs.push(job);
            drop(state);
            self.signal.notify_one();
        }
    }

    /// Lets the writer look at the clock.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.signal.notify_one();
    }

    /// Takes no more; the writer finishes what is there.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.signal.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes all that waits; sleeps at most `wait` (none: until something comes) when there is nothing.
    pub(crate) fn take(&self, wait: Option<Duration>) -> Delivered {
        let mut state = self.lock();
        let idle = |state: &mut State| state.jobs.is_empty() && !state.woken && !state.closed;
        state = match wait {
            Some(Duration::ZERO) => state,
            Some(wait) => {
                self.signal
                    .wait_timeout_while(state, wait, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .signal
                .wait_while(state, idle)
                .unwrap_or_else(PoisonError::into_inner),
        };
        state.woken = false;
        self.room.add_permits(std::mem::take(&mut state.taken));
        Delivered {
            jobs: std::mem::take(&mut state.jobs),
            closed: state.closed,
        }
    }
}
