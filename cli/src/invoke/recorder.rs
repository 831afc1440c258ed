//! Ports that write down what a stage asks of the world, and say yes.

use carillon_core::delivery::DeadLetter;
use carillon_core::ports::{
    AttemptLog, AttemptRecord, Change, CommitError, DeadLetterStore, HttpDialler, OutgoingMessage,
    PushFailure, PushRequest, PushResponse, QueueError, QueueSender, Records, RuleStore, SnsError,
    SnsMessage, SnsTopics, Stage, StageSender, StoreError,
};
use carillon_core::ruleset::SnapshotCache;
use carillon_core::topic::{QueueName, SnsTopic};
use carillon_embedded::{SystemClock, SystemRandom};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module.
pub(super) struct Recorder {
    records: Records,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    sent: Vec<Value>,
    queued: Vec<Value>,
    published: Vec<Value>,
    pushed: Vec<Value>,
    letters: Vec<DeadLetter>,
}

impl Recorder {
    pub(super) fn new(records: Records) -> Self {
        Recorder {
            records,
            seen: Mutex::default(),
        }
    }

    pub(super) fn ingest(
        self: &Arc<Self>,
        settings: carillon_ingest::Settings,
    ) -> carillon_ingest::Ports {
        carillon_ingest::Ports {
            stages: self.clone(),
            dead_letters: self.clone(),
            clock: Arc::new(SystemClock),
            settings: Arc::new(settings),
            extras: carillon_ingest::Extras::default(),
        }
    }

    pub(super) fn matching(self: &Arc<Self>) -> carillon_match::Ports {
        carillon_match::Ports {
            snapshots: Arc::new(SnapshotCache::new(self.clone())),
            stages: self.clone(),
            dead_letters: self.clone(),
            clock: Arc::new(SystemClock),
        }
    }

    pub(super) fn deliver(self: &Arc<Self>) -> carillon_deliver::Ports {
        carillon_deliver::Ports {
            snapshots: Arc::new(SnapshotCache::new(self.clone())),
            stages: self.clone(),
            queues: self.clone(),
            http: self.clone(),
            dead_letters: self.clone(),
            attempts: self.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            sns: Some(self.clone()),
            signer: Arc::new(carillon_deliver::NoSigner),
            memory: Arc::default(),
            settings: carillon_deliver::Settings::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the stage sent on, by kind; kinds of which there is nothing are left out.
    pub(super) fn report(&self) -> Value {
        let seen = self.seen();
        let letters = seen.letters.iter().map(|letter| json!(letter)).collect();
        let kinds = [
            ("sent", seen.sent.clone()),
            ("queued", seen.queued.clone()),
            ("published", seen.published.clone()),
            ("pushed", seen.pushed.clone()),
            ("deadLetters", letters),
        ];
        let some = kinds.into_iter().filter(|(_, list)| !list.is_empty());
        Value::Object(
            some.map(|(kind, list)| (kind.to_owned(), list.into()))
                .collect::<Map<_, _>>(),
        )
    }

    /// Reasons of the dead letters.
    pub(super) fn refused(&self) -> Vec<String> {
        self.seen()
            .letters
            .iter()
            .map(|letter| letter.reason.clone())
            .collect()
    }
}

/// A message between stages, as JSON when it is.
fn message(body: String) -> Value {
    serde_json::from_str(&body).unwrap_or(Value::String(body))
}

#[async_trait::async_trait]
impl RuleStore for Recorder {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(self.records.version)
    }

    async fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.clone())
    }

    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        Err(StoreError("the rules of a single invocation do not change".into()).into())
    }
}

#[async_trait::async_trait]
impl StageSender for Recorder {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let mut seen = self.seen();
        messages
            .into_iter()
            .map(|sent| {
                let mut entry = json!({"stage": stage.as_str()});
                if !sent.delay.is_zero() {
                    entry["delaySeconds"] = sent.delay.as_secs_f64().into();
                }
                if let Some(group) = sent.group {
                    entry["group"] = group.into();
                }
                entry["message"] = message(sent.body);
                seen.sent.push(entry);
                Ok(())
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl QueueSender for Recorder {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        let mut seen = self.seen();
        messages
            .into_iter()
            .map(|sent| {
                seen.queued
                    .push(json!({"queue": queue.as_str(), "body": sent.body}));
                Ok(String::new())
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl SnsTopics for Recorder {
    async fn check(&self, _: &SnsTopic) -> Result<(), SnsError> {
        Ok(())
    }

    async fn publish(
        &self,
        topic: &SnsTopic,
        messages: Vec<SnsMessage>,
    ) -> Vec<Result<String, SnsError>> {
        let mut seen = self.seen();
        messages
            .into_iter()
            .map(|sent| {
                let attributes: Map<String, Value> = sent
                    .attributes
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into()))
                    .collect();
                seen.published.push(json!({
                    "topic": topic.as_str(), "attributes": attributes, "body": sent.body, "line": sent.line,
                }));
                Ok(String::new())
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl HttpDialler for Recorder {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, PushFailure> {
        let headers: Map<String, Value> = request
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        self.seen().pushed.push(json!({
            "url": request.url, "headers": headers, "body": &*request.body,
        }));
        Ok(PushResponse {
            status: 204,
            ..PushResponse::default()
        })
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for Recorder {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        self.seen().letters.extend(letters);
        Ok(())
    }
}

#[async_trait::async_trait]
impl AttemptLog for Recorder {
    async fn record(&self, _: Vec<AttemptRecord>) -> Result<(), StoreError> {
        Ok(())
    }
}
