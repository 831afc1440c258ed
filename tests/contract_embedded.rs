//! The contract of the storage ports, on SQLite with a stopped clock.

use carillon_core::event::Timestamp;
use carillon_core::ports::Stage;
use carillon_deliver::signing::FileKeyStore;
use carillon_embedded::{ManualClock, Settings, Store};
use carillon_tests::contract::{Ports, keys::Ports as KeyPorts, letters::Ports as LetterPorts};
use std::sync::Arc;
use std::time::Duration;

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

fn letters() -> LetterPorts {
    let store = Store::open_temporary(Settings::default());
    let store = Arc::new(store.expect("the temporary directory can be written"));
    LetterPorts {
        store: store.clone(),
        admin: store.clone(),
        take: Arc::new(move |stage: Stage, most| {
            let store = store.clone();
            Box::pin(async move {
                let lease = Duration::from_secs(60);
                let taken = store.take_records(stage, most, lease, 5).await;
                let taken = taken.expect("the store is open");
                taken
                    .into_iter()
                    .map(|leased| leased.record.body.clone())
                    .collect()
            })
        }),
        keep: None,
    }
}

carillon_tests::letters_contract!(letters);

fn keys() -> KeyPorts {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    KeyPorts {
        store: Arc::new(FileKeyStore::new(directory.path())),
        keep: Some(Arc::new(directory)),
    }
}

carillon_tests::keys_contract!(keys);
