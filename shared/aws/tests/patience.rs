//! What ingest may go on without must not take the time of its function (30 s), however many events a batch has: on an AWS
//! that takes connections and never answers. Time is tokio's, stopped: it passes when everybody waits.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use carillon_aws::{Clients, DynamoSizes, DynamoWindow, S3ObjectMetadata};
use carillon_core::event::history::{Effect, ObjectWrite};
use carillon_core::event::{EventId, IdentityHasher, Timestamp};
use carillon_core::ports::{DuplicateWindow as _, ObjectMetadata as _, ObjectName, SizeIndex as _};
use std::time::Duration;
use tokio::time::Instant;

/// As many as a batch of the template's mapping has.
const BATCH: usize = 1_000;
/// All four together leave a third of the function's time.
const ALL: Duration = Duration::from_secs(20);

async fn silent() -> (Clients, std::net::TcpListener) {
    // Connections wait in the listener's backlog, and nobody takes them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (Clients::connect_to(&url).await, listener)
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_without_stores_that_do_not_answer() {
    let (clients, _listener) = silent().await;
    let began = Instant::now();

    let window = DynamoWindow::new(&clients, "t");
    let ids: Vec<EventId> = (0..BATCH)
        .map(|n| IdentityHasher::new("test").part(&n.to_string()).finish())
        .collect();
    window.known(&ids, Timestamp::default()).await.unwrap_err();

    let writes = (0..BATCH).map(|n| ObjectWrite {
        bucket: "b".to_owned(),
        key: format!("k{n}"),
        sequencer: "01".to_owned(),
        version: None,
        effect: Effect::Written(Some(1)),
    });
    let sizes = DynamoSizes::new(&clients, "t");
    let judged = sizes.observe(writes.collect()).await;
    assert_eq!(judged.iter().filter(|one| one.is_err()).count(), BATCH);

    let objects = (0..BATCH).map(|n| ObjectName {
        bucket: "b".to_owned(),
        key: format!("k{n}"),
        version: None,
    });
    let metadata = S3ObjectMetadata::new(&clients).of(objects.collect()).await;
    assert_eq!(metadata.iter().filter(|one| one.is_err()).count(), BATCH);

    window.mark(ids, Timestamp::default()).await.unwrap_err();
    assert!(began.elapsed() <= ALL, "{:?}", began.elapsed());
}
