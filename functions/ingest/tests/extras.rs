//! What an operator may add to ingest: the size index, the stale mark, custom parameters by HeadObject, the duplicate
//! window. By both roads: the queue, and direct publish.
#![allow(clippy::unwrap_used)]

use carillon_core::delivery::DeadLetter;
use carillon_core::envelope::open_events;
use carillon_core::event::history::{Judged, KeyHistory, ObjectWrite};
use carillon_core::event::{Body, EventId, Timestamp};
use carillon_core::ports::{
    Change, Clock, CommitError, DeadLetterStore, DuplicateWindow, ObjectMetadata, ObjectName,
    OutgoingMessage, PublishError, PublishReceipt, Publisher, QueueError, QueueRecord, Records,
    RuleStore, SizeIndex, Stage, StageSender, StoreError, Submission,
};
use carillon_core::ruleset::SnapshotCache;
use carillon_ingest::{DeltaSize, DirectPublish, Extras, Ports, Settings, handle};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// A world whose parts can fail, and which writes down in what order it was asked.
#[derive(Default)]
struct World {
    now: AtomicI64,
    sent: Mutex<Vec<String>>,
    keys: Mutex<HashMap<(String, String), KeyHistory>>,
    metadata: Mutex<HashMap<String, Vec<(String, String)>>>,
    asked: Mutex<Vec<ObjectName>>,
    marks: Mutex<HashMap<EventId, Timestamp>>,
    steps: Mutex<Vec<&'static str>>,
    no_send: AtomicBool,
    no_mark: AtomicBool,
    no_window: AtomicBool,
    no_index: AtomicBool,
}

impl World {
    fn step(&self, what: &'static str) {
        self.steps.lock().unwrap().push(what);
    }

