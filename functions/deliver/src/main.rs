//! The deliver stage as a Lambda function.

use carillon_aws::lambda::{Error, serve, start_log};
use carillon_aws::{
    AttemptLines, CertificateShelf, Clients, DynamoDeadLetters, DynamoRules, Queues, Secret,
    Settings, SnsPublisher, StageQueues, SystemClock, SystemRandom,
};
use carillon_core::push::guard::AddressGuard;
use carillon_core::ruleset::SnapshotCache;
use carillon_deliver::cloud::KeyDocument;
use carillon_deliver::dial::{Dialler, DiallerSettings};
use carillon_deliver::signing::{Signing, SigningSettings};
use carillon_deliver::{Memory, NoSigner, Ports, Signer, SigningError, handle};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How often the keys are fetched again: a rotation by another process is seen within this time, long before the new key
/// signs.
const KEYS_FRESH: Duration = Duration::from_secs(30);

/// The keys, and the shelf their certificates are served from. Fetched while the runtime is polled for the first time:
/// neither waits for the other.
struct Keys {
    document: KeyDocument,
    shelf: CertificateShelf,
    settings: SigningSettings,
    opened: OnceCell<Opened>,
}

struct Opened {
    signing: Signing,
    fetched: Mutex<Instant>,
}

impl Keys {
    fn new(clients: &Clients, settings: &Settings) -> Self {
        Keys {
            document: KeyDocument(Secret::new(clients, &settings.signing_secret)),
            shelf: CertificateShelf::new(clients, &settings.table),
            settings: SigningSettings {
                mns: true,
                webhooks: true,
                certificate_base: format!("{}/certs/", settings.certificates_url),
            },
            opened: OnceCell::new(),
        }
    }

    /// The keys; a failure is tried again with the next push.
    async fn opened(&self) -> Result<&Opened, Error> {
        let open = || async {
            let signing =
                Signing::open(&self.document, Arc::new(SystemClock), self.settings.clone()).await?;
            self.show(&signing).await?;
            let fetched = Mutex::new(Instant::now());
            Ok::<_, Error>(Opened { signing, fetched })
        };
        self.opened.get_or_try_init(open).await
    }

    /// Puts the certificates where receivers find them, before any push names them.
    async fn show(&self, signing: &Signing) -> Result<(), Error> {
        for (file, pem) in signing.certificates() {
            self.shelf.put(&file, &pem).await?;
        }
        Ok(())
    }

    async fn keep_fresh(&self) {
        let Some(opened) = self.opened.get() else {
            return;
        };
        {
            let mut fetched = opened
                .fetched
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if fetched.elapsed() < KEYS_FRESH {
                return;
            }
            *fetched = Instant::now();
        }
        let fresh = async {
            opened.signing.reload(&self.document).await?;
            self.show(&opened.signing).await
        };
        if let Err(error) = fresh.await {
            tracing::warn!(%error, "the signing keys could not be fetched again; the ones at hand go on signing");
        }
    }
}

#[async_trait::async_trait]
impl Signer for Keys {
    async fn sign(
        &self,
        what: carillon_deliver::ToSign<'_>,
        headers: &mut carillon_core::push::headers::Headers,
    ) -> Result<(), SigningError> {
        let opened = self.opened().await;
        let opened = opened.map_err(|error| SigningError(error.to_string()))?;
        opened.signing.sign(what, headers).await
    }
}

// What is loaded at the start has one thread, and the connection to the runtime API another: reading the certificates of all
// authorities takes milliseconds that the first poll does not wait for.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Error> {
    start_log();
    let settings = Settings::from_environment()?;
    let clients = Clients::of_function().await;
    let keys =
        (!settings.signing_secret.is_empty()).then(|| Arc::new(Keys::new(&clients, &settings)));
    if let Some(keys) = keys.clone() {
        tokio::spawn(async move {
            if let Err(error) = keys.opened().await {
                tracing::error!(%error, "the signing keys could not be fetched; the first push tries again");
            }
        });
    }
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
