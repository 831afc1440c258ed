//! How fast pushes go out: the real handler, the real dialler and the real signatures, against a receiver on loopback
//! in the same process. What `carillon bench push` prints.
//!
//! The receiver, the client and the signatures share the processors, so the figures are below what the same machine does
//! towards receivers elsewhere.

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

/// The figures; all but the last two are pushes or signatures a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PushFigures {
    /// The machine's floor: requests of the same size over the same connections, written and read without any HTTP
    /// client.
    pub floor_per_second: f64,
    /// Unsigned pushes.
    pub unsigned_per_second: f64,
    /// MNS signatures alone, on all processors.
    pub signatures_per_second: f64,
    /// Pushes with both signatures.
    pub signed_per_second: f64,
    /// Pushes with both signatures, per signature that the same processors make when they do nothing else.
    pub signed_to_signatures: f64,
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

    let floor_per_second = receiver.floor(phase, WORKERS * 8).await?;
    let unsigned_per_second = pushes(&receiver, Arc::new(NoSigner), phase).await?;
    let signatures_per_second = signatures(signing.clone(), processors, phase).await;
    let signed_per_second = pushes(&receiver, signing, phase).await?;
    Ok(PushFigures {
        floor_per_second,
        unsigned_per_second,
        signatures_per_second,
        signed_per_second,
        signed_to_signatures: signed_per_second / signatures_per_second.max(f64::MIN_POSITIVE),
        processors,
    })
}

/// Pushes a second through the handler.
async fn pushes(
    receiver: &receiver::Receiver,
    signer: Arc<dyn Signer>,
    phase: Duration,
) -> Result<f64, BenchError> {
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
    let begun = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (ports, batch) = (ports.clone(), batch.clone());
            tokio::spawn(async move {
                while begun.elapsed() < phase {
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
        0 => Ok(per_second(answered, begun)),
        failed => Err(BenchError::Failed(failed)),
    }
}

/// MNS signatures a second on all processors, with nothing else to do.
async fn signatures(signing: Arc<Signing>, processors: usize, phase: Duration) -> f64 {
    // As long as a string to sign is.
    let text = "x".repeat(600);
    let count = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
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
    per_second(count.load(Ordering::Relaxed), begun)
}

fn per_second(count: u64, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64().max(f64::MIN_POSITIVE)
}
