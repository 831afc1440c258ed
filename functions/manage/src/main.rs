//! The control plane as a Lambda function behind a function URL. With `CARILLON_SERVE=certificates` it is the function
//! that the world may call: it serves signing certificates out of the table, and nothing else.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use carillon_aws::lambda::{Error, serve_url, start_log};
use carillon_aws::{
    CertificateShelf, Clients, DynamoDeadLetters, DynamoMarks, DynamoRules, EventBucket, Queues,
    Secret, Settings, StageQueues, SystemClock, SystemRandom,
};
use carillon_core::ports::{SigningKeys, StageSender, StoreError};
use carillon_core::push::guard::{AddressGuard, PushUrl};
use carillon_core::ruleset::SnapshotCache;
use carillon_deliver::signing::{CertificatePlace, KeyRing, KeyStore, Signing, SigningSettings};
use carillon_ingest::DirectPublish;
use carillon_manage::{AccessKey, Ports, Role, Service};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;

/// The key document in Secrets Manager, as its reader: the deliver stage makes it.
struct Document(Secret);

#[async_trait::async_trait]
impl KeyStore for Document {
    async fn load(&self) -> Result<Option<String>, StoreError> {
        self.0.read().await
    }

    async fn create(&self, document: &str) -> Result<(), StoreError> {
        self.0.create(document).await
    }

    async fn replace(&self, held: &str, document: &str) -> Result<bool, StoreError> {
        self.0.replace(held, document).await
    }
}

/// The shelf that the world's function serves from.
struct Shelf(CertificateShelf);

#[async_trait::async_trait]
impl CertificatePlace for Shelf {
    async fn put(&self, file: &str, pem: &str) -> Result<(), StoreError> {
        self.0.put(file, pem).await
    }

    async fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.0.remove(file).await
    }
}

#[derive(serde::Deserialize)]
struct Key {
    id: String,
    secret: String,
    role: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let settings = Settings::from_environment()?;
    let clients = Clients::connect().await;
    if std::env::var("CARILLON_SERVE").is_ok_and(|what| what == "certificates") {
        let shelf = &CertificateShelf::new(&clients, &settings.table);
        return serve_url(|_, request| certificate(shelf, request)).await;
    }
    let keys = access_keys(&clients, &settings).await?;
    if settings.smq_auth && keys.is_empty() {
        return serve_url(|_, _| async {
            text(
                StatusCode::FORBIDDEN,
                "closed: no access key is configured. Put a JSON array of {\"id\", \"secret\", \"role\"} into the secret that \
                 the stack's output AccessKeysSecret names, then wait for a new environment or deploy again\n",
            )
        })
        .await;
    }
    let stages = StageQueues::new(&clients, settings.stages.clone());
    let archive = (!settings.archive_bucket.is_empty()).then(|| {
        let bucket = &settings.archive_bucket;
        let clock = Arc::new(SystemClock);
        Arc::new(EventBucket::new(&clients, bucket, stages.clone(), clock))
    });
    let ports = ports(&clients, &settings, stages, archive.clone()).await?;
    let signing_keys = &signing_keys(&clients, &settings).await?;
    let router = OnceCell::new();
    let (router, ports, keys, settings, archive) = (&router, &ports, &keys, &settings, &archive);
    serve_url(|host, request| async move {
        let make = || async {
            let settings = carillon_manage::Settings {
                account_id: settings.account.clone(),
                region: settings.region.clone(),
                access_keys: keys.clone(),
                // Without keys AWS has checked who asks, and the host is the one AWS gave this function.
                hosts: vec![host],
                ..carillon_manage::Settings::default()
            };
            let service = Service::new(ports.clone(), settings);
            let service = match archive {
                Some(archive) => service.remembering(archive.clone()),
                None => service,
            };
            carillon_manage::router(Arc::new(service.turning_keys_over(signing_keys.clone())))
        };
        let router = router.get_or_init(make).await;
        answer(router.clone(), request).await
    })
    .await
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
    let document = Arc::new(Document(Secret::new(clients, &settings.signing_secret)));
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

async fn access_keys(clients: &Clients, settings: &Settings) -> Result<Vec<AccessKey>, Error> {
    if !settings.smq_auth {
        return Ok(Vec::new());
    }
    let Some(document) = Secret::new(clients, &settings.access_keys_secret)
        .read()
        .await?
    else {
        return Ok(Vec::new());
    };
    let keys: Vec<Key> = serde_json::from_str(&document).map_err(|error| {
        format!("the access keys are no JSON array of id, secret and role: {error}")
    })?;
    keys.into_iter()
        .map(|key| {
            let role = Role::parse(&key.role).ok_or_else(|| {
                format!(
                    "access key {:?} has the unknown role {:?}",
                    key.id, key.role
                )
            })?;
            Ok(AccessKey {
                id: key.id,
                secret: key.secret,
                role,
            })
        })
        .collect()
}

async fn answer(router: axum::Router, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let Ok(response) = router.oneshot(request.map(Body::from)).await;
    let (parts, body) = response.into_parts();
    match body.collect().await {
        Ok(body) => Response::from_parts(parts, body.to_bytes().into()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn certificate(shelf: &CertificateShelf, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let file = request
        .uri()
        .path()
        .strip_prefix("/certs/")
        .unwrap_or_default();
    match shelf.get(file).await {
        Ok(Some(pem)) => text(StatusCode::OK, &pem),
        Ok(None) => text(
            StatusCode::NOT_FOUND,
            "there is no such certificate: take the URL that pushes carry\n",
        ),
        Err(error) => {
            tracing::error!(%error, "the certificate could not be read");
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                "not available now: ask again\n",
            )
        }
    }
}

fn text(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(text.as_bytes().to_vec());
    *response.status_mut() = status;
    response
}
