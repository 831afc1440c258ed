//! How fast pushes go out: the real handler, the real dialler and the real signatures, against a receiver on loopback
//! in the same process. What `carillon bench push` prints.
//!
//! The receiver, the client and the signatures share the processors, so the figures are below what the same machine does
//! towards receivers elsewhere.

mod processor;
mod receiver;
mod world;

use crate::dial::{Dialler, DiallerSettings};
use crate::signing::{Signing, SigningSettings, SigningSetupError};
use crate::{Memory, NoSigner, Ports, Settings, Signer, handle};
use carillon_core::ports::QueueRecord;
use carillon_core::push::guard::AddressGuard;
use carillon_core::ruleset::SnapshotCache;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use world::{InMemory, Nowhere, OneSubscription, TimeOfDay};

/// Batches under way at once: enough that the client never waits for the handler.
const WORKERS: usize = 8;
/// Records in a batch, as an SQS event source mapping gives them.
const RECORDS: usize = 10;
/// Deliveries in a record.
const PACKED: u32 = 40;

/// How often something was done, and what it cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Times a second, by the clock on the wall.
    pub per_second: f64,
    /// Microseconds of processor time for each, receiver included; none where the system does not tell. Other programs
    /// on the machine change it little.
    pub processor_micros: Option<f64>,
}

/// The figures.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PushFigures {
    /// The machine's floor: requests of about the same size, written and read without any HTTP client.
    pub floor: Rate,
    /// Unsigned pushes.
    pub unsigned: Rate,
    /// MNS signatures alone, on all processors.
    pub signatures: Rate,
    /// Pushes with both signatures.
    pub signed: Rate,
    /// Signed pushes a second, per signature a second that the same processors make when they do nothing else.
    pub signed_to_signatures: f64,
    /// The same by processor time.
    pub signed_to_signatures_by_processor: Option<f64>,
    /// Processors.
    pub processors: usize,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No socket on loopback.
    #[error("no receiver on loopback: {0}")]
    Receiver(#[from] std::io::Error),
    /// No key.
    #[error(transparent)]
    Signing(#[from] SigningSetupError),
    /// Pushes did not arrive: the figures would mean nothing.
    #[error("{0} pushes failed; the figures would mean nothing")]
    Failed(u64),
}

/// Measures, each phase for `phase`. To be called on a runtime with as many threads as there are processors.
///
/// # Errors
/// [`BenchError`].
pub async fn push(phase: Duration) -> Result<PushFigures, BenchError> {
    let receiver = receiver::Receiver::start().await?;
    let clock = Arc::new(TimeOfDay);
    let settings = SigningSettings {
        mns: true,
        webhooks: true,
        certificate_base: "http://127.0.0.1/certs/".to_owned(),
    };
    let store = InMemory::default();
    let signing = Arc::new(Signing::open(&store, clock, settings).await?);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);

    let floor = receiver.floor(phase, WORKERS * 8).await?;
    let unsigned = pushes(&receiver, Arc::new(NoSigner), phase).await?;
    let signatures = signatures(signing.clone(), processors, phase).await;
    let signed = pushes(&receiver, signing, phase).await?;
    let by_processor = |(signature, push): (f64, f64)| signature / push.max(f64::MIN_POSITIVE);
    Ok(PushFigures {
        floor,
        unsigned,
        signatures,
        signed,
        signed_to_signatures: signed.per_second / signatures.per_second.max(f64::MIN_POSITIVE),
        signed_to_signatures_by_processor: signatures
            .processor_micros
            .zip(signed.processor_micros)
            .map(by_processor),
        processors,
    })
}

/// Pushes a second through the handler.
async fn pushes(
    receiver: &receiver::Receiver,
    signer: Arc<dyn Signer>,
    phase: Duration,
) -> Result<Rate, BenchError> {
    let subscriptions = OneSubscription::new(receiver.address());
    let batch: Arc<[QueueRecord]> = subscriptions.batch(RECORDS, PACKED).into();
    let nowhere = Arc::new(Nowhere::default());
    let loopback = "127.0.0.0/8".parse().expect("this is a range of addresses");
    let ports = Ports {
        snapshots: Arc::new(SnapshotCache::new(Arc::new(subscriptions))),
        stages: nowhere.clone(),
        queues: nowhere.clone(),
        http: Arc::new(Dialler::new(DiallerSettings {
            guard: AddressGuard::allowing(vec![loopback]),
            ..DiallerSettings::default()
        })),
        dead_letters: nowhere.clone(),
        attempts: nowhere.clone(),
        clock: Arc::new(TimeOfDay),
        random: nowhere.clone(),
        sns: None,
        signer,
        memory: Arc::new(Memory::default()),
        settings: Settings {
            log_one_success_in: 0,
            ..Settings::default()
        },
    };
    // The first batches open the connections and prove the endpoint; they are not counted.
    for _ in 0..2 {
        handle(&ports, &batch[..1]).await;
    }
    nowhere.forget();
    let before = receiver.answered();
    let begun = Begun::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (ports, batch) = (ports.clone(), batch.clone());
            tokio::spawn(async move {
                while begun.at.elapsed() < phase {
                    handle(&ports, &batch).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.map_err(std::io::Error::other)?;
    }
    let answered = receiver.answered() - before;
    match nowhere.failed() {
        0 => Ok(begun.rate(answered)),
        failed => Err(BenchError::Failed(failed)),
    }
}

/// MNS signatures a second on all processors, with nothing else to do.
async fn signatures(signing: Arc<Signing>, processors: usize, phase: Duration) -> Rate {
    // As long as a string to sign is.
    let text = "x".repeat(600);
    let count = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Begun::now();
    let threads: Vec<_> = (0..processors)
        .map(|_| {
            let (signing, text) = (signing.clone(), text.clone());
            let (count, stop) = (count.clone(), stop.clone());
            tokio::task::spawn_blocking(move || {
                while !stop.load(Ordering::Relaxed) {
                    if signing.sign_here(&text).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(phase).await;
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        // A thread that panicked counted nothing; the others did.
        let _ = thread.await;
    }
    begun.rate(count.load(Ordering::Relaxed))
}

/// The beginning of a phase.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    used: Option<Duration>,
}

impl Begun {
    fn now() -> Self {
        Begun {
            at: Instant::now(),
            used: processor::used(),
        }
    }

    /// What a count since the beginning comes to.
    fn rate(self, count: u64) -> Rate {
        let count = count as f64;
        let used = processor::used().zip(self.used);
        Rate {
            per_second: count / self.at.elapsed().as_secs_f64().max(f64::MIN_POSITIVE),
            processor_micros: used
                .map(|(now, then)| now.saturating_sub(then).as_secs_f64() * 1e6 / count.max(1.0)),
        }
    }
}
