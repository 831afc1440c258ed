//! The four handlers over one SQLite store, in one process.

use super::{Settings, server};
use crate::failure::Failure;
use carillon_core::ports::{BatchOutcome, ObjectMetadata, QueueRecord, Stage};
use carillon_core::push::guard::{AddressGuard, Cidr, PushUrl};
use carillon_core::push::outcome::OutcomeSettings;
use carillon_core::ruleset::SnapshotCache;
use carillon_deliver::dial::{Dialler, DiallerSettings};
use carillon_deliver::signing::{FileKeyStore, KeyRing, Signing, SigningSettings};
use carillon_embedded::{EventSourceMapping, MappingSettings, Store, SystemClock, SystemRandom};
use carillon_ingest::DirectPublish;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Time that requests and batches under way have to finish when the service stops.
const GRACE: Duration = Duration::from_secs(10);

/// The running service.
pub(crate) struct Running {
    address: SocketAddr,
    store: Store,
    publisher: DirectPublish,
    mappings: Vec<EventSourceMapping>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Running {
    /// Opens the store, starts the stages, and listens.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::Unusable(error.to_string());
        let allowed = settings
            .allow_endpoints
            .iter()
            .map(|range| range.parse::<Cidr>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::Unusable(format!("--allow-endpoints: {error}")))?;
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
            Failure::Unusable(format!(
                "cannot listen on {}: {error}; is another service there? --listen chooses another address",
                settings.listen
            ))
        })?;
        let address = listener.local_addr().map_err(|error| unusable(&error))?;
        let kept = carillon_embedded::Settings {
            keep_attempts: settings.keep_attempts,
            keep_events: settings.keep_events,
            keep_event_bytes: settings.keep_event_bytes,
            ..carillon_embedded::Settings::default()
        };
        let store = Store::open(&settings.data, kept).map_err(|error| unusable(&error))?;

        let signing = signing(&settings, address).await?;
        let guard = AddressGuard::allowing(allowed);
        let parts = Parts::new(&settings, store.clone(), guard, signing);
        let mappings = parts.mappings();
        let connections = Arc::new(server::Connections::default());
        let service = parts.control_plane(&settings, address, connections.clone());
        let (stop, stopped) = watch::channel(false);
        let serving = server::serve(
            listener,
            Arc::new(service),
            settings.bounds,
            connections,
            stopped,
        );
        let server = tokio::spawn(serving);
        Ok(Running {
            address,
            store,
            publisher: parts.publisher(),
            mappings,
            stop,
            server,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Takes events as `POST /events` does.
    pub(crate) fn publisher(&self) -> DirectPublish {
        self.publisher.clone()
    }

    /// Takes nothing more, lets what runs finish, and closes the store. What is not finished comes again at the next
    /// start.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        for mapping in self.mappings {
            mapping.stop(GRACE).await;
        }
        // A client that holds its connection open must not hold the service.
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.store.close().await;
    }
}

/// The keys that sign pushes: in the data folder, made on first run.
async fn signing(settings: &Settings, address: SocketAddr) -> Result<Arc<Signing>, Failure> {
    let base = match &settings.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    };
    let keys = FileKeyStore::new(&settings.data);
    let what = SigningSettings {
        mns: settings.sign_mns,
        webhooks: settings.sign_webhooks,
        certificate_base: format!("{base}/certs/"),
    };
    let signing = Signing::open(&keys, Arc::new(SystemClock), what).await;
    signing
        .map(Arc::new)
        .map_err(|error| Failure::Unusable(format!("{}: {error}", settings.data.display())))
}

/// What the handlers share.
struct Parts {
    store: Store,
    snapshots: Arc<SnapshotCache>,
    guard: AddressGuard,
    signing: Arc<Signing>,
    ingest: carillon_ingest::Ports,
    matching: carillon_match::Ports,
    deliver: carillon_deliver::Ports,
}

impl Parts {
    fn new(settings: &Settings, store: Store, guard: AddressGuard, signing: Arc<Signing>) -> Self {
        let shared = Arc::new(store.clone());
        // What handlers hand on is not written when it is settled at once.
        let hand_over = Arc::new(store.hand_over());
        let clock = Arc::new(SystemClock);
        let snapshots = Arc::new(SnapshotCache::new(shared.clone()));
        let decoding = carillon_ingest::Settings {
            account: settings.account_id.clone(),
            region: settings.region.clone(),
            ..settings.ingest.clone()
        };
        let ingest = carillon_ingest::Ports {
            stages: hand_over.clone(),
            dead_letters: shared.clone(),
            clock: clock.clone(),
            settings: Arc::new(decoding),
            extras: carillon_ingest::Extras {
                sizes: Some(shared.clone()),
                metadata: settings
                    .object_store
                    .clone()
                    .map(|store| store as Arc<dyn ObjectMetadata>),
                window: Some(shared.clone()),
            },
        };
        let matching = carillon_match::Ports {
            snapshots: snapshots.clone(),
            stages: hand_over.clone(),
            dead_letters: shared.clone(),
            clock: clock.clone(),
        };
        let dialler = Dialler::new(DiallerSettings {
            guard: guard.clone(),
            ..DiallerSettings::default()
        });
        let deliver = carillon_deliver::Ports {
            snapshots: snapshots.clone(),
            stages: hand_over.clone(),
            queues: hand_over.clone(),
            http: Arc::new(dialler),
            dead_letters: shared,
            attempts: hand_over,
            clock,
            random: Arc::new(SystemRandom),
            sns: None,
            signer: signing.clone(),
            memory: Arc::default(),
            settings: carillon_deliver::Settings {
                account: settings.account_id.clone(),
                log_one_success_in: settings.log_one_success_in,
                outcomes: OutcomeSettings {
                    redirect_is_success: settings.redirect_is_success,
                },
                ..carillon_deliver::Settings::default()
            },
        };
        Parts {
            store,
            snapshots,
            guard,
            signing,
            ingest,
            matching,
            deliver,
        }
    }

