//! The match stage as a Lambda function.

use carillon_aws::lambda::{Error, serve, start_log};
use carillon_aws::{Clients, DynamoDeadLetters, DynamoRules, Settings, StageQueues, SystemClock};
use carillon_core::ruleset::SnapshotCache;
use carillon_match::{Ports, handle};
use std::sync::Arc;

// What is loaded at the start has one thread, and the connection to the runtime API another: reading the certificates of all
// authorities takes milliseconds that the first poll does not wait for.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Error> {
    start_log();
    let settings = Settings::from_environment()?;
    let clients = Clients::of_function().await;
    let stages = StageQueues::new(&clients, settings.stages.clone());
    let rules = Arc::new(DynamoRules::new(&clients, &settings.table));
    let snapshots = Arc::new(SnapshotCache::new(rules));
    let ports = Ports {
        snapshots: snapshots.clone(),
        stages: Arc::new(stages.clone()),
        dead_letters: Arc::new(DynamoDeadLetters::new(
            &clients,
            &settings.table,
            settings.dead_letter_days,
        )),
        clock: Arc::new(SystemClock),
    };
    // The rules are loaded while the runtime is polled for the first time: neither waits for the other.
    tokio::spawn(async move {
        if let Err(error) = snapshots.current().await {
            tracing::warn!(%error, "the rules could not be read yet; the first batch tries again");
        }
    });
    let ports = &ports;
    serve(stages, |batch| async move { handle(ports, &batch).await }).await
}
