//! Ports that cost nothing.

use crate::signing::KeyStore;
use carillon_core::delivery::{DeadLetter, Delivery, Notification};
use carillon_core::envelope::Packer;
use carillon_core::event::{EventType, MessageId, Product, Timestamp};
use carillon_core::ports::{
    AttemptLog, AttemptRecord, Change, Clock, CommitError, DeadLetterStore, OutgoingMessage,
    QueueError, QueueRecord, QueueSender, Random, Records, RuleStore, Stage, StageSender,
    StoreError,
};
use carillon_core::rule::RuleName;
use carillon_core::topic::{QueueName, Subscription, SubscriptionName, Target, TopicName};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub(super) struct TimeOfDay;

impl Clock for TimeOfDay {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A store with one topic and one SIMPLIFIED HTTP subscription.
pub(super) struct OneSubscription(Subscription);

impl OneSubscription {
    pub(super) fn new(receiver: SocketAddr) -> Self {
        let target = Target::Http(format!("http://{receiver}/notifications"));
        let topic = TopicName::parse("bench").expect("a sound name");
        let name = SubscriptionName::parse("bench").expect("a sound name");
        OneSubscription(Subscription::auto(topic, name, target, TimeOfDay.now()))
    }

    pub(super) fn subscription(&self) -> &Subscription {
        &self.0
    }

    /// A delivery of the size of an OSS event.
    pub(super) fn delivery(&self, number: u32) -> Delivery {
        Delivery {
            topic: self.0.topic.clone(),
            subscription: self.0.name.clone(),
            version: 1,
            notification: Notification {
                message_id: MessageId::from_bits(u128::from(number)),
                product: Product::Oss,
                rule: RuleName::parse("bench").expect("a sound name"),
                event_type: EventType::parse("ObjectCreated:PutObject").expect("a sound type"),
                resource: "bucket/key".to_owned(),
                body: "e".repeat(900),
                published: TimeOfDay.now(),
                tag: None,
            },
            attempts: 0,
            history: Vec::new(),
            redriven: None,
            resends: 0,
        }
    }

    /// Records of packed deliveries.
    pub(super) fn batch(&self, records: usize, packed: u32) -> Vec<QueueRecord> {
        let mut packer = Packer::new();
        for number in 0..packed {
            packer
                .push(&self.delivery(number))
                .expect("a kilobyte fits a message");
        }
        let body = packer.finish().pop().unwrap_or_default();
        let record = |n| QueueRecord {
            id: format!("bench-{n}"),
            body: body.clone(),
            receive_count: 1,
        };
        (0..records).map(record).collect()
    }
}

#[async_trait::async_trait]
impl RuleStore for OneSubscription {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(1)
    }

    async fn load(&self) -> Result<Records, StoreError> {
        Ok(Records {
            version: 1,
            subscriptions: vec![self.0.clone()],
            ..Records::default()
        })
    }

    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        Err(StoreError("the benchmark changes no rules".to_owned()).into())
    }
}

/// Counts what should not happen.
#[derive(Default)]
pub(super) struct Nowhere {
    failed: AtomicU64,
    draws: AtomicU64,
}

impl Nowhere {
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn forget(&self) {
        self.failed.store(0, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl StageSender for Nowhere {
    async fn send(&self, _: Stage, messages: Vec<OutgoingMessage>) -> Vec<Result<(), QueueError>> {
        self.failed
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        messages.iter().map(|_| Ok(())).collect()
    }
}

#[async_trait::async_trait]
impl QueueSender for Nowhere {
    async fn send(
        &self,
        _: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        messages.iter().map(|_| Ok(String::new())).collect()
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for Nowhere {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        self.failed
            .fetch_add(letters.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait::async_trait]
impl AttemptLog for Nowhere {
    async fn record(&self, _: Vec<AttemptRecord>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Random for Nowhere {
    fn draw(&self) -> u64 {
        self.draws
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }
}

/// Keys of one run.
#[derive(Default)]
pub(super) struct InMemory(Mutex<Option<String>>);

#[async_trait::async_trait]
impl KeyStore for InMemory {
    async fn load(&self) -> Result<Option<String>, StoreError> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    async fn create(&self, document: &str) -> Result<(), StoreError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(document.to_owned());
        Ok(())
    }

    async fn replace(&self, _: &str, document: &str) -> Result<bool, StoreError> {
        self.create(document).await.map(|()| true)
    }
}