    fn fails(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    /// The events sent since this was last asked, as their consumers read them.
    fn told(&self) -> Vec<Value> {
        std::mem::take(&mut *self.sent.lock().unwrap())
            .iter()
            .flat_map(|message| open_events(message).unwrap())
            .map(|event| match event.body {
                Body::Oss(body) => {
                    let text = body.with_rule("rule");
                    serde_json::from_str::<Value>(&text).unwrap()["events"][0].clone()
                }
                other => panic!("not an OSS body: {other:?}"),
            })
            .collect()
    }

    /// `deltaSize` of each event sent.
    fn deltas(&self) -> Vec<Option<i64>> {
        self.told()
            .iter()
            .map(|event| event["oss"]["object"]["deltaSize"].as_i64())
            .collect()
    }
}

#[async_trait::async_trait]
impl StageSender for World {
    async fn send(&self, _: Stage, messages: Vec<OutgoingMessage>) -> Vec<Result<(), QueueError>> {
        self.step("send");
        messages
            .into_iter()
            .map(|message| {
                if World::fails(&self.no_send) {
                    return Err(QueueError::Unavailable("full".into()));
                }
                self.sent.lock().unwrap().push(message.body);
                Ok(())
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl SizeIndex for World {
    async fn observe(&self, writes: Vec<ObjectWrite>) -> Vec<Result<Judged, StoreError>> {
        self.step("observe");
        let mut keys = self.keys.lock().unwrap();
        writes
            .iter()
            .map(|write| {
                if World::fails(&self.no_index) {
                    return Err(StoreError("the disk is gone".into()));
                }
                let key = (write.bucket.clone(), write.key.clone());
                Ok(keys.entry(key).or_default().judge(&[write])[0])
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl ObjectMetadata for World {
    async fn of(&self, objects: Vec<ObjectName>) -> Vec<Result<Vec<(String, String)>, StoreError>> {
        let metadata = self.metadata.lock().unwrap();
        let answers = objects
            .iter()
            .map(|object| {
                let found = metadata.get(&object.key).cloned();
                found.ok_or_else(|| StoreError("403 Forbidden".into()))
            })
            .collect();
        self.asked.lock().unwrap().extend(objects);
        answers
    }
}

#[async_trait::async_trait]
impl DuplicateWindow for World {
    async fn known(&self, ids: &[EventId], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        self.step("known");
        if World::fails(&self.no_window) {
            return Err(StoreError("the disk is gone".into()));
        }
        let marks = self.marks.lock().unwrap();
        let known = |id| marks.get(id).is_some_and(|until| *until > now);
        Ok(ids.iter().map(known).collect())
    }

    async fn mark(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError> {
        self.step("mark");
        if World::fails(&self.no_mark) {
            return Err(StoreError("the disk is gone".into()));
        }
        let mut marks = self.marks.lock().unwrap();
        marks.extend(ids.into_iter().map(|id| (id, until)));
        Ok(())
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for World {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        panic!("nothing here is a dead letter: {letters:?}");
    }
}

#[async_trait::async_trait]
impl RuleStore for World {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn load(&self) -> Result<Records, StoreError> {
        Ok(Records::default())
    }
    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        unreachable!("ingest never changes rules")
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }
}

fn extras(world: &Arc<World>) -> Extras {
    Extras {
        sizes: Some(world.clone()),
        metadata: Some(world.clone()),
        window: Some(world.clone()),
    }
}

/// Hands bodies to the stage; gives how many failed.
async fn arrive(world: &Arc<World>, settings: &Settings, bodies: &[String]) -> usize {
    let ports = Ports {
        stages: world.clone(),
        dead_letters: world.clone(),
        clock: world.clone(),
        settings: Arc::new(settings.clone()),
        extras: extras(world),
    };
    let batch: Vec<QueueRecord> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| QueueRecord {
            id: index.to_string(),
            body: body.clone(),
            receive_count: 1,
        })
        .collect();
    handle(&ports, &batch).await.failed.len()
}

async fn publish(
    world: &Arc<World>,
    settings: &Settings,
    body: &str,
) -> Result<PublishReceipt, PublishError> {
    let publisher = DirectPublish {
        stages: world.clone(),
        snapshots: Arc::new(SnapshotCache::new(world.clone())),
        clock: world.clone(),
        settings: Arc::new(settings.clone()),
        extras: extras(world),
    };
    let body = body.into();
    let submission = Submission {
        body,
        ..Submission::default()
    };
    publisher.publish(submission).await
}

fn s3(name: &str, key: &str, size: Option<i64>, sequencer: &str) -> String {
    let size = size.map_or(String::new(), |size| format!(r#""size":{size},"#));
    format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"{name}","eventTime":"2026-11-20T08:00:00.000Z",
        "s3":{{"bucket":{{"name":"b"}},"object":{{"key":"{key}",{size}"eTag":"e","sequencer":"{sequencer}"}}}}}}]}}"#
    )
}

fn put(key: &str, size: i64, sequencer: &str) -> String {
    s3("ObjectCreated:Put", key, Some(size), sequencer)
}

fn by_index() -> Settings {
    Settings {
        delta_size: DeltaSize::Index,
        ..Settings::default()
    }
}

fn with_window() -> Settings {
    Settings {
        duplicate_window: 300,
        ..Settings::default()
    }
}

#[tokio::test]
async fn sizes_change_by_what_was_there_before() {
    let world = Arc::new(World::default());
    let delete = s3("ObjectRemoved:Delete", "a", None, "0C");
    let bodies = [put("a", 10, "0A"), put("a", 4, "0B"), delete];
    assert_eq!(arrive(&world, &by_index(), &bodies).await, 0);
    assert_eq!(world.deltas(), [Some(10), Some(-6), Some(-4)]);
}

#[tokio::test]
async fn a_completed_event_is_written_as_one_whose_size_was_known() {
    let world = Arc::new(World::default());
    let body = [put("a", 10, "0A")];
    arrive(&world, &Settings::default(), &body).await;
    let plain = world.sent.lock().unwrap().pop();
    arrive(&world, &by_index(), &body).await;
    assert_eq!(world.sent.lock().unwrap().pop(), plain);
}

#[tokio::test]
async fn both_roads_of_one_operation_and_copies_are_told_the_same() {
    let world = Arc::new(World::default());
    arrive(
        &world,
        &by_index(),
        &[put("a", 10, "0A"), put("a", 4, "0B")],
    )
    .await;
    world.told();
    let by_bus = r#"{"version":"0","id":"i","detail-type":"Object Created","source":"aws.s3","account":"1","time":"2026-11-20T08:00:00Z",
        "region":"us-east-1","resources":[],"detail":{"version":"0","bucket":{"name":"b"},
        "object":{"key":"a","size":4,"etag":"e","sequencer":"0B"},"reason":"PutObject"}}"#;
    arrive(&world, &by_index(), &[put("a", 4, "0B"), by_bus.into()]).await;
    assert_eq!(world.deltas(), [Some(-6), Some(-6)]);
}

#[tokio::test]
async fn a_late_event_is_told_without_change_of_size_and_marked_when_wanted() {
    let world = Arc::new(World::default());
    let settings = Settings {
        mark_stale: true,
        ..by_index()
    };
    arrive(&world, &settings, &[put("a", 10, "0A"), put("a", 30, "0C")]).await;
    arrive(&world, &settings, &[put("a", 20, "0B")]).await;
    arrive(&world, &settings, &[put("a", 31, "0D")]).await;
    let told = world.told();
    let stale = |event: &Value| event["oss"]["object"]["stale"].clone();
    let marks: Vec<Value> = told.iter().map(stale).collect();
    assert_eq!(marks, [Value::Null, Value::Null, true.into(), Value::Null]);
    assert_eq!(told[2]["oss"]["object"]["deltaSize"], Value::Null);
    assert_eq!(told[3]["oss"]["object"]["deltaSize"], 1);
    assert_eq!(told[2]["oss"]["ruleId"], "rule");
    // Unless it is wanted, there is no mark.
    arrive(&world, &by_index(), &[put("a", 20, "0B")]).await;
    assert_eq!(stale(&world.told()[0]), Value::Null);
    // The mark alone leaves deltaSize as it is without an index.
    let alone = Settings {
        mark_stale: true,
        ..Settings::default()
    };
    arrive(&world, &alone, &[put("a", 20, "0B")]).await;
    let told = world.told();
    assert_eq!(stale(&told[0]), true);
    assert_eq!(told[0]["oss"]["object"]["deltaSize"], 20);
}

#[tokio::test]
async fn an_index_that_does_not_answer_loses_no_event() {
    let world = Arc::new(World::default());
    world.no_index.store(true, Ordering::Relaxed);
    assert_eq!(arrive(&world, &by_index(), &[put("a", 10, "0A")]).await, 0);
    assert_eq!(world.deltas(), [None]);
    let receipt = publish(&world, &by_index(), &put("a", 10, "0B")).await;
    assert_eq!(receipt.unwrap().accepted, 1);
    assert_eq!(world.deltas(), [None]);
}

#[tokio::test]
async fn direct_publish_is_told_of_sizes_too() {
    let world = Arc::new(World::default());
    for (size, sequencer) in [(10, "0A"), (4, "0B")] {
        let body = put("a", size, sequencer);
        publish(&world, &by_index(), &body).await.unwrap();
    }
    assert_eq!(world.deltas(), [Some(10), Some(-6)]);
}

#[tokio::test]
async fn an_event_without_a_sequencer_has_the_size_as_without_an_index() {
    let world = Arc::new(World::default());
    let body = put("a", 10, "0A").replace(r#","sequencer":"0A""#, "");
    arrive(&world, &by_index(), &[body]).await;
    assert_eq!(world.deltas(), [Some(10)]);
    assert_eq!(*world.steps.lock().unwrap(), ["send"]);
}

#[tokio::test]
async fn custom_parameters_come_from_metadata_and_a_failed_request_loses_nothing() {
    let world = Arc::new(World::default());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    world.metadata.lock().unwrap().insert(
        "a b".into(),
        vec![
            pair("x-project", "carillon"),
            pair("X-Upper", "taken, since stores differ in case"),
            pair("owner", "no parameter"),
            pair("x-", "no name"),
        ],
    );
    let settings = Settings {
        x_vars_from_head_object: true,
        ..Settings::default()
    };
    let bodies = [
        put("a+b", 1, "0A"),
        put("forbidden", 1, "0A"),
        s3("ObjectCreated:Copy", "copied", Some(1), "0A"),
        s3("ObjectRemoved:Delete", "gone", None, "0A"),
        s3(
            "ObjectCreated:CompleteMultipartUpload",
            "parts",
            Some(1),
            "0A",
        ),
    ];
    assert_eq!(arrive(&world, &settings, &bodies).await, 0);
    let told = world.told();
    assert_eq!(told.len(), 5);
    assert_eq!(
        told[0]["xVars"],
        serde_json::json!({"x:project": "carillon", "x:upper": "taken, since stores differ in case"})
    );
    assert!(told[1..].iter().all(|event| event.get("xVars").is_none()));
    let asked = world.asked.lock().unwrap();
    let asked: Vec<&str> = asked.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(asked, ["a b", "forbidden", "parts"]);
}

#[tokio::test]
async fn a_copy_within_the_window_is_dropped_and_one_after_it_is_not() {
    let world = Arc::new(World::default());
    let body = put("a", 1, "0A");
    let settings = with_window();
    let twice = [body.clone(), body.clone()];
    assert_eq!(arrive(&world, &settings, &twice).await, 0);
    assert_eq!(world.told().len(), 1, "one of a batch");
    world.now.store(299_999, Ordering::Relaxed);
    arrive(&world, &settings, std::slice::from_ref(&body)).await;
    let receipt = publish(&world, &settings, &body).await.unwrap();
    assert_eq!(receipt.accepted, 1, "it is safe, as its publisher asks");
    assert_eq!(world.told().len(), 0);
    world.now.store(300_000, Ordering::Relaxed);
    arrive(&world, &settings, &[body.clone(), put("a", 1, "0B")]).await;
    assert_eq!(world.told().len(), 2);
    // Without the setting nobody asks.
    arrive(&world, &Settings::default(), &[body]).await;
    assert_eq!(world.told().len(), 1);
}

/// The order of the two steps decides what a crash between them costs: a copy, never the event.
#[tokio::test]
async fn an_event_is_marked_when_it_is_sent_and_not_before() {
    let settings = with_window();
    let body = put("a", 1, "0A");
    for road in ["queue", "publish"] {
        let world = Arc::new(World::default());
        let arrives = async || match road {
            "queue" => arrive(&world, &settings, std::slice::from_ref(&body)).await == 0,
            _ => publish(&world, &settings, &body).await.is_ok(),
        };
        // The process dies before the event is sent: nothing is marked, and the event comes again.
        world.no_send.store(true, Ordering::Relaxed);
        assert!(!arrives().await, "{road}");
        assert!(world.marks.lock().unwrap().is_empty(), "{road}");
        world.no_send.store(false, Ordering::Relaxed);
        // It dies after that and before the mark: the event is safe, and a copy slips through.
        world.no_mark.store(true, Ordering::Relaxed);
        assert!(arrives().await, "{road}");
        assert_eq!(world.told().len(), 1, "{road}");
        world.no_mark.store(false, Ordering::Relaxed);
        assert!(arrives().await, "{road}");
        assert_eq!(world.told().len(), 1, "{road}: a copy slips through");
        assert!(arrives().await, "{road}");
        assert_eq!(world.told().len(), 0, "{road}: now it is marked");
        assert_eq!(
            *world.steps.lock().unwrap(),
            [
                "known", "send", "known", "send", "mark", "known", "send", "mark", "known"
            ],
            "{road}"
        );
    }
}

#[tokio::test]
async fn a_window_that_does_not_answer_lets_copies_through() {
    let world = Arc::new(World::default());
    world.no_window.store(true, Ordering::Relaxed);
    let body = [put("a", 1, "0A")];
    for _ in 0..2 {
        assert_eq!(arrive(&world, &with_window(), &body).await, 0);
    }
    assert_eq!(world.told().len(), 2);
}
