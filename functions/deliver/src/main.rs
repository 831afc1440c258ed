//! The deliver stage as a Lambda function.

use carillon_aws::lambda::{Error, serve, start_log};
use carillon_aws::{
    AttemptLines, CertificateShelf, Clients, DynamoDeadLetters, DynamoRules, Queues, Secret,
    Settings, SnsPublisher, StageQueues, SystemClock, SystemRandom,
};
use carillon_core::push::guard::AddressGuard;
use carillon_core::ruleset::SnapshotCache;
use carillon_deliver::cloud::{KeyDocument, Shelf};
use carillon_deliver::dial::{Dialler, DiallerSettings};
use carillon_deliver::signing::{SharedKeys, SigningSettings};
use carillon_deliver::{Memory, NoSigner, Ports, Signer, handle};
use std::sync::Arc;

/// The keys, and the shelf their certificates are served from. Fetched while the runtime is polled for the first time:
/// neither waits for the other.
fn keys(clients: &Clients, settings: &Settings) -> Option<Arc<SharedKeys>> {
    if settings.signing_secret.is_empty() {
        return None;
    }
    let keys = Arc::new(SharedKeys::new(
        Arc::new(KeyDocument(Secret::new(clients, &settings.signing_secret))),
        Arc::new(Shelf(CertificateShelf::new(clients, &settings.table))),
        Arc::new(SystemClock),
        SigningSettings {
            mns: true,
            webhooks: true,
            certificate_base: format!("{}/certs/", settings.certificates_url),
        },
    ));
    let opening = keys.clone();
    tokio::spawn(async move {
        if let Err(error) = opening.open().await {
            tracing::error!(%error, "the signing keys could not be fetched; the first push tries again");
        }
    });
    Some(keys)
}

// What is loaded at the start has one thread, and the connection to the runtime API another: reading the certificates of all
// authorities takes milliseconds that the first poll does not wait for.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Error> {
    start_log();
    let settings = Settings::from_environment()?;
    let clients = Clients::of_function().await;
    let keys = keys(&clients, &settings);
    let signer: Arc<dyn Signer> = match &keys {
        Some(keys) => keys.clone(),
        None => Arc::new(NoSigner),
    };
    let stages = StageQueues::new(&clients, settings.stages.clone());
    let rules = Arc::new(DynamoRules::new(&clients, &settings.table));
    let days = settings.dead_letter_days;
    let ports = Ports {
        snapshots: Arc::new(SnapshotCache::new(rules)),
        stages: Arc::new(stages.clone()),
        queues: Arc::new(Queues::new(&clients, &settings.queue_prefix)),
        sns: Some(Arc::new(SnsPublisher::new(&clients, &settings))),
        http: Arc::new(Dialler::new(DiallerSettings {
            guard: AddressGuard::allowing(settings.allow_endpoints.clone()),
            ..DiallerSettings::default()
        })),
        dead_letters: Arc::new(DynamoDeadLetters::new(&clients, &settings.table, days)),
        attempts: Arc::new(AttemptLines::new(Arc::new(SystemClock))),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::default()),
        signer,
        memory: Arc::new(Memory::default()),
        settings: carillon_deliver::Settings {
            account: settings.account,
            whole_second_delays: true,
            // A line for each success would cost more than all requests together; counts and failures stay.
            log_one_success_in: 100,
            ..carillon_deliver::Settings::default()
        },
    };
    let (ports, keys) = (&ports, &keys);
    serve(stages, |batch| async move {
        if let Some(keys) = keys {
            keys.keep_fresh().await;
        }
        handle(ports, &batch).await
    })
    .await
}
