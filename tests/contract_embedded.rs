//! The contract of the storage ports, on SQLite with a stopped clock.

use carillon_core::event::Timestamp;
use carillon_embedded::{ManualClock, Settings, Store};
use carillon_tests::contract::Ports;
use std::sync::Arc;

fn ports() -> Ports {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    let store = Store::open_temporary(settings).expect("the temporary directory can be written");
    let store = Arc::new(store);
    Ports {
        rules: store.clone(),
        sender: store.clone(),
        consumer: store.clone(),
        admin: store.clone(),
        marks: store.clone(),
        sizes: store.clone(),
        window: store.clone(),
        clock: Arc::new(clock.clone()),
        pass: Arc::new(move |time| {
            let clock = clock.clone();
            Box::pin(async move { clock.advance(time) })
        }),
        lacks: Vec::new(),
        keep: None,
    }
}

carillon_tests::contract!(ports);

fn archive() -> carillon_tests::contract::archive::Ports {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        keep_events: std::time::Duration::from_secs(30 * 86_400),
        ..Settings::default()
    };
    let store = Store::open_temporary(settings).expect("the temporary directory can be written");
    let store = Arc::new(store);
    carillon_tests::contract::archive::Ports {
        stages: store.clone(),
        archive: store,
        clock: Arc::new(clock.clone()),
        pass: Arc::new(move |time| {
            let clock = clock.clone();
            Box::pin(async move { clock.advance(time) })
        }),
        keep: None,
    }
}

carillon_tests::archive_contract!(archive);
