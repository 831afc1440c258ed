//! The contract of the stage, through its public door.
#![allow(clippy::unwrap_used)]

use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::envelope::open_events;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Clock, DeadLetterStore, OutgoingMessage, QueueError, QueueRecord, Stage, StageSender,
    StoreError,
};
use carillon_ingest::{Ports, Settings, handle};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct World {
    sent: Mutex<Vec<(Stage, String)>>,
    letters: Mutex<Vec<DeadLetter>>,
    /// Messages, by index, that the queue does not take.
    refuse: Vec<usize>,
    no_letters: bool,
}

#[async_trait::async_trait]
impl StageSender for World {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let mut sent = self.sent.lock().unwrap();
        messages
            .into_iter()
            .enumerate()
            .map(|(index, message)| {
                if self.refuse.contains(&index) {
                    return Err(QueueError::Unavailable("full".into()));
                }
                sent.push((stage, message.body));
                Ok(())
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for World {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        if self.no_letters {
            return Err(StoreError("disk full".into()));
        }
        self.letters.lock().unwrap().extend(letters);
        Ok(())
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000)
    }
}

fn ports(world: World) -> (Arc<World>, Ports) {
    let world = Arc::new(world);
    let ports = Ports {
        stages: world.clone(),
        dead_letters: world.clone(),
        clock: world.clone(),
        settings: Arc::new(Settings::default()),
        extras: carillon_ingest::Extras::default(),
    };
    (world, ports)
}

fn record(id: &str, body: &str) -> QueueRecord {
    QueueRecord {
        id: id.into(),
        body: body.into(),
        receive_count: 1,
    }
}

fn s3_record(key: &str, name: &str) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"{name}","eventTime":"2026-11-20T08:00:00.000Z","s3":{{"bucket":{{"name":"b"}},"object":{{"key":"{key}","size":1,"sequencer":"0A"}}}}}}"#
    )
}

fn s3(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

fn letter_body(letter: &DeadLetter) -> (&str, &str) {
    match &letter.content {
        DeadLetterContent::Record { stage, body } => (stage, body),
        other => panic!("not a record: {other:?}"),
    }
}

#[tokio::test]
async fn events_of_all_records_travel_in_one_message() {
    let (world, ports) = ports(World::default());
    let bodies = [
        s3(&[
            s3_record("a", "ObjectCreated:Put"),
            s3_record("b", "ObjectCreated:Put"),
        ]),
        s3(&[s3_record("c", "ObjectRemoved:Delete")]),
    ];
    let outcome = handle(&ports, &[record("1", &bodies[0]), record("2", &bodies[1])]).await;
    assert_eq!(outcome.failed, []);
    let sent = world.sent.lock().unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, Stage::Match);
    let resources: Vec<String> = open_events(&sent[0].1)
        .unwrap()
        .into_iter()
        .map(|event| event.resource)
        .collect();
    assert_eq!(resources, ["b/a", "b/b", "b/c"]);
}

#[tokio::test]
async fn an_unreadable_body_is_kept_exactly_with_its_reason_and_does_not_come_again() {
    let (world, ports) = ports(World::default());
    let good = s3(&[s3_record("a", "ObjectCreated:Put")]);
    let outcome = handle(
        &ports,
        &[record("1", "{\"Records\": [tru"), record("2", &good)],
    )
    .await;
    assert_eq!(outcome.failed, []);
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letter_body(&letters[0]), ("ingest", "{\"Records\": [tru"));
    assert!(
        letters[0].reason.contains("line 1, column"),
        "{}",
        letters[0].reason
    );
    assert!(
        letters[0].reason.contains("cut off"),
        "{}",
        letters[0].reason
    );
    assert_eq!(letters[0].at, Timestamp::from_millis(1_000));
    assert_eq!(world.sent.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_bad_record_takes_none_of_the_good_ones_beside_it() {
    let (world, ports) = ports(World::default());
    let bad = r#"{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":["b"]},"object":{"key":"x"}}}"#;
    let body = s3(&[
        s3_record("a", "ObjectCreated:Put"),
        bad.into(),
        s3_record("c", "ObjectCreated:Put"),
    ]);
    let outcome = handle(&ports, &[record("1", &body)]).await;
    assert_eq!(outcome.failed, []);
    assert_eq!(
        open_events(&world.sent.lock().unwrap()[0].1).unwrap().len(),
        2
    );
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        letter_body(&letters[0]).1,
        format!(r#"{{"Records":[{bad}]}}"#)
    );
    assert!(
        letters[0].reason.contains("Records[1].s3.bucket.name"),
        "{}",
        letters[0].reason
    );
}

#[tokio::test]
async fn only_the_records_whose_events_were_not_taken_fail() {
    // Each event fills more than half a message, so each travels alone.
    let wide = |key: char| {
        s3(&[s3_record(
            &key.to_string().repeat(17_000),
            "ObjectCreated:Put",
        )])
    };
    let (world, ports) = ports(World {
        refuse: vec![1],
        ..World::default()
    });
    let batch = [
        record("1", &wide('a')),
        record("2", &wide('b')),
        record("3", &wide('c')),
        record("4", r#"{"Event":"s3:TestEvent"}"#),
    ];
    let outcome = handle(&ports, &batch).await;
    let failed: Vec<&str> = outcome.failed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, ["2"]);
    assert!(
        outcome.failed[0].1.contains("full"),
        "{}",
        outcome.failed[0].1
    );
    assert_eq!(world.sent.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_record_comes_again_when_its_letter_could_not_be_kept() {
    let (world, ports) = ports(World {
        no_letters: true,
        ..World::default()
    });
    let good = s3(&[s3_record("a", "ObjectCreated:Put")]);
    let outcome = handle(&ports, &[record("1", "nonsense"), record("2", &good)]).await;
    let failed: Vec<&str> = outcome.failed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, ["1"]);
    assert_eq!(world.sent.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_too_large_for_a_message_is_kept_with_size_and_limit() {
    let (world, ports) = ports(World::default());
    let body = s3(&[
        s3_record(&"k".repeat(70_000), "ObjectCreated:Put"),
        s3_record("a", "ObjectCreated:Put"),
    ]);
    let outcome = handle(&ports, &[record("1", &body)]).await;
    assert_eq!(outcome.failed, []);
    let letters = world.letters.lock().unwrap();
    assert!(
        letters[0]
            .reason
            .contains("the limit of a message is 65536"),
        "{}",
        letters[0].reason
    );
    assert!(
        !letter_body(&letters[0]).1.contains(r#""key":"a""#),
        "the good record is not kept with the bad one"
    );
    assert_eq!(
        open_events(&world.sent.lock().unwrap()[0].1).unwrap().len(),
        1
    );
}
