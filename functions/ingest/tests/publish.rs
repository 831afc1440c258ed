//! Direct publish through its door: what the publisher is told, and what is handed over.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use carillon_core::envelope::open_events;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Change, Clock, CommitError, OutgoingMessage, PublishError, PublishReceipt, Publisher,
    QueueError, Records, RuleStore, Stage, StageSender, StoreError, Submission,
};
use carillon_core::rule::Rule;
use carillon_core::ruleset::SnapshotCache;
use carillon_ingest::{DirectPublish, Settings};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct World {
    rules: Vec<Rule>,
    queue_is_down: bool,
    sent: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl RuleStore for World {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(1)
    }
    async fn load(&self) -> Result<Records, StoreError> {
        Ok(Records {
            version: 1,
            rules: self.rules.clone(),
            ..Records::default()
        })
    }
    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        unreachable!("publishing never changes rules")
    }
}

#[async_trait::async_trait]
impl StageSender for World {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        assert_eq!(stage, Stage::Match);
        if self.queue_is_down {
            return messages
                .iter()
                .map(|_| Err(QueueError::Unavailable("disk full".into())))
                .collect();
        }
        let mut sent = self.sent.lock().unwrap();
        sent.extend(messages.into_iter().map(|message| message.body));
        sent.iter().map(|_| Ok(())).collect()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_467_731_280_000)
    }
}

/// A rule for new objects of `movie`.
fn covered() -> World {
    let spec = r#"{"ProductName":"oss","RuleName":"films","EventTypes":["ObjectCreated:*"],
        "MatchRules":[[{"Prefix":"movie/"}]],
        "Endpoints":[{"EndpointType":"queue","EndpointValue":"q"}]}"#;
    World {
        rules: vec![Rule::from_spec(serde_json::from_str(spec).unwrap()).unwrap()],
        ..World::default()
    }
}

async fn publish(world: &Arc<World>, body: &str) -> Result<PublishReceipt, PublishError> {
    let publisher = DirectPublish {
        stages: world.clone(),
        snapshots: Arc::new(SnapshotCache::new(world.clone())),
        clock: world.clone(),
        settings: Arc::new(Settings::default()),
        extras: carillon_ingest::Extras::default(),
    };
    publisher
        .publish(Submission {
            body: body.into(),
            ..Submission::default()
        })
        .await
}

fn oss(names: &[&str]) -> String {
    let events: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                r#"{{"eventName":"{name}","eventTime":"2016-07-05T15:07:59.000Z",
                    "oss":{{"bucket":{{"name":"movie"}},"object":{{"key":"a.avi"}}}}}}"#
            )
        })
        .collect();
    format!(r#"{{"events":[{}]}}"#, events.join(","))
}

#[tokio::test]
async fn the_status_stands_only_where_a_rule_covers_an_event() {
    let world = Arc::new(covered());
    let receipt = |accepted, status| {
        Ok(PublishReceipt {
            accepted,
            status,
            ..PublishReceipt::default()
        })
    };
    let put = "ObjectCreated:PutObject";
    let delete = "ObjectRemoved:DeleteObject";
    assert_eq!(
        publish(&world, &oss(&[put])).await,
        receipt(1, Some(Ok(())))
    );
    assert_eq!(publish(&world, &oss(&[delete])).await, receipt(1, None));
    assert_eq!(
        publish(&world, &oss(&[delete, put])).await,
        receipt(2, Some(Ok(()))),
        "one covered event of several is enough"
    );
    let s3 = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",
        "eventTime":"2016-07-05T15:07:59.000Z","s3":{"bucket":{"name":"movie"},"object":{"key":"a.avi"}}}]}"#;
    assert_eq!(
        publish(&world, s3).await,
        receipt(1, None),
        "S3 reads no such header"
    );
    let sent = world.sent.lock().unwrap();
    let events: usize = sent
        .iter()
        .map(|body| open_events(body).unwrap().len())
        .sum();
    assert_eq!(events, 5);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_and_nothing_of_it_is_handed_over() {
    let world = Arc::new(covered());
    let second_is_broken = r#"{"events":[
        {"eventName":"ObjectCreated:PutObject","eventTime":"2016-07-05T15:07:59.000Z","oss":{"bucket":{"name":"movie"},"object":{"key":"a"}}},
        {"oss":{"bucket":{"name":"movie"}}}]}"#;
    for body in ["{\"events\":[", "", second_is_broken] {
        let error = publish(&world, body).await.unwrap_err();
        assert!(
            matches!(error, PublishError::Unreadable(_)),
            "{body}: {error}"
        );
    }
    assert!(world.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failed_hand_over_is_told_and_whether_a_rule_covered_the_event() {
    let world = Arc::new(World {
        queue_is_down: true,
        ..covered()
    });
    for (name, covered) in [
        ("ObjectCreated:PutObject", true),
        ("ObjectRemoved:DeleteObject", false),
    ] {
        let error = publish(&world, &oss(&[name])).await.unwrap_err();
        let reason = "the queue is not available: disk full".to_owned();
        assert_eq!(error, PublishError::Unavailable { reason, covered });
    }
}
