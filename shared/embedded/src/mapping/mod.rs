//! The loop that plays the SQS event source mapping: it takes records of a stage, hands them to the handler in batches,
//! and settles them by its answer.

mod attempt;

use crate::hand_over::FLIGHT;
use crate::stage::{Flight, LeasedRecord, Settlement};
use crate::store::Store;
use attempt::{Verdict, attempt};
use carillon_core::ports::{BatchOutcome, QueueRecord, Stage};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Settings of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingSettings {
    /// Most records in one batch; Lambda's default is 10.
    pub batch_size: usize,
    /// Most batches at a time.
    pub concurrency: usize,
    /// Time one call of the handler may take; then it is given up, and its records are tried one at a time.
    pub handler_timeout: Duration,
    /// A record that failed so often goes to the dead letters (`maxReceiveCount`).
    pub most_receptions: u32,
    /// How long a failed record rests before it comes again: four times as long after each further reception, up to 64
    /// times. With the defaults 1, 4, 16 and 64 s, so that a short outage makes no dead letters.
    pub rest: Duration,
}

impl Default for MappingSettings {
    fn default() -> Self {
        MappingSettings {
            batch_size: 10,
            concurrency: 8,
            handler_timeout: Duration::from_secs(60),
            most_receptions: 5,
            rest: Duration::from_secs(1),
        }
    }
}

impl MappingSettings {
    /// How long records are held: at least six times the handler's timeout, as the SQS guide for Lambda asks; here also
    /// enough for a batch whose records are tried one at a time.
    fn lease(&self) -> Duration {
        let calls = u32::try_from(self.batch_size)
            .unwrap_or(u32::MAX)
            .saturating_add(6);
        self.handler_timeout.saturating_mul(calls)
    }

    fn rest_after(&self, receptions: u32) -> Duration {
        self.rest
            .saturating_mul(1 << receptions.saturating_sub(1).min(4))
    }
}

/// A running mapping. Dropping it gives up the batches that run; [`stop`](Self::stop) is the graceful way.
#[derive(Debug)]
pub struct EventSourceMapping {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
}

impl EventSourceMapping {
    /// Starts handing the records of `stage` to `handler`. Must be called within a Tokio runtime.
    ///
    /// The handler answers with the ids of records that must come again; all others are deleted. When it panics or takes
    /// too long, every record of its batch is handled again alone, so that only the culprit fails.
    pub fn start<H, F>(store: Store, stage: Stage, settings: MappingSettings, handler: H) -> Self
    where
        H: Fn(Vec<QueueRecord>) -> F + Send + Sync + 'static,
        F: Future<Output = BatchOutcome> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let worker = Arc::new(Worker {
            store,
            stage,
            settings,
            handler,
        });
        let mut workers = JoinSet::new();
        for _ in 0..worker.settings.concurrency.max(1) {
            workers.spawn(worker.clone().run(stopped.clone()));
        }
        EventSourceMapping { stop, workers }
    }

    /// Takes no more records and lets running batches finish. What is not done after `deadline` is given up: its records
    /// are free again at once.
    pub async fn stop(mut self, deadline: Duration) {
        // Workers that have ended do not listen; that is as good.
        let _ = self.stop.send(true);
        let all = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!(
                "handlers were still running at the deadline; their records will come again"
            );
            self.workers.shutdown().await;
        }
    }
}

struct Worker<H> {
    store: Store,
    stage: Stage,
    settings: MappingSettings,
    handler: H,
}

/// Pause of a worker whose store cannot hand out records.
const AFTER_OUTAGE: Duration = Duration::from_millis(500);

impl<H, F> Worker<H>
where
    H: Fn(Vec<QueueRecord>) -> F + Send + Sync + 'static,
    F: Future<Output = BatchOutcome> + Send + 'static,
{
    async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let settings = &self.settings;
        loop {
            let taken = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                taken = self.store.take_records(
                    self.stage,
                    settings.batch_size,
                    settings.lease(),
                    settings.most_receptions,
                ) => taken,
            };
            match taken {
                Ok(records) => {
                    self.handle(records).await;
                }
                Err(_) if self.store.is_closed() => return,
                Err(error) => {
                    tracing::warn!(stage = %self.stage, %error, "no records can be taken");
                    tokio::select! {
                        _ = stopped.wait_for(|stopped| *stopped) => return,
                        () = tokio::time::sleep(AFTER_OUTAGE) => {}
                    }
                }
            }
        }
    }

    async fn handle(&self, leased: Vec<LeasedRecord>) {
        let batch = leased.iter().map(|leased| leased.record.clone()).collect();
        if leased.iter().any(LeasedRecord::is_alone) {
            return self.handle_alone(batch, leased).await;
        }
        let (flight, verdict) = self.call(batch).await;
        match verdict {
            Verdict::Answered(outcome) => {
                self.store
                    .settle_call(flight, self.settle_by(outcome, leased));
            }
            Verdict::Failed(reason) if leased.len() == 1 => {
                tracing::error!(stage = %self.stage, %reason, "the handler failed on a record");
                let failed = leased
                    .into_iter()
                    .map(|leased| self.fail(leased, reason.clone()));
                self.store.settle_call(flight, failed.collect());
            }
            Verdict::Failed(reason) => {
                tracing::error!(stage = %self.stage, %reason, "the handler failed on a batch; its records follow alone");
                self.store.settle_call(flight, Vec::new());
                for leased in leased {
                    let (flight, verdict) = self.call(vec![leased.record.clone()]).await;
                    let settlements = match verdict {
                        Verdict::Answered(outcome) => self.settle_by(outcome, vec![leased]),
                        Verdict::Failed(reason) => vec![self.fail(leased, reason)],
                    };
                    self.store.settle_call(flight, settlements);
                }
            }
        }
    }

    /// Handles a record that may be what ended the process. What the handler hands on is written before it is answered.
    async fn handle_alone(&self, batch: Vec<QueueRecord>, leased: Vec<LeasedRecord>) {
        let verdict = attempt(|| (self.handler)(batch), self.settings.handler_timeout).await;
        self.store.settle(match verdict {
            Verdict::Answered(outcome) => self.settle_by(outcome, leased),
            Verdict::Failed(reason) => {
                tracing::error!(stage = %self.stage, %reason, "the handler failed on a record");
                let failed = leased.into_iter();
                failed
                    .map(|leased| self.fail(leased, reason.clone()))
                    .collect()
            }
        });
    }

    /// Calls the handler; what it hands on meanwhile is known by the number given.
    async fn call(&self, batch: Vec<QueueRecord>) -> (Flight, Verdict) {
        let flight = self.store.next_flight();
        let call = attempt(|| (self.handler)(batch), self.settings.handler_timeout);
        (flight, FLIGHT.scope(flight, call).await)
    }

    /// Ids in the answer that were not in the batch are of no effect.
    fn settle_by(&self, outcome: BatchOutcome, leased: Vec<LeasedRecord>) -> Vec<Settlement> {
        let mut failed: HashMap<String, String> = outcome.failed.into_iter().collect();
        leased
            .into_iter()
            .map(|leased| match failed.remove(&leased.record.id) {
                Some(reason) => self.fail(leased, reason),
                None => leased.done(),
            })
            .collect()
    }

    fn fail(&self, leased: LeasedRecord, reason: String) -> Settlement {
        let rest = self.settings.rest_after(leased.record.receive_count);
        leased.failed(reason, rest)
    }
}
