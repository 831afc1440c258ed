//! A world for the handler: fake ports, all of them told what to do and remembering what was done.
#![allow(
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

pub mod tls;

use carillon_core::delivery::{DeadLetter, Delivery, Notification};
use carillon_core::envelope::{Packer, open_deliveries};
use carillon_core::event::{EventType, MessageId, Product, Timestamp};
use carillon_core::ports::*;
use carillon_core::rule::RuleName;
use carillon_core::ruleset::SnapshotCache;
use carillon_core::topic::*;
use carillon_deliver::{Memory, NoSigner, Ports, Settings};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When every test begins.
pub const START: i64 = 1_700_000_000_000;

pub struct StoppedClock(AtomicI64);

impl StoppedClock {
    pub fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Counts up: every draw differs, every run is the same.
#[derive(Default)]
pub struct Counting(AtomicU64);

impl Random for Counting {
    fn draw(&self) -> u64 {
        self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst)
    }
}

#[derive(Default)]
pub struct FakeStore {
    pub records: Mutex<Records>,
    pub broken: Mutex<bool>,
}

#[async_trait::async_trait]
impl RuleStore for FakeStore {
    async fn version(&self) -> Result<u64, StoreError> {
        if *self.broken.lock().unwrap() {
            return Err(StoreError("the table is away".into()));
        }
        Ok(self.records.lock().unwrap().version)
    }
    async fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.lock().unwrap().clone())
    }
    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        unreachable!("deliver changes no rules")
    }
}

pub type PushScript = Box<dyn FnMut(&PushRequest) -> Result<PushResponse, PushFailure> + Send>;

/// The HTTP endpoints: answered by a script, every request kept.
pub struct FakeHttp {
    pub script: Mutex<PushScript>,
    pub seen: Mutex<Vec<PushRequest>>,
    /// How long each push takes, by the tokio clock.
    pub takes: Mutex<Box<dyn Fn(&PushRequest) -> Duration + Send>>,
    pub clock: Arc<StoppedClock>,
}

#[async_trait::async_trait]
impl HttpDialler for FakeHttp {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, PushFailure> {
        let takes = (self.takes.lock().unwrap())(&request);
        if takes > Duration::ZERO {
            tokio::time::sleep(takes).await;
        }
        let answer = (self.script.lock().unwrap())(&request);
        self.seen.lock().unwrap().push(request);
        answer
    }
}

#[derive(Default)]
pub struct FakeStages {
    pub sent: Mutex<Vec<OutgoingMessage>>,
    pub calls: AtomicU64,
    /// Answers for the next messages, in order; none left: taken.
    pub answers: Mutex<VecDeque<Result<(), QueueError>>>,
}

#[async_trait::async_trait]
impl StageSender for FakeStages {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        assert_eq!(stage, Stage::Deliver);
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        messages
            .into_iter()
            .map(|message| {
                let answer = answers.pop_front().unwrap_or(Ok(()));
                if answer.is_ok() {
                    self.sent.lock().unwrap().push(message);
                }
                answer
            })
            .collect()
    }
}

#[derive(Default)]
pub struct FakeQueues {
    pub sent: Mutex<Vec<(String, String)>>,
    pub calls: Mutex<Vec<(String, usize)>>,
    pub missing: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl QueueSender for FakeQueues {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        self.calls
            .lock()
            .unwrap()
            .push((queue.to_string(), messages.len()));
        messages
            .into_iter()
            .map(|message| {
                if self
                    .missing
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|name| name == queue.as_str())
                {
                    return Err(QueueError::NotExist(queue.to_string()));
                }
                self.sent
                    .lock()
                    .unwrap()
                    .push((queue.to_string(), message.body));
                Ok("ID".into())
            })
            .collect()
    }
}

#[derive(Default)]
pub struct FakeDeadLetters {
    pub kept: Mutex<Vec<DeadLetter>>,
    pub broken: Mutex<bool>,
}

#[async_trait::async_trait]
impl DeadLetterStore for FakeDeadLetters {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        if *self.broken.lock().unwrap() {
            return Err(StoreError("no dead letters today".into()));
        }
        self.kept.lock().unwrap().extend(letters);
        Ok(())
    }
}

#[derive(Default)]
pub struct FakeLog(pub Mutex<Vec<AttemptRecord>>);

#[async_trait::async_trait]
impl AttemptLog for FakeLog {
    async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        self.0.lock().unwrap().extend(attempts);
        Ok(())
    }
}

pub struct World {
    pub ports: Ports,
    pub clock: Arc<StoppedClock>,
    pub store: Arc<FakeStore>,
    pub http: Arc<FakeHttp>,
    pub stages: Arc<FakeStages>,
    pub queues: Arc<FakeQueues>,
    pub dead: Arc<FakeDeadLetters>,
    pub log: Arc<FakeLog>,
}

