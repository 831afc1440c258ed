//! The control plane's ports on AWS: what the function stands on, and `carillon console` over a deployed stack. The one
//! part of this library that knows AWS; with feature `aws` alone.

use crate::{AccessKey, Ports, Service};
use carillon_aws::lambda::Error;
use carillon_aws::metrics::CountingStages;
use carillon_aws::{
    CertificateShelf, Clients, DynamoDeadLetters, DynamoMarks, DynamoRules, EventBucket, Queues,
    Secret, Settings, SnsPublisher, StageQueues, SystemClock, SystemRandom,
};
use carillon_core::ports::{SigningKeys, StageSender};
use carillon_core::push::guard::{AddressGuard, PushUrl};
use carillon_core::ruleset::SnapshotCache;
use carillon_deliver::cloud::{KeyDocument, Shelf};
use carillon_deliver::signing::{KeyRing, Signing, SigningSettings};
use carillon_ingest::DirectPublish;
use std::sync::Arc;

/// The control plane of a stack, answering requests to `host`, sending through `stages`.
///
/// # Errors
/// When the signing keys or the settings of ingest cannot be read.
pub async fn service(
    clients: &Clients,
    settings: &Settings,
    access_keys: Vec<AccessKey>,
    host: String,
    stages: StageQueues,
) -> Result<Service, Error> {
    let archive = (!settings.archive_bucket.is_empty()).then(|| {
        let bucket = &settings.archive_bucket;
        let clock = Arc::new(SystemClock);
        Arc::new(EventBucket::new(clients, bucket, stages.clone(), clock))
    });
    let ports = ports(clients, settings, stages, archive.clone()).await?;
    let sns = Arc::new(SnsPublisher::new(clients, settings));
    // Without the secret's name nothing is signed, as in the deliver stage.
    let signing_keys = match settings.signing_secret.as_str() {
        "" => None,
        _ => Some(signing_keys(clients, settings).await?),
    };
    let settings = crate::Settings {
        account_id: settings.account.clone(),
        region: settings.region.clone(),
        access_keys,
        hosts: vec![host],
        ..crate::Settings::default()
    };
    let mut service = Service::new(ports, settings).with_sns(sns);
    if let Some(keys) = signing_keys {
        service = service.turning_keys_over(keys);
    }
    Ok(match archive {
        Some(archive) => service.remembering(archive),
        None => service,
    })
}

async fn ports(
    clients: &Clients,
    settings: &Settings,
    stages: StageQueues,
    archive: Option<Arc<EventBucket>>,
) -> Result<Ports, Error> {
    let rules = Arc::new(DynamoRules::new(clients, &settings.table));
    let queues = Arc::new(Queues::new(clients, &settings.queue_prefix));
    let dead_letters = DynamoDeadLetters::new(clients, &settings.table, settings.dead_letter_days)
        .with_stages(stages.clone());
    let guard = AddressGuard::allowing(settings.allow_endpoints.clone());
    let (decoding, extras) = carillon_ingest::cloud::choices(clients, settings)?;
    // What is published here is accepted here, and kept like what comes by ingest.
    let accepting: Arc<dyn StageSender> = match archive {
        Some(archive) => archive,
        None => Arc::new(stages),
    };
    // And counted: these events never meet the ingest function.
    let accepting = match settings.in_lambda {
        true => Arc::new(CountingStages::new(accepting, Arc::new(SystemClock))),
        false => accepting,
    };
    Ok(Ports {
        publisher: Arc::new(DirectPublish {
            stages: accepting,
            snapshots: Arc::new(SnapshotCache::new(rules.clone())),
            clock: Arc::new(SystemClock),
            settings: decoding,
            extras,
        }),
        rules,
        queues: queues.clone(),
        sender: queues.clone(),
        consumer: queues,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::default()),
        // Attempts are lines of the deliver function's log: CloudWatch Logs Insights reads them.
        attempts: None,
        dead_letters: Some(Arc::new(dead_letters)),
        certificates: None,
        metrics: Vec::new(),
        marks: Some(Arc::new(DynamoMarks::new(clients, &settings.table))),
        webhook_secrets: None,
        url_check: Some(Arc::new(move |url| {
            let url = PushUrl::parse(url).map_err(|error| error.to_string())?;
            guard.check_url(&url).map_err(|error| error.to_string())
        })),
    })
}

/// The keys that the deliver stage signs with: whatever is turned over here it sees within half a minute.
async fn signing_keys(
    clients: &Clients,
    settings: &Settings,
) -> Result<Arc<dyn SigningKeys>, Error> {
    let document = Arc::new(KeyDocument(Secret::new(clients, &settings.signing_secret)));
    let signing = SigningSettings {
        mns: true,
        webhooks: true,
        certificate_base: format!("{}/certs/", settings.certificates_url),
    };
    let signing = Signing::open(&*document, Arc::new(SystemClock), signing).await?;
    let shelf = Shelf(CertificateShelf::new(clients, &settings.table));
    let ring = KeyRing::new(Arc::new(signing), document, Some(Arc::new(shelf)));
    Ok(Arc::new(ring))
}