    /// One event source mapping for each stage.
    fn mappings(&self) -> Vec<EventSourceMapping> {
        let (ingest, matching, deliver) = (
            Arc::new(self.ingest.clone()),
            Arc::new(self.matching.clone()),
            Arc::new(self.deliver.clone()),
        );
        vec![
            self.mapping(Stage::Ingest, move |batch| {
                let ports = ingest.clone();
                async move { carillon_ingest::handle(&ports, &batch).await }
            }),
            self.mapping(Stage::Match, move |batch| {
                let ports = matching.clone();
                async move { carillon_match::handle(&ports, &batch).await }
            }),
            self.mapping(Stage::Deliver, move |batch| {
                let ports = deliver.clone();
                async move { carillon_deliver::handle(&ports, &batch).await }
            }),
        ]
    }

    fn mapping<H, F>(&self, stage: Stage, handler: H) -> EventSourceMapping
    where
        H: Fn(Vec<QueueRecord>) -> F + Send + Sync + 'static,
        F: Future<Output = BatchOutcome> + Send + 'static,
    {
        let mut settings = MappingSettings::default();
        if stage == Stage::Deliver {
            // Its batches wait for endpoints and hardly for the processor: a slow endpoint must not hold them all.
            settings.concurrency = 32;
            settings.batch_size = 50;
        }
        EventSourceMapping::start(self.store.clone(), stage, settings, handler)
    }

    fn publisher(&self) -> DirectPublish {
        DirectPublish {
            stages: Arc::new(self.store.clone()),
            snapshots: self.snapshots.clone(),
            clock: self.ingest.clock.clone(),
            settings: self.ingest.settings.clone(),
            extras: self.ingest.extras.clone(),
        }
    }

    fn control_plane(
        &self,
        settings: &Settings,
        address: SocketAddr,
        connections: Arc<server::Connections>,
    ) -> carillon_manage::Service {
        let shared = Arc::new(self.store.clone());
        let guard = self.guard.clone();
        let shared_metrics: Arc<dyn carillon_core::ports::MetricsText> = shared.clone();
        let document = Arc::new(FileKeyStore::new(&settings.data));
        let keys = KeyRing::new(self.signing.clone(), document, None);
        let ports = carillon_manage::Ports {
            rules: shared.clone(),
            queues: shared.clone(),
            sender: shared.clone(),
            consumer: shared.clone(),
            publisher: Arc::new(self.publisher()),
            clock: self.ingest.clock.clone(),
            random: Arc::new(SystemRandom),
            attempts: Some(shared.clone()),
            dead_letters: Some(shared),
            certificates: Some(self.signing.clone()),
            metrics: vec![shared_metrics, connections],
            marks: Some(Arc::new(self.store.clone())),
            webhook_secrets: None,
            url_check: Some(Arc::new(move |url| {
                let url = PushUrl::parse(url).map_err(|error| error.to_string())?;
                guard.check_url(&url).map_err(|error| error.to_string())
            })),
        };
        let own = carillon_manage::Settings {
            account_id: settings.account_id.clone(),
            region: settings.region.clone(),
            overlap: settings.overlap,
            access_keys: settings.access_keys.clone(),
            hosts: vec![address.to_string()],
            limits: carillon_manage::Limits {
                rules: settings.limits,
                ..carillon_manage::Limits::default()
            },
            max_requests_per_second: settings.max_requests_per_second,
            ..carillon_manage::Settings::default()
        };
        let (decoding, clock) = (self.ingest.settings.clone(), self.ingest.clock.clone());
        let service = carillon_manage::Service::new(ports, own).turning_keys_over(Arc::new(keys));
        let service = if settings.keep_events.is_zero() {
            service
        } else {
            service.remembering(Arc::new(self.store.clone()))
        };
        service.decoding_with(Arc::new(move |body, product| {
            let hint = carillon_ingest::Hint {
                product: Some(product.to_owned()),
                received: clock.now(),
                ..carillon_ingest::Hint::default()
            };
            carillon_ingest::decode(body, &hint, &decoding)
                .and_then(carillon_ingest::Decoded::all_or_nothing)
                .map(|decoded| decoded.events)
                .map_err(|error| error.to_string())
        }))
    }
}