pub fn answer(status: u16) -> Result<PushResponse, PushFailure> {
    Ok(PushResponse {
        status,
        ..PushResponse::default()
    })
}

impl World {
    pub fn new(subscriptions: Vec<Subscription>) -> Self {
        Self::with(subscriptions, Settings::default())
    }

    pub fn with(subscriptions: Vec<Subscription>, settings: Settings) -> Self {
        let clock = Arc::new(StoppedClock(AtomicI64::new(START)));
        let store = Arc::new(FakeStore::default());
        *store.records.lock().unwrap() = Records {
            version: 7,
            subscriptions,
            ..Records::default()
        };
        let http = Arc::new(FakeHttp {
            script: Mutex::new(Box::new(|_| answer(200))),
            seen: Mutex::default(),
            takes: Mutex::new(Box::new(|_| Duration::ZERO)),
            clock: clock.clone(),
        });
        let stages = Arc::new(FakeStages::default());
        let queues = Arc::new(FakeQueues::default());
        let dead = Arc::new(FakeDeadLetters::default());
        let log = Arc::new(FakeLog::default());
        let ports = Ports {
            snapshots: Arc::new(SnapshotCache::new(store.clone())),
            stages: stages.clone(),
            queues: queues.clone(),
            http: http.clone(),
            dead_letters: dead.clone(),
            attempts: log.clone(),
            clock: clock.clone(),
            random: Arc::new(Counting::default()),
            sns: None,
            signer: Arc::new(NoSigner),
            memory: Arc::new(Memory::default()),
            settings,
        };
        World {
            ports,
            clock,
            store,
            http,
            stages,
            queues,
            dead,
            log,
        }
    }

    pub fn answers(
        &self,
        script: impl FnMut(&PushRequest) -> Result<PushResponse, PushFailure> + Send + 'static,
    ) {
        *self.http.script.lock().unwrap() = Box::new(script);
    }

    /// What was re-sent since the last call, as records of the next batch, with their delays.
    pub fn resent(&self) -> Vec<(QueueRecord, Duration)> {
        let sent = std::mem::take(&mut *self.stages.sent.lock().unwrap());
        sent.into_iter()
            .map(|message| (record(&message.body), message.delay))
            .collect()
    }

    pub async fn run(&self, batch: &[QueueRecord]) -> Vec<String> {
        let outcome = carillon_deliver::handle(&self.ports, batch).await;
        outcome.failed.into_iter().map(|(id, _)| id).collect()
    }

    pub fn pushes(&self) -> usize {
        self.http.seen.lock().unwrap().len()
    }
}

pub fn topic() -> TopicName {
    TopicName::parse("orders").unwrap()
}

pub fn subscription(name: &str, target: Target) -> Subscription {
    let now = Timestamp::from_millis(START);
    Subscription::auto(topic(), SubscriptionName::parse(name).unwrap(), target, now)
}

pub fn http_subscription(name: &str) -> Subscription {
    subscription(
        name,
        Target::Http(format!("http://{name}.example.com/hook?x=1")),
    )
}

pub fn queue_subscription(name: &str, queue: &str) -> Subscription {
    subscription(name, Target::Queue(QueueName::parse(queue).unwrap()))
}

pub fn delivery(name: &str, number: u128) -> Delivery {
    Delivery {
        topic: topic(),
        subscription: SubscriptionName::parse(name).unwrap(),
        version: 7,
        notification: Notification {
            message_id: MessageId::from_bits(number),
            product: Product::Oss,
            rule: RuleName::parse("thumbnails").unwrap(),
            event_type: EventType::parse("ObjectCreated:PutObject").unwrap(),
            resource: "photos/cat.jpg".into(),
            body: format!("eyJudW1iZXIiOi{number}0="),
            published: Timestamp::from_millis(START),
            tag: None,
        },
        attempts: 0,
        history: Vec::new(),
        redriven: None,
        resends: 0,
    }
}

pub fn pack(deliveries: &[Delivery]) -> String {
    let mut packer = Packer::new();
    for delivery in deliveries {
        packer.push(delivery).unwrap();
    }
    let mut messages = packer.finish();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

pub fn record(body: &str) -> QueueRecord {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    QueueRecord {
        id: format!("r{}", NEXT.fetch_add(1, Ordering::SeqCst)),
        body: body.to_owned(),
        receive_count: 1,
    }
}

pub fn unpack(record: &QueueRecord) -> Vec<Delivery> {
    open_deliveries(&record.body).unwrap()
}
