//! The executor: one thread, a clock that jumps from event to event, and futures that may be dropped at any poll, which
//! is what the end of a Lambda environment looks like from inside.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};

/// What happens at a point in time.
#[derive(Debug)]
pub(crate) enum Tick {
    /// A sleeping future goes on.
    Wake(Waker),
    /// A message of this stage's queue may have become visible.
    Visible(usize),
    /// This invocation has used up its time.
    Deadline(usize),
    /// The next body arrives.
    Traffic,
    /// The operator does something.
    Operator,
}

#[derive(Debug)]
struct Timer {
    at: u64,
    number: u64,
    tick: Tick,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The time, in milliseconds, and what is due.
#[derive(Debug, Default)]
pub(crate) struct Clockwork {
    pub(crate) now: u64,
    timers: BinaryHeap<Reverse<Timer>>,
    number: u64,
}

impl Clockwork {
    pub(crate) fn at(&mut self, at: u64, tick: Tick) {
        self.number += 1;
        self.timers.push(Reverse(Timer {
            at: at.max(self.now),
            number: self.number,
            tick,
        }));
    }

    /// The next thing that is due; the clock jumps to it.
    pub(crate) fn next(&mut self) -> Option<Tick> {
        let Reverse(timer) = self.timers.pop()?;
        self.now = self.now.max(timer.at);
        Some(timer.tick)
    }
}

/// Tasks that can go on, in the order they were woken.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Vec<usize>>);

impl Ready {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0
            .lock()
            .expect("nothing panics while it holds the list")
    }
}

struct TaskWaker {
    task: usize,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock();
        if !ready.contains(&self.task) {
            ready.push(self.task);
        }
    }
}

pub(crate) fn waker(task: usize, ready: &Arc<Ready>) -> Waker {
    Waker::from(Arc::new(TaskWaker {
        task,
        ready: ready.clone(),
    }))
}
