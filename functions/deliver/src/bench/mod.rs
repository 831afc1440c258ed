//! How fast pushes go out: the real handler, the real dialler and the real signatures, against a receiver on loopback
//! in the same process. What `carillon bench push` prints.
//!
//! The receiver, the client and the signatures share the processors, so the figures are below what the same machine does
//! towards receivers elsewhere; what the receiver costs is measured and told apart.
//!
//! Signed pushes are held against *signing alone*: all signatures that a push carries (MNS's and both of Standard
//! Webhooks), of the same text, on every processor, with nothing else to do. The two take turns, a second each, so that
//! whatever else keeps the machine busy falls on both.

mod processor;
mod receiver;
mod world;

use crate::dial::{Dialler, DiallerSettings};
use crate::signing::{Signing, SigningSettings, SigningSetupError};
use crate::{Memory, NoSigner, Ports, Settings, Signer, ToSign, handle};
use carillon_core::ports::{Clock as _, QueueRecord};
use carillon_core::push::guard::AddressGuard;
use carillon_core::ruleset::SnapshotCache;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use world::{InMemory, Nowhere, OneSubscription, TimeOfDay};

/// Batches under way at once: enough that the client never waits for the handler.
const WORKERS: usize = 8;
/// Records in a batch and deliveries in a record: as an SQS event source mapping gives them, and small batches for
/// signed pushes, so that the end of a turn is not far.
const FAST: (usize, u32) = (10, 40);
const SIGNED: (usize, u32) = (2, 20);
/// One turn of signing, or of signed pushes.
const TURN: Duration = Duration::from_secs(1);

/// How often something was done, and what it cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Times a second, by the clock on the wall.
    pub per_second: f64,
    /// Microseconds of processor time for each, receiver included; none where the system does not tell. Other programs
    /// on the machine change it little.
    pub processor_micros: Option<f64>,
    /// How much of that the receiver took.
    pub receiver_micros: Option<f64>,
}

/// The figures.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PushFigures {
    /// The machine's floor: requests of about the same size, written and read without any HTTP client.
    pub floor: Rate,
    /// Unsigned pushes.
    pub unsigned: Rate,
    /// All signatures of a push alone, on all processors.
    pub signatures: Rate,
    /// Pushes with all signatures.
    pub signed: Rate,
    /// Signed pushes a second, per push a second that the same processors sign when they do nothing else. By the clock on
    /// the wall; the receiver takes part of what there is.
    pub signed_to_signatures: f64,
    /// The same by processor time.
    pub signed_to_signatures_by_processor: Option<f64>,
    /// The same by processor time, without the receiver's: what an endpoint elsewhere leaves to us.
    pub signed_to_signatures_without_receiver: Option<f64>,
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
    let unsigned = Pushing::new(&receiver, Arc::new(NoSigner), FAST);
    let unsigned = unsigned.run(&receiver, phase).await?.rate();
    let pushing = Pushing::new(&receiver, signing.clone(), SIGNED);
    let (mut signatures, mut signed) = (Tally::default(), Tally::default());
    for _ in 0..phase.as_secs().max(1) {
        let turn = phase.min(TURN);
        signatures.add(signatures_alone(&signing, &receiver, processors, turn).await);
        signed.add(pushing.run(&receiver, turn).await?);
    }
    let (signatures, signed) = (signatures.rate(), signed.rate());
    let ratio = |pushes: f64| Some(signatures.processor_micros? / pushes.max(f64::MIN_POSITIVE));
    Ok(PushFigures {
        floor,
        unsigned,
        signatures,
        signed,
        signed_to_signatures: signed.per_second / signatures.per_second.max(f64::MIN_POSITIVE),
        signed_to_signatures_by_processor: signed.processor_micros.and_then(ratio),
        signed_to_signatures_without_receiver: signed
            .processor_micros
            .zip(signed.receiver_micros)
            .and_then(|(all, receiver)| ratio(all - receiver)),
        processors,
    })
}

