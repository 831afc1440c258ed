//! Random histories, checked against models that are naive enough to be right. The clock stands still unless a history
//! moves it, and the store is closed and opened again in the middle of most of them.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod queue;
mod stage;

use carillon_core::event::Timestamp;
use carillon_embedded::{Durability, ManualClock, Settings, Store};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Stands in for a store between its closing and its opening.
static UNUSED: LazyLock<Store> =
    LazyLock::new(|| Store::open_temporary(Settings::default()).unwrap());

/// How many histories are played: 32, or an eighth of `PROPTEST_CASES`; twenty thousand in `make long`.
fn cases() -> u32 {
    if std::env::var_os("CARILLON_LONG").is_some() {
        return 20_000;
    }
    proptest::test_runner::Config::default().cases / 8
}

/// A store whose directory outlives it.
struct World {
    runtime: tokio::runtime::Runtime,
    data: tempfile::TempDir,
    clock: ManualClock,
    store: Store,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let data = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let store = open(&data, &clock);
        World {
            runtime,
            data,
            clock,
            store,
        }
    }

    fn reopen(&mut self) {
        self.runtime.block_on(self.store.close());
        // The handle is still there, and so is its claim on the directory; a fresh one needs it gone.
        drop(std::mem::replace(&mut self.store, UNUSED.clone()));
        self.store = open(&self.data, &self.clock);
    }

    fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

fn open(data: &tempfile::TempDir, clock: &ManualClock) -> Store {
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        durability: Durability::System,
        ..Settings::default()
    };
    Store::open(data.path(), settings).unwrap()
}
