//! The clock a store runs on: the machine's, or one that a test moves by hand.

use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, Random};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Called when a clock jumped: timers must be looked at again.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A clock that a store can sleep by. All time in the store (delays, visibility, retention, long polls) comes from it.
pub trait Timekeeper: Clock {
    /// How long, in real time, until `due` (zero when it is past). None when the clock moves only by hand: then the
    /// store sleeps until [`subscribe`](Self::subscribe)'s `wake` is called.
    fn wait_until(&self, due: Timestamp) -> Option<Duration>;

    /// Asks to be woken when the clock is moved by hand.
    fn subscribe(&self, wake: Wake);
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a machine without a battery: everything is then simply of time zero.
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::default().plus(since)
    }
}

impl Timekeeper for SystemClock {
    fn wait_until(&self, due: Timestamp) -> Option<Duration> {
        // `since` has whole milliseconds and cuts off: one more, so that the wait never ends just before `due`.
        let wait = due.since(self.now()) + Duration::from_millis(1);
        // The wall clock may be set while we sleep; looking up every few seconds bounds what that can cost.
        Some(wait.min(Duration::from_secs(5)))
    }

    fn subscribe(&self, _wake: Wake) {}
}

/// A clock that stands still until it is moved. For tests: nothing ever waits in real time.
#[derive(Clone, Default)]
pub struct ManualClock {
    state: Arc<Mutex<Hands>>,
}

#[derive(Default)]
struct Hands {
    now: Timestamp,
    sleepers: Vec<Wake>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let clock = ManualClock::default();
        clock.set(now);
        clock
    }

    /// Moves it forward, and wakes every store that sleeps by it.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Sets it, also backwards, as a machine's clock can be.
    pub fn set(&self, now: Timestamp) {
        let sleepers = {
            let mut hands = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            hands.now = now;
            hands.sleepers.clone()
        };
        for wake in sleepers {
            wake();
        }
    }
}

impl std::fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ManualClock({})", self.now())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .now
    }
}

impl Timekeeper for ManualClock {
    fn wait_until(&self, due: Timestamp) -> Option<Duration> {
        (due <= self.now()).then_some(Duration::ZERO)
    }

    fn subscribe(&self, wake: Wake) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sleepers
            .push(wake);
    }
}

/// The operating system's random numbers, fetched a few at a time: a message needs three.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

/// Numbers fetched at a time.
const FETCHED: usize = 64;

thread_local! {
    /// Numbers that this thread has fetched and not given.
    static STORE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Random for SystemRandom {
    fn draw(&self) -> u64 {
        STORE.with_borrow_mut(|held| {
            if held.is_empty() {
                let mut bytes = [0; FETCHED * 8];
                getrandom::fill(&mut bytes)
                    .expect("every supported operating system has a random source that answers");
                let numbers = bytes.chunks_exact(8).map(|eight| {
                    u64::from_ne_bytes(eight.try_into().expect("chunks of eight have eight bytes"))
                });
                held.extend(numbers);
            }
            held.pop().expect("it was filled when it was empty")
        })
    }
}
