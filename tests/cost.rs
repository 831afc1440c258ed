//! What a million notifications cost on AWS: a hundred thousand events go through the three handlers, over doubles that
//! count requests as SQS, DynamoDB and Lambda bill them, and the counts are multiplied with list prices.
//!
//! `cargo test -p carillon-tests --features aws --test cost -- --nocapture` prints the table.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use carillon_core::delivery::DeadLetter;
use carillon_core::event::{Product, Timestamp};
use carillon_core::ports::{
    AttemptLog, AttemptRecord, BatchOutcome, Change, Clock, CommitError, DeadLetterStore,
    HttpDialler, OutgoingMessage, PushFailure, PushRequest, PushResponse, QueueError, QueueRecord,
    QueueSender, Random, Records, RuleStore, Stage, StageSender, StoreError,
};
use carillon_core::rule::{Rule, RuleSpec};
use carillon_core::ruleset::SnapshotCache;
use carillon_core::topic::{QueueName, Subscription, SubscriptionName, Target, Topic, TopicName};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const EVENTS: usize = 100_000;
/// Batches as the template's mappings have them, and the 6 MB that an invocation takes.
const INGEST_BATCH: usize = 1000;
const OTHER_BATCH: usize = 10;
const INVOCATION_BYTES: usize = 6_000_000;
/// A request of SQS is billed by 64 KiB.
const UNIT: usize = 64 * 1024;

// List prices, us-east-1, USD a million (GB-seconds: a piece).
const SQS: f64 = 0.40;
const LAMBDA: f64 = 0.20;
const DYNAMODB_READ: f64 = 0.125;
const GB_SECOND: f64 = 0.000_016_666_7;
/// Milliseconds of a batch at ingest (256 MB) and match (512 MB): an assumption, an order above what the handlers take.
const STAGE_MS: f64 = 200.0;
/// Milliseconds of deliver (512 MB) for each push: a signature takes 1.6 ms of a core, of which 512 MB are 0.29; the
/// wait for the endpoint is shared by 64 at once.
const PUSH_MS: f64 = 1.6 / 0.29 + 100.0 / 64.0;

#[derive(Default)]
struct Bill {
    sends: AtomicU64,
    send_units: AtomicU64,
    receive_units: AtomicU64,
    deletes: AtomicU64,
    invocations: AtomicU64,
    reads: AtomicU64,
    pushes: AtomicU64,
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap(), Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

/// Everything the handlers ask for.
#[derive(Default)]
struct World {
    bill: Bill,
    waiting: Mutex<[Vec<String>; 3]>,
    records: Mutex<Records>,
}

#[async_trait]
impl StageSender for World {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let sizes: Vec<usize> = messages.iter().map(|message| message.body.len()).collect();
        for request in carillon_aws::requests(&sizes) {
            add(&self.bill.sends, 1);
            let bytes: usize = sizes[request].iter().sum();
            add(&self.bill.send_units, bytes.div_ceil(UNIT).max(1));
        }
        let results = messages.iter().map(|_| Ok(())).collect();
        let bodies = messages.into_iter().map(|message| message.body);
        self.waiting.lock().unwrap()[stage as usize].extend(bodies);
        results
    }
}

#[async_trait]
impl RuleStore for World {
    async fn version(&self) -> Result<u64, StoreError> {
        add(&self.bill.reads, 1);
        Ok(self.records.lock().unwrap().version)
    }

    async fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.lock().unwrap().clone())
    }

    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        Err(StoreError("nobody changes rules here".to_owned()).into())
    }
}

#[async_trait]
impl HttpDialler for World {
    async fn push(&self, _: PushRequest) -> Result<PushResponse, PushFailure> {
        add(&self.bill.pushes, 1);
        Ok(PushResponse {
            status: 204,
            ..PushResponse::default()
        })
    }
}

#[async_trait]
impl QueueSender for World {
    async fn send(
        &self,
        _: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        messages
            .iter()
            .map(|_| {
                Err(QueueError::Unavailable(
                    "no queue is an endpoint here".to_owned(),
                ))
            })
            .collect()
    }
}

#[async_trait]
impl AttemptLog for World {
    async fn record(&self, _: Vec<AttemptRecord>) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl DeadLetterStore for World {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        panic!("a dead letter: {:?}", letters.first())
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }
}

impl Random for World {
    fn draw(&self) -> u64 {
        4
    }
}

impl World {
    /// The next batch of a stage, as its mapping makes it, with its receives and deletes on the bill.
    fn batch(&self, stage: Stage, most: usize) -> Vec<QueueRecord> {
        let mut waiting = self.waiting.lock().unwrap();
        let queue = &mut waiting[stage as usize];
        let (mut count, mut bytes) = (0, 0);
        while count < queue.len().min(most) && bytes + queue[count].len() <= INVOCATION_BYTES {
            bytes += queue[count].len();
            count += 1;
        }
        let bodies: Vec<String> = queue.drain(..count).collect();
        for ten in bodies.chunks(10) {
            let bytes: usize = ten.iter().map(String::len).sum();
            add(&self.bill.receive_units, bytes.div_ceil(UNIT).max(1));
            add(&self.bill.deletes, 1);
        }
        add(&self.bill.invocations, usize::from(!bodies.is_empty()));
        let records = bodies.into_iter().enumerate();
        records
            .map(|(index, body)| QueueRecord {
                id: index.to_string(),
                body,
                receive_count: 1,
            })
            .collect()
    }

    fn invocations(&self) -> f64 {
        get(&self.bill.invocations)
    }
}

