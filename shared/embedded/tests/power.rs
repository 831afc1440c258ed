//! A power cut loses nothing that was acknowledged.
//!
//! The store writes its log without waiting and waits for the disk in one place, [`Settings::sync`]. The test stands in
//! that place: at each wait it takes a copy of the files, which is what the disk holds when the wait returns. A power cut
//! at any later moment, before the next wait, leaves at least that copy. So the newest copy that was complete when an
//! acknowledgement was given must hold what was acknowledged. Messages pass through the stages in memory meanwhile.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::ports::{
    BatchOutcome, OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer, QueueSender, Stage,
    StageSender,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{EventSourceMapping, MappingSettings, Settings, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn arrived() -> QueueName {
    QueueName::parse("arrived").unwrap()
}

/// The files of a store, the database first: should the log be begun anew meanwhile, what it held is in the database, so
/// the copy is taken again until the log's head stood still.
fn image(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (base, log) = (
        data.join("carillon.sqlite"),
        data.join("carillon.sqlite-wal"),
    );
    loop {
        let head = |bytes: &[u8]| bytes.get(..32).map(<[u8]>::to_vec);
        let before = head(&std::fs::read(&log).unwrap());
        let files = vec![
            (base.clone(), std::fs::read(&base).unwrap()),
            (log.clone(), std::fs::read(&log).unwrap()),
        ];
        if head(&files[1].1) == before {
            return files;
        }
    }
}

/// Handlers that hand on in memory: ingest to match to deliver to the queue.
fn start(store: &Store) -> Vec<EventSourceMapping> {
    [
        (Stage::Ingest, Some(Stage::Match)),
        (Stage::Match, Some(Stage::Deliver)),
        (Stage::Deliver, None),
    ]
    .into_iter()
    .map(|(stage, to)| {
        let hands = store.hand_over();
        EventSourceMapping::start(
            store.clone(),
            stage,
            MappingSettings::default(),
            move |batch| {
                let hands = hands.clone();
                async move {
                    let mut outcome = BatchOutcome::default();
                    for record in batch {
                        let message = vec![OutgoingMessage::new(record.body)];
                        let sent = match to {
                            Some(stage) => {
                                StageSender::send(&hands, stage, message).await.remove(0)
                            }
                            None => QueueSender::send(&hands, &arrived(), message)
                                .await
                                .remove(0)
                                .map(drop),
                        };
                        if let Err(error) = sent {
                            outcome.failed.push((record.id, error.to_string()));
                        }
                    }
                    outcome
                }
            },
        )
    })
    .collect()
}

/// Receives and deletes until nothing is left; gives what came.
async fn drain(store: &Store) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    loop {
        let messages = store
            .receive(&arrived(), 100, Some(Duration::from_millis(50)))
            .await
            .unwrap();
        seen.extend(
            messages
                .iter()
                .map(|message| message.body.parse::<u64>().unwrap()),
        );
        let receipts: Vec<_> = messages
            .into_iter()
            .filter_map(|message| message.receipt)
            .collect();
        QueueConsumer::delete(store, &arrived(), &receipts)
            .await
            .unwrap();
        let stages = [Stage::Ingest, Stage::Match, Stage::Deliver];
        let left = QueueAdmin::get(store, &arrived()).await.unwrap().statistics;
        if left.active + left.inactive == 0
            && stages
                .iter()
                .all(|&stage| store.stage_statistics(stage).records == 0)
        {
            return seen;
        }
    }
}

/// What the disk held at the newest wait.
#[derive(Default)]
struct Disk {
    image: Vec<(PathBuf, Vec<u8>)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let data = tempfile::tempdir().unwrap();
    let disk = Arc::new(Mutex::new(Disk::default()));
    let (hook, path) = (disk.clone(), data.path().to_owned());
    let settings = Settings {
        // So short that some of what passes is written, and some never.
        hold: Duration::from_millis(20),
        sync: Arc::new(move |_| {
            let image = image(&path);
            hook.lock().unwrap().image = image;
            Ok(())
        }),
        ..Settings::default()
    };
    let store = Store::open(data.path(), settings).unwrap();
    let attributes = QueueAttributes {
        visibility_timeout: 1,
        ..QueueAttributes::default()
    };
    QueueAdmin::create(&store, &arrived(), attributes)
        .await
        .unwrap();
    let _mappings = start(&store);
    let seen: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let (consumer, consumed) = (store.clone(), seen.clone());
    let consumer = tokio::spawn(async move {
        loop {
            let messages = consumer
                .receive(&arrived(), 16, Some(Duration::from_secs(1)))
                .await
                .unwrap();
            let (mut numbers, mut receipts) = (Vec::new(), Vec::new());
            for message in messages {
                // Some are left for later.
                if !message.body.ends_with('7') {
                    numbers.push(message.body.parse::<u64>().unwrap());
                    receipts.extend(message.receipt);
                }
            }
            consumed.lock().unwrap().extend(numbers);
            QueueConsumer::delete(&consumer, &arrived(), &receipts)
                .await
                .unwrap();
        }
    });

    let mut cuts = Vec::new();
    for number in 0..400 {
        let message = vec![OutgoingMessage::new(number.to_string())];
        StageSender::send(&store, Stage::Ingest, message)
            .await
            .remove(0)
            .unwrap();
        if number % 40 == 39 {
            // The power fails here: the disk holds at least the image of the newest wait, and the consumer has had what it
            // had by now.
            let image = std::mem::take(&mut disk.lock().unwrap().image);
            let had = seen.lock().unwrap().clone();
            cuts.push((number, image, had));
        }
    }
    consumer.abort();
    store.close().await;

    for (last, image, had) in cuts {
        let after = tempfile::tempdir().unwrap();
        for (path, bytes) in image {
            std::fs::write(after.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        let store = Store::open(after.path(), Settings::default()).unwrap();
        let mappings = start(&store);
        let mut all = drain(&store).await;
        all.extend(had);
        let lost: Vec<_> = (0..=last).filter(|number| !all.contains(number)).collect();
        assert!(lost.is_empty(), "a cut after {last} lost {lost:?}");
        for mapping in mappings {
            mapping.stop(Duration::from_secs(10)).await;
        }
        store.close().await;
    }
}