/// The handler and its world, pushing one batch again and again.
struct Pushing {
    ports: Ports,
    batch: Arc<[QueueRecord]>,
    nowhere: Arc<Nowhere>,
}

impl Pushing {
    fn new(
        receiver: &receiver::Receiver,
        signer: Arc<dyn Signer>,
        (records, packed): (usize, u32),
    ) -> Self {
        let subscriptions = OneSubscription::new(receiver.address());
        let batch = subscriptions.batch(records, packed).into();
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
        Pushing {
            ports,
            batch,
            nowhere,
        }
    }

    /// Pushes for about this long, and counts what arrives.
    async fn run(
        &self,
        receiver: &receiver::Receiver,
        phase: Duration,
    ) -> Result<Tally, BenchError> {
        // The first batches open the connections and prove the endpoint; they are not counted.
        for _ in 0..2 {
            handle(&self.ports, &self.batch[..1]).await;
        }
        self.nowhere.forget();
        let before = receiver.answered();
        let begun = Begun::now(receiver);
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (ports, batch) = (self.ports.clone(), self.batch.clone());
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
        match self.nowhere.failed() {
            0 => Ok(begun.tally(answered, receiver)),
            failed => Err(BenchError::Failed(failed)),
        }
    }
}

/// All signatures of a push, on all processors, with nothing else to do.
async fn signatures_alone(
    signing: &Arc<Signing>,
    receiver: &receiver::Receiver,
    processors: usize,
    phase: Duration,
) -> Tally {
    let count = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Begun::now(receiver);
    let threads: Vec<_> = (0..processors)
        .map(|_| {
            let world = OneSubscription::new(receiver.address());
            let signing = signing.clone();
            let (count, stop) = (count.clone(), stop.clone());
            tokio::task::spawn_blocking(move || {
                let delivery = world.delivery(0);
                while !stop.load(Ordering::Relaxed) {
                    let what = ToSign {
                        subscription: world.subscription(),
                        notification: &delivery.notification,
                        target: "/notifications",
                        body: &delivery.notification.body,
                        now: TimeOfDay.now(),
                    };
                    // As many headers as a push has are signed with the rest.
                    let mut headers = vec![
                        ("content-type", "text/plain;charset=utf-8".to_owned()),
                        ("x-mns-version", "2015-06-06".to_owned()),
                        ("x-mns-topic-name", "x".repeat(400)),
                    ];
                    if signing.sign_here(&what, &mut headers).is_ok() {
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
    begun.tally(count.load(Ordering::Relaxed), receiver)
}

/// The beginning of a phase.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    used: Option<Duration>,
    receiver: Option<Duration>,
}

impl Begun {
    fn now(receiver: &receiver::Receiver) -> Self {
        Begun {
            at: Instant::now(),
            used: processor::used(),
            receiver: receiver.used(),
        }
    }

    /// What there is to say of a count since the beginning.
    fn tally(self, count: u64, receiver: &receiver::Receiver) -> Tally {
        let since = |now: Option<Duration>, then| Some(now?.saturating_sub(then?));
        Tally {
            count,
            took: self.at.elapsed(),
            used: since(processor::used(), self.used).unwrap_or_default(),
            receiver: since(receiver.used(), self.receiver).unwrap_or_default(),
        }
    }
}

/// A count, and the time it took: on the wall, of the processors, of the receiver among that.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u64,
    took: Duration,
    used: Duration,
    receiver: Duration,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.count += other.count;
        self.took += other.took;
        self.used += other.used;
        self.receiver += other.receiver;
    }

    fn rate(self) -> Rate {
        let count = self.count as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count.max(1.0);
        // A system that does not tell says nothing was used.
        let told = !self.used.is_zero();
        Rate {
            per_second: count / self.took.as_secs_f64().max(f64::MIN_POSITIVE),
            processor_micros: told.then(|| each(self.used)),
            receiver_micros: told.then(|| each(self.receiver)),
        }
    }
}
