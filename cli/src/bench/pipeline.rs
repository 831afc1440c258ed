//! `carillon bench pipeline`: S3 events through ingest and match, and through the whole service.

use super::workload::{body, queue, records};
use crate::failure::{Failure, Outcome};
use crate::output::{print_json, print_table};
use crate::up::{Running, Settings};
use carillon_core::delivery::DeadLetter;
use carillon_core::ports::{
    Change, Clock, CommitError, DeadLetterStore, OutgoingMessage, PublishError, Publisher as _,
    QueueAdmin, QueueConsumer, QueueError, QueueRecord, Receipt, Records, RuleStore, Stage,
    StageSender, StoreError, Submission,
};
use carillon_core::ruleset::SnapshotCache;
use carillon_embedded::SystemClock;
use clap::Args;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Measure S3 events through ingest and match in memory, and through the whole service with a store on disk.
///
/// The floor beside them: parsing the same bodies as JSON.
#[derive(Debug, Args)]
pub(crate) struct BenchPipelineArgs {
    /// Rules to judge by.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    rules: usize,
    /// Events of the in-memory figure.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    events: usize,
    /// Events of the figure with the store.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    stored: usize,
    /// Records in one S3 body of the figure with the store; S3 itself sends one.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    per_body: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl BenchPipelineArgs {
    pub(crate) fn run(&self) -> Outcome {
        let bodies: Vec<String> = (0..self.events)
            .map(|number| body(number, self.rules, 1))
            .collect();
        let floor = rate(self.events, || {
            for body in &bodies {
                let value: Result<Value, _> = serde_json::from_str(body);
                std::hint::black_box(&value)
                    .as_ref()
                    .expect("the bench's own bodies are JSON");
            }
        });
        let runtime = crate::up::runtime()?;
        let memory = Arc::new(Memory::new(self.rules));
        let handlers = rate(self.events, || runtime.block_on(memory.run(bodies)));
        let delivered = memory.delivered();
        if delivered != self.events {
            return Err(Failure::Refused(format!(
                "of {} events {delivered} became deliveries",
                self.events
            )));
        }
        let unkept = runtime.block_on(self.through_the_store(Duration::ZERO))?;
        let kept = Settings::new(std::path::Path::new("")).keep_events;
        let stored = runtime.block_on(self.through_the_store(kept))?;
        if self.json {
            print_json(&json!({
                "rules": self.rules,
                "jsonParsePerSecond": floor,
                "ingestAndMatchPerSecond": handlers,
                "acceptedPerSecond": stored.accepted,
                "deliveredPerSecond": stored.delivered,
                "acceptedPerSecondUnkept": unkept.accepted,
                "deliveredPerSecondUnkept": unkept.delivered,
            }));
            return Ok(());
        }
        let row = |what: String, figure: f64| vec![what, format!("{figure:.0}")];
        print_table(
            &["what", "events a second"],
            vec![
                row(
                    "the same bodies parsed as JSON, one core (floor)".into(),
                    floor,
                ),
                row(
                    format!("ingest and match in memory, one core, {} rules", self.rules),
                    handlers,
                ),
                row(
                    format!(
                        "accepted by the service, durable, {} records a body",
                        self.per_body
                    ),
                    stored.accepted,
                ),
                row("in the endpoint's queue, durable".into(), stored.delivered),
                row(
                    "accepted, with no events kept for replay".into(),
                    unkept.accepted,
                ),
                row(
                    "in the endpoint's queue, with none kept".into(),
                    unkept.delivered,
                ),
            ],
        );
        Ok(())
    }

