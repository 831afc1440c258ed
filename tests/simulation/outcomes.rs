//! All 3^10 outcomes of a batch of ten records, for match and for deliver: good, to come again, unreadable.

use carillon_core::delivery::{DeadLetter, DeadLetterContent, Delivery, Notification};
use carillon_core::envelope::Packer;
use carillon_core::event::{Body, Event, EventType, IdentityHasher, OssBody, Product, Timestamp};
use carillon_core::ports::{
    AttemptLog, AttemptRecord, Change, Clock, CommitError, DeadLetterStore, HttpDialler,
    OutgoingMessage, PushFailure, PushRequest, PushResponse, QueueError, QueueRecord, QueueSender,
    Random, Records, RuleStore, Stage, StageSender, StoreError,
};
use carillon_core::rule::{
    EventTypePattern, EventTypes, ResourcePattern, Resources, Rule, RuleName,
};
use carillon_core::ruleset::SnapshotCache;
use carillon_core::topic::{
    NotifyStrategy, QueueName, Subscription, SubscriptionName, Target, Topic, TopicName,
};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const RECORDS: usize = 10;
const GOOD: u8 = 0;
const AGAIN: u8 = 1;
const POISON: u8 = 2;

/// A world in which record `n` speaks of subscription `s{n}`, so that each can fail by itself.
struct World {
    records: Records,
    outcomes: Mutex<[u8; RECORDS]>,
    letters: Mutex<Vec<DeadLetter>>,
    sent: Mutex<Vec<String>>,
    pushed: Mutex<Vec<usize>>,
}

impl World {
    fn fails(&self, text: &str) -> bool {
        let outcomes = self.outcomes.lock().unwrap();
        (0..RECORDS).any(|n| outcomes[n] == AGAIN && text.contains(&format!("\"s{n}\"")))
    }
}

#[async_trait::async_trait]
impl RuleStore for World {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(1)
    }
    async fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.clone())
    }
    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        unreachable!("stages change no rules")
    }
}

