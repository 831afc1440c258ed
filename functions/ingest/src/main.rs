//! The ingest stage as a Lambda function.

use carillon_aws::lambda::{Error, serve, start_log};
use carillon_aws::metrics::CountingStages;
use carillon_aws::{Clients, DynamoDeadLetters, EventBucket, Settings, StageQueues, SystemClock};
use carillon_core::ports::StageSender;
use carillon_ingest::{Ports, handle};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let settings = Settings::from_environment()?;
    let clients = Clients::of_function().await;
    let (decoding, extras) = carillon_ingest::cloud::choices(&clients, &settings)?;
    let stages = StageQueues::new(&clients, settings.stages.clone());
    let clock = Arc::new(SystemClock);
    let sender: Arc<dyn StageSender> = if settings.archive_bucket.is_empty() {
        Arc::new(stages.clone())
    } else {
        let bucket = &settings.archive_bucket;
        Arc::new(EventBucket::new(
            &clients,
            bucket,
            stages.clone(),
            clock.clone(),
        ))
    };
    let ports = Ports {
        stages: Arc::new(CountingStages::new(sender, clock.clone())),
        dead_letters: Arc::new(DynamoDeadLetters::new(
            &clients,
            &settings.table,
            settings.dead_letter_days,
        )),
        clock,
        settings: decoding,
        extras,
    };
    let ports = &ports;
    serve(stages, |batch| async move { handle(ports, &batch).await }).await
}