    /// `keep`: how long accepted events are kept for replay.
    async fn through_the_store(&self, keep: Duration) -> Result<Stored, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Unusable(error.to_string());
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let settings = Settings {
            listen: std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0)),
            keep_events: keep,
            ..Settings::new(folder.path())
        };
        let service = Running::start(settings).await?;
        let store = service.store();
        let queue = queue();
        QueueAdmin::create(
            store,
            &queue,
            carillon_core::ports::QueueAttributes::default(),
        )
        .await
        .map_err(|error| failed(&error))?;
        let records = records(self.rules, 1);
        let changes = (records.rules.into_iter().map(Change::PutRule))
            .chain(records.topics.into_iter().map(Change::PutTopic))
            .chain(
                records
                    .subscriptions
                    .into_iter()
                    .map(Change::PutSubscription),
            );
        RuleStore::commit(store, 0, changes.collect())
            .await
            .map_err(|error| failed(&error))?;

        let per_body = usize::try_from(self.per_body).unwrap_or(1);
        let count = self.stored / per_body;
        let publisher = Arc::new(service.publisher());
        let began = Instant::now();
        let mut senders = tokio::task::JoinSet::new();
        // As many publishers as a busy store has connections; each waits for its answer before it sends the next.
        const PUBLISHERS: usize = 64;
        for lane in 0..PUBLISHERS {
            let publisher = publisher.clone();
            let rules = self.rules;
            senders.spawn(async move {
                for number in (lane..count).step_by(PUBLISHERS) {
                    let body = body(number * per_body, rules, per_body).into_bytes();
                    let submission = Submission {
                        body,
                        ..Submission::default()
                    };
                    publisher.publish(submission).await?;
                }
                Ok::<(), PublishError>(())
            });
        }
        let mut received = 0;
        let expected = count * per_body;
        let consumer = async {
            while received < expected {
                let batch = store
                    .receive(&queue, 16, Some(Duration::from_secs(10)))
                    .await?;
                if batch.is_empty() {
                    break;
                }
                received += batch.len();
                let receipts: Vec<Receipt> = batch
                    .into_iter()
                    .filter_map(|message| message.receipt)
                    .collect();
                QueueConsumer::delete(store, &queue, &receipts).await?;
            }
            Ok::<Duration, QueueError>(began.elapsed())
        };
        let publishing = async {
            while let Some(sent) = senders.join_next().await {
                match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(Failure::Unusable(error.to_string())),
                    Err(error) => return Err(Failure::Unusable(error.to_string())),
                }
            }
            Ok(began.elapsed())
        };
        let (accepted, delivered) = tokio::join!(publishing, consumer);
        let (accepted, delivered) = (accepted?, delivered.map_err(|error| failed(&error))?);
        service.stop().await;
        if received < expected {
            return Err(Failure::Refused(format!(
                "of {expected} events {received} arrived"
            )));
        }
        Ok(Stored {
            accepted: expected as f64 / accepted.as_secs_f64(),
            delivered: expected as f64 / delivered.as_secs_f64(),
        })
    }
}

struct Stored {
    accepted: f64,
    delivered: f64,
}

/// How many a second, of `count` done by `work`.
fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    count as f64 / began.elapsed().as_secs_f64()
}

/// The two stages with nothing between them but memory.
struct Memory {
    records: Records,
    to_match: Mutex<Vec<String>>,
    deliveries: Mutex<usize>,
}

impl Memory {
    fn new(rules: usize) -> Self {
        Memory {
            records: records(rules, 1),
            to_match: Mutex::default(),
            deliveries: Mutex::default(),
        }
    }

    fn delivered(&self) -> usize {
        *self
            .deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: &Arc<Self>, bodies: Vec<String>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ingest = carillon_ingest::Ports {
            stages: self.clone(),
            dead_letters: self.clone(),
            clock: clock.clone(),
            settings: Arc::default(),
            extras: carillon_ingest::Extras::default(),
        };
        let matching = carillon_match::Ports {
            snapshots: Arc::new(SnapshotCache::new(self.clone())),
            stages: self.clone(),
            dead_letters: self.clone(),
            clock,
        };
        let mut bodies = bodies.into_iter().enumerate();
        loop {
            // A hundred records a batch: what a busy queue hands to one invocation.
            let batch: Vec<QueueRecord> = (bodies.by_ref().take(100))
                .map(|(number, body)| QueueRecord {
                    id: number.to_string(),
                    body,
                    receive_count: 1,
                })
                .collect();
            if batch.is_empty() {
                return;
            }
            carillon_ingest::handle(&ingest, &batch).await;
            let packed =
                std::mem::take(&mut *self.to_match.lock().unwrap_or_else(PoisonError::into_inner));
            let batch: Vec<QueueRecord> = (packed.into_iter().enumerate())
                .map(|(number, body)| QueueRecord {
                    id: number.to_string(),
                    body,
                    receive_count: 1,
                })
                .collect();
            carillon_match::handle(&matching, &batch).await;
        }
    }
}

#[async_trait::async_trait]
impl StageSender for Memory {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let results = messages.iter().map(|_| Ok(())).collect();
        if stage == Stage::Match {
            let mut queue = self.to_match.lock().unwrap_or_else(PoisonError::into_inner);
            queue.extend(messages.into_iter().map(|message| message.body));
        } else {
            let count: usize = messages
                .iter()
                .map(|message| message.body.matches("\"message_id\"").count())
                .sum();
            *self
                .deliveries
                .lock()
                .unwrap_or_else(PoisonError::into_inner) += count;
        }
        results
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for Memory {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        let reason = letters.into_iter().next().map(|letter| letter.reason);
        Err(StoreError(reason.unwrap_or_default()))
    }
}

#[async_trait::async_trait]
impl RuleStore for Memory {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(self.records.version)
    }

    async fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.clone())
    }

    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        Err(StoreError("the rules of the bench stand".into()).into())
    }
}