fn rules() -> Records {
    let at = Timestamp::from_millis(0);
    let spec: RuleSpec = serde_json::from_str(
        r#"{"ProductName": "oss", "RuleName": "all", "EventTypes": ["ObjectCreated:*"], "MatchRules": [[{"Prefix": "b/"}]],
            "Endpoints": [{"EndpointType": "http", "EndpointValue": "https://example.com/hook"}]}"#,
    )
    .unwrap();
    let mut rule = Rule::from_spec(spec).unwrap();
    let topic = TopicName::parse("mns-en-topics-oss-all-1700000000000123").unwrap();
    rule.topic = Some(topic.clone());
    let name = SubscriptionName::parse("mns-en-subs-oss-all-1-1700000000000123").unwrap();
    let target = Target::Http("https://example.com/hook".to_owned());
    Records {
        version: 1,
        topics: vec![Topic {
            name: topic.clone(),
            made_for: Some((Product::Oss, rule.name.clone())),
            created: at,
            modified: at,
            max_message_size: Topic::MAX_MESSAGE_SIZE,
            logging: false,
        }],
        subscriptions: vec![Subscription::auto(topic, name, target, at)],
        rules: vec![rule],
    }
}

/// A record as S3 sends it, about 800 bytes.
fn record(number: usize) -> String {
    format!(
        r#"{{"Records":[{{"eventVersion":"2.6","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-11-22T10:00:00.{:03}Z","eventName":"ObjectCreated:Put","userIdentity":{{"principalId":"AWS:AIDAJDPLRKLG7UEXAMPLE"}},"requestParameters":{{"sourceIPAddress":"203.0.113.9"}},"responseElements":{{"x-amz-request-id":"C3D13FE58D{number:06}","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"carillon","bucket":{{"name":"b","ownerIdentity":{{"principalId":"A3NL1KOZZKExample"}},"arn":"arn:aws:s3:::b"}},"object":{{"key":"logs/2026/11/22/host-{:03}/part-{number:06}.parquet","size":1048576,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0055AED6DC{number:08X}"}}}}}}]}}"#,
        number % 1000,
        number % 200,
    )
}

fn taken(outcome: &BatchOutcome) {
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed.first());
}

#[tokio::test]
async fn a_million_notifications_cost_at_most_sixty_cents() {
    let world = Arc::new(World::default());
    *world.records.lock().unwrap() = rules();
    world.waiting.lock().unwrap()[Stage::Ingest as usize].extend((0..EVENTS).map(record));
    let snapshots = || Arc::new(SnapshotCache::new(world.clone()));

    let ports = carillon_ingest::Ports {
        stages: world.clone(),
        dead_letters: world.clone(),
        clock: world.clone(),
        settings: Arc::default(),
        extras: carillon_ingest::Extras::default(),
    };
    loop {
        let batch = world.batch(Stage::Ingest, INGEST_BATCH);
        if batch.is_empty() {
            break;
        }
        taken(&carillon_ingest::handle(&ports, &batch).await);
    }
    let source_hop = get(&world.bill.receive_units) + get(&world.bill.deletes);
    let ingest = world.invocations();

    let ports = carillon_match::Ports {
        snapshots: snapshots(),
        stages: world.clone(),
        dead_letters: world.clone(),
        clock: world.clone(),
    };
    loop {
        let batch = world.batch(Stage::Match, OTHER_BATCH);
        if batch.is_empty() {
            break;
        }
        taken(&carillon_match::handle(&ports, &batch).await);
    }
    let matched = world.invocations() - ingest;

    let ports = carillon_deliver::Ports {
        snapshots: snapshots(),
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
    loop {
        let batch = world.batch(Stage::Deliver, OTHER_BATCH);
        if batch.is_empty() {
            break;
        }
        taken(&carillon_deliver::handle(&ports, &batch).await);
    }
    assert_eq!(get(&world.bill.pushes), EVENTS as f64);

    // Per event, so a price a million is also the price of a million events.
    let per = |count: f64| count / EVENTS as f64;
    let bill = &world.bill;
    let billed = get(&bill.send_units) + get(&bill.receive_units) + get(&bill.deletes) - source_hop;
    let requests = get(&bill.sends) + get(&bill.deletes) * 2.0 - source_hop;
    let compute = (ingest * 0.25 + matched * 0.5) * STAGE_MS / 1000.0
        + EVENTS as f64 * 0.5 * PUSH_MS / 1000.0;
    let rows = [
        ("SQS, S3's own sends", 1.0, SQS),
        (
            "SQS, receives and deletes of them (units)",
            per(source_hop),
            SQS,
        ),
        ("SQS, between the stages (units)", per(billed), SQS),
        ("Lambda, invocations", per(world.invocations()), LAMBDA),
        ("Lambda, GB-seconds", per(compute), GB_SECOND * 1e6),
        ("DynamoDB, reads", per(get(&bill.reads)), DYNAMODB_READ),
    ];
    println!("| of one event | count | USD a million |\n|---|---|---|");
    let mut total = 0.0;
    for (what, count, price) in rows {
        total += count * price;
        println!("| {what} | {count:.5} | {:.4} |", count * price);
    }
    println!("| all | | {total:.4} |");
    println!(
        "requests of SQS beyond the source's hop: {:.4} an event, billed as {:.4}",
        per(requests),
        per(billed)
    );
    assert!(per(requests) <= 0.05, "{} requests an event", per(requests));
    assert!(total <= 0.60, "{total} USD");
}