#[async_trait::async_trait]
impl StageSender for World {
    async fn send(&self, _: Stage, messages: Vec<OutgoingMessage>) -> Vec<Result<(), QueueError>> {
        let mut sent = self.sent.lock().unwrap();
        messages
            .into_iter()
            .map(|message| {
                if self.fails(&message.body) {
                    return Err(QueueError::Unavailable("throttled".into()));
                }
                sent.push(message.body);
                Ok(())
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for World {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        self.letters.lock().unwrap().extend(letters);
        Ok(())
    }
}

#[async_trait::async_trait]
impl QueueSender for World {
    async fn send(
        &self,
        _: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        messages.iter().map(|_| Ok("0".into())).collect()
    }
}

#[async_trait::async_trait]
impl HttpDialler for World {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, PushFailure> {
        let digits: String = request.url.chars().filter(char::is_ascii_digit).collect();
        let number: usize = digits.parse().unwrap();
        self.pushed.lock().unwrap().push(number);
        // Who is to come again fails at the endpoint, and then its retry is not taken either.
        let status = if self.outcomes.lock().unwrap()[number] == AGAIN {
            500
        } else {
            200
        };
        Ok(PushResponse {
            status,
            ..PushResponse::default()
        })
    }
}

#[async_trait::async_trait]
impl AttemptLog for World {
    async fn record(&self, _: Vec<AttemptRecord>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000)
    }
}

impl Random for World {
    fn draw(&self) -> u64 {
        7
    }
}

fn world() -> Arc<World> {
    let topic = |n: usize| TopicName::parse(&format!("t{n}")).unwrap();
    let name = |n: usize| SubscriptionName::parse(&format!("s{n}")).unwrap();
    let rules = (0..RECORDS).map(|n| Rule {
        product: Product::Oss,
        name: RuleName::parse(&format!("r{n}")).unwrap(),
        event_types: EventTypes(vec![EventTypePattern::parse("ObjectCreated:*").unwrap()]),
        resources: Resources::AnyOf(vec![vec![carillon_core::rule::Clause {
            negated: false,
            pattern: ResourcePattern::Name(format!("bucket{n}")),
        }]]),
        endpoints: Vec::new(),
        enabled: true,
        topic: Some(topic(n)),
        created: Timestamp::default(),
    });
    let topics = (0..RECORDS).map(|n| Topic {
        name: topic(n),
        made_for: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        max_message_size: Topic::MAX_MESSAGE_SIZE,
        logging: false,
    });
    let subscriptions = (0..RECORDS).map(|n| Subscription {
        strategy: NotifyStrategy::BackoffRetry,
        ..Subscription::auto(
            topic(n),
            name(n),
            Target::Http(format!("https://e{n}.example.com/")),
            Timestamp::default(),
        )
    });
    Arc::new(World {
        records: Records {
            version: 1,
            rules: rules.collect(),
            topics: topics.collect(),
            subscriptions: subscriptions.collect(),
        },
        outcomes: Mutex::default(),
        letters: Mutex::default(),
        sent: Mutex::default(),
        pushed: Mutex::default(),
    })
}

fn event(n: usize) -> Event {
    let json = r#"{"eventName":"ObjectCreated:PutObject","oss":{"ossSchemaVersion":"1.0"}}"#;
    let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
    Event {
        product: Product::Oss,
        event_type: EventType::parse("ObjectCreated:PutObject").unwrap(),
        resource: format!("bucket{n}/key"),
        time: Timestamp::default(),
        id: IdentityHasher::new("oss").part(&n.to_string()).finish(),
        body: Body::Oss(OssBody::from_raw(&raw).unwrap()),
    }
}

fn delivery(n: usize) -> Delivery {
    let event = event(n);
    let topic = TopicName::parse(&format!("t{n}")).unwrap();
    Delivery {
        subscription: SubscriptionName::parse(&format!("s{n}")).unwrap(),
        version: 1,
        notification: Notification {
            message_id: event.id.message_id(topic.as_str()),
            product: event.product,
            rule: RuleName::parse(&format!("r{n}")).unwrap(),
            event_type: event.event_type,
            resource: event.resource,
            body: "hello".into(),
            published: Timestamp::from_millis(1_790_000_000_000),
            tag: None,
        },
        topic,
        attempts: 0,
        history: Vec::new(),
        redriven: None,
        resends: 0,
    }
}

fn packed<T: carillon_core::envelope::Item>(item: &T) -> String {
    let mut packer = Packer::new();
    packer.push(item).unwrap();
    packer.finish().pop().unwrap()
}

/// These futures never wait: each port answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}

fn every_outcome(
    mut handle: impl FnMut(&Arc<World>, &[QueueRecord]) -> Vec<String>,
    body: impl Fn(usize) -> String,
) {
    let world = world();
    let good: Vec<String> = (0..RECORDS).map(body).collect();
    for mut code in 0..3_usize.pow(RECORDS as u32) {
        let mut outcomes = [GOOD; RECORDS];
        for outcome in &mut outcomes {
            *outcome = (code % 3) as u8;
            code /= 3;
        }
        *world.outcomes.lock().unwrap() = outcomes;
        world.letters.lock().unwrap().clear();
        world.sent.lock().unwrap().clear();
        let poison = |n: usize| format!("poison {n}");
        let batch: Vec<QueueRecord> = (0..RECORDS)
            .map(|n| QueueRecord {
                id: format!("m{n}"),
                body: if outcomes[n] == POISON {
                    poison(n)
                } else {
                    good[n].clone()
                },
                receive_count: 1,
            })
            .collect();
        let mut failed = handle(&world, &batch);
        failed.sort();
        let of = |wanted: u8| (0..RECORDS).filter(move |n| outcomes[*n] == wanted);
        let again: Vec<String> = of(AGAIN).map(|n| format!("m{n}")).collect();
        assert_eq!(failed, again, "{outcomes:?}");
        let mut refused: Vec<String> = world
            .letters
            .lock()
            .unwrap()
            .iter()
            .map(|letter| match &letter.content {
                DeadLetterContent::Record { body, .. } => body.clone(),
                other => panic!("{other:?} is no unreadable record"),
            })
            .collect();
        refused.sort();
        assert_eq!(
            refused,
            of(POISON).map(poison).collect::<Vec<_>>(),
            "{outcomes:?}"
        );
    }
}

#[test]
fn match_fails_exactly_the_records_that_must_come_again() {
    every_outcome(
        |world, batch| {
            let ports = carillon_match::Ports {
                snapshots: Arc::new(SnapshotCache::new(world.clone())),
                stages: world.clone(),
                dead_letters: world.clone(),
                clock: world.clone(),
            };
            let outcome = now(carillon_match::handle(&ports, batch));
            let good = batch
                .iter()
                .filter(|record| !record.body.starts_with("poison"))
                .count();
            assert_eq!(
                world.sent.lock().unwrap().len() + outcome.failed.len(),
                good,
                "every good record is sent or fails"
            );
            outcome.failed.into_iter().map(|(id, _)| id).collect()
        },
        |n| packed(&event(n)),
    );
}

#[test]
fn deliver_fails_exactly_the_records_that_must_come_again() {
    every_outcome(
        |world, batch| {
            world.pushed.lock().unwrap().clear();
            let ports = carillon_deliver::Ports {
                snapshots: Arc::new(SnapshotCache::new(world.clone())),
                stages: world.clone(),
                queues: world.clone(),
                http: world.clone(),
                dead_letters: world.clone(),
                attempts: world.clone(),
                clock: world.clone(),
                random: world.clone(),
                sns: None,
                signer: Arc::new(carillon_deliver::NoSigner),
                memory: Arc::default(),
                settings: carillon_deliver::Settings::default(),
            };
            let outcome = now(carillon_deliver::handle(&ports, batch));
            let mut pushed = world.pushed.lock().unwrap().clone();
            pushed.sort_unstable();
            let readable: Vec<usize> = (0..RECORDS)
                .filter(|n| !batch[*n].body.starts_with("poison"))
                .collect();
            assert_eq!(
                pushed, readable,
                "every readable delivery is attempted once"
            );
            outcome.failed.into_iter().map(|(id, _)| id).collect()
        },
        |n| packed(&delivery(n)),
    );
}

#[test]
fn ingest_fails_exactly_the_records_whose_message_is_not_taken() {
    // Ingest packs all records of a batch into few messages, so that "again" is a property of the message: bodies of
    // about sixty kilobytes travel alone, and are few enough to be tried in all 3^4 outcomes.
    let world = world();
    for mut code in 0..81_usize {
        let mut outcomes = [GOOD; RECORDS];
        for outcome in outcomes.iter_mut().take(4) {
            *outcome = (code % 3) as u8;
            code /= 3;
        }
        *world.outcomes.lock().unwrap() = outcomes;
        world.letters.lock().unwrap().clear();
        world.sent.lock().unwrap().clear();
        let batch: Vec<QueueRecord> = (0..4)
            .map(|n| QueueRecord {
                id: format!("m{n}"),
                body: match outcomes[n] {
                    POISON => format!("poison {n}"),
                    _ => format!(
                        r#"{{"events":[{{"eventName":"ObjectCreated:PutObject","oss":{{"bucket":{{"name":"b"}},"object":{{"key":"k{n}"}}}},"responseElements":{{"requestId":"R{n}"}},"s":"s{n}","ballast":"{}"}}]}}"#,
                        "x".repeat(40_000)
                    ),
                },
                receive_count: 1,
            })
            .collect();
        let ports = carillon_ingest::Ports {
            stages: world.clone(),
            dead_letters: world.clone(),
            clock: world.clone(),
            settings: Arc::default(),
            extras: carillon_ingest::Extras::default(),
        };
        let outcome = now(carillon_ingest::handle(&ports, &batch));
        let failed: Vec<String> = outcome.failed.into_iter().map(|(id, _)| id).collect();
        let again: Vec<String> = (0..4)
            .filter(|n| outcomes[*n] == AGAIN)
            .map(|n| format!("m{n}"))
            .collect();
        assert_eq!(failed, again, "{outcomes:?}");
        let poison = (0..4).filter(|n| outcomes[*n] == POISON).count();
        assert_eq!(world.letters.lock().unwrap().len(), poison, "{outcomes:?}");
    }
}
