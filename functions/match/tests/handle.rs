//! The match stage through its door: batches in, packed deliveries out.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use carillon_core::delivery::{DeadLetter, DeadLetterContent, Delivery};
use carillon_core::envelope::{MAX_MESSAGE, Packer, open_deliveries};
use carillon_core::event::{Body, Event, EventType, IdentityHasher, OssBody, Product, Timestamp};
use carillon_core::ports::{
    Clock, CommitError, DeadLetterStore, OutgoingMessage, QueueError, QueueRecord, Records,
    RuleStore, Stage, StageSender, StoreError,
};
use carillon_core::rule::{Rule, RuleSpec};
use carillon_core::ruleset::SnapshotCache;
use carillon_core::topic::{QueueName, Subscription, SubscriptionName, Target, Topic, TopicName};
use carillon_match::{Ports, handle};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct World {
    records: Mutex<Records>,
    store_is_down: bool,
    /// Sends whose body contains one of these are not taken.
    refuse: Vec<String>,
    sent: Mutex<Vec<OutgoingMessage>>,
    letters: Mutex<Vec<DeadLetter>>,
}

#[async_trait::async_trait]
impl RuleStore for World {
    async fn version(&self) -> Result<u64, StoreError> {
        match self.store_is_down {
            true => Err(StoreError("down".into())),
            false => Ok(self.records.lock().unwrap().version),
        }
    }
    async fn load(&self) -> Result<Records, StoreError> {
        Ok(self.records.lock().unwrap().clone())
    }
    async fn commit(
        &self,
        _: u64,
        _: Vec<carillon_core::ports::Change>,
    ) -> Result<u64, CommitError> {
        unreachable!("match never changes rules")
    }
}

#[async_trait::async_trait]
impl StageSender for World {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        assert_eq!(stage, Stage::Deliver);
        let mut sent = self.sent.lock().unwrap();
        let mut results = Vec::new();
        for message in messages {
            assert!(message.body.len() <= MAX_MESSAGE);
            if self.refuse.iter().any(|text| message.body.contains(text)) {
                results.push(Err(QueueError::Unavailable("full".into())));
            } else {
                sent.push(message);
                results.push(Ok(()));
            }
        }
        results
    }
}

#[async_trait::async_trait]
impl DeadLetterStore for World {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        self.letters.lock().unwrap().extend(letters);
        Ok(())
    }
}

struct Stopped;
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_467_731_280_000)
    }
}

fn ports(world: &Arc<World>) -> Ports {
    Ports {
        snapshots: Arc::new(SnapshotCache::new(world.clone())),
        stages: world.clone(),
        dead_letters: world.clone(),
        clock: Arc::new(Stopped),
    }
}

fn rule(json: &str, topic: &str) -> Rule {
    let spec: RuleSpec = serde_json::from_str(json).unwrap();
    Rule {
        topic: Some(TopicName::parse(topic).unwrap()),
        ..Rule::from_spec(spec).unwrap()
    }
}

fn subscription(topic: &str, name: &str) -> Subscription {
    Subscription::auto(
        TopicName::parse(topic).unwrap(),
        SubscriptionName::parse(name).unwrap(),
        Target::Queue(QueueName::parse("MyQueue").unwrap()),
        Timestamp::default(),
    )
}

/// The rule of seed 000, 3.2, the default rule of 3.3, and a rule whose topic has two subscriptions.
fn world() -> World {
    let rules = vec![
        rule(
            r#"{"ProductName":"oss","RuleName":"event-notification-test-rule",
                "EventTypes":["ObjectCreated:PutObject","ObjectCreated:PostObject"],
                "MatchRules":[[{"Name":"event-notification-test"}]],
                "Endpoints":[{"EndpointType":"queue","EndpointValue":"MyQueue"}]}"#,
            "tutorial",
        ),
        rule(
            r#"{"ProductName":"oss","RuleName":"DefaultEnRule","EventTypes":["Default"],
                "Endpoints":[{"EndpointType":"queue","EndpointValue":"MyQueue"}]}"#,
            "rest",
        ),
        rule(
            r#"{"ProductName":"oss","RuleName":"films","EventTypes":["ObjectCreated:*"],
                "MatchRules":[[{"Prefix":"movie/"}]],
                "Endpoints":[{"EndpointType":"queue","EndpointValue":"MyQueue"}]}"#,
            "films",
        ),
    ];
    let topics = ["tutorial", "rest", "films"].map(|name| Topic {
        name: TopicName::parse(name).unwrap(),
        made_for: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        max_message_size: Topic::MAX_MESSAGE_SIZE,
        logging: false,
    });
    let tagged = Subscription {
        filter_tag: Some("never".into()),
        ..subscription("films", "tagged")
    };
    let records = Records {
        version: 7,
        rules,
        topics: topics.into(),
        subscriptions: vec![
            subscription("tutorial", "one"),
            subscription("rest", "one"),
            subscription("films", "one"),
            subscription("films", "two"),
            tagged,
        ],
    };
    World {
        records: records.into(),
        ..World::default()
    }
}

fn event(event_type: &str, resource: &str) -> Event {
    let json = format!(r#"{{"eventName":"{event_type}","oss":{{"ossSchemaVersion":"1.0"}}}}"#);
    let raw = serde_json::value::RawValue::from_string(json).unwrap();
    Event {
        product: Product::Oss,
        event_type: EventType::parse(event_type).unwrap(),
        resource: resource.to_owned(),
        time: Timestamp::default(),
        id: IdentityHasher::new("oss")
            .part(event_type)
            .part(resource)
            .finish(),
        body: Body::Oss(OssBody::from_raw(&raw).unwrap()),
    }
}

fn record(id: &str, events: &[Event]) -> QueueRecord {
    let mut packer = Packer::new();
    for event in events {
        packer.push(event).unwrap();
    }
    let mut messages = packer.finish();
    assert_eq!(messages.len(), 1, "the record of a test fits one message");
    QueueRecord {
        id: id.into(),
        body: messages.remove(0),
        receive_count: 1,
    }
}

fn deliveries(world: &World) -> Vec<Delivery> {
    let sent = world.sent.lock().unwrap();
    sent.iter()
        .flat_map(|message| open_deliveries(&message.body).unwrap())
        .collect()
}

/// (rule, topic/subscription) of each delivery.
fn told(world: &World) -> Vec<(String, String)> {
    deliveries(world)
        .iter()
        .map(|delivery| {
            let to = format!("{}/{}", delivery.topic, delivery.subscription);
            (delivery.notification.rule.to_string(), to)
        })
        .collect()
}

#[tokio::test]
async fn each_event_goes_to_the_rule_that_covers_it_else_to_the_default_rule() {
    let world = Arc::new(world());
    let batch = [record(
        "r1",
        &[
            event("ObjectCreated:PutObject", "event-notification-test/a"),
            event("ObjectRemoved:DeleteObject", "event-notification-test/a"),
            event("BucketQueried:GetBucketReferer", "any-bucket"),
            event("ObjectCreated:Anything", "movie/a.avi"),
        ],
    )];
    let outcome = handle(&ports(&world), &batch).await;
    assert_eq!(outcome.failed, []);
    let pair = |rule: &str, to: &str| (rule.to_owned(), to.to_owned());
    assert_eq!(
        told(&world),
        [
            pair("films", "films/one"),
            pair("films", "films/two"),
            pair("DefaultEnRule", "rest/one"),
            pair("DefaultEnRule", "rest/one"),
            pair("event-notification-test-rule", "tutorial/one"),
        ]
    );
    assert_eq!(
        world.sent.lock().unwrap().len(),
        4,
        "deliveries of one subscription share a message"
    );
    for delivery in deliveries(&world) {
        assert_eq!(delivery.version, 7, "judged by one snapshot");
        assert_eq!(delivery.attempts, 0);
    }
}

#[tokio::test]
async fn a_replay_for_one_rule_tells_that_rule_alone_and_under_the_same_ids() {
    let mut overlapping = world();
    let records = overlapping.records.get_mut().unwrap();
    // As under overlap = allow: a second rule covers what `films` covers.
    records.rules.push(rule(
        r#"{"ProductName":"oss","RuleName":"archive","EventTypes":["ObjectCreated:*"],
            "MatchRules":[[{"Suffix":".avi"}]],
            "Endpoints":[{"EndpointType":"queue","EndpointValue":"MyQueue"}]}"#,
        "rest",
    ));
    let world = Arc::new(overlapping);
    let events = [
        event("ObjectCreated:PutObject", "movie/a.avi"),
        event("ObjectCreated:PutObject", "other/b.avi"),
        event("ObjectRemoved:DeleteObject", "movie/a.avi"),
    ];
    handle(&ports(&world), &[record("live", &events)]).await;
    let live = std::mem::take(&mut *world.sent.lock().unwrap());
    let live: Vec<Delivery> = live
        .iter()
        .flat_map(|message| open_deliveries(&message.body).unwrap())
        .collect();

    for (name, expected) in [
        ("films", 2),
        ("archive", 2),
        ("DefaultEnRule", 1),
        ("gone", 0),
    ] {
        let only = carillon_core::rule::RuleName::parse(name).unwrap();
        let mut packer = Packer::only(&only);
        for event in &events {
            packer.push(event).unwrap();
        }
        let replay = QueueRecord {
            id: name.into(),
            body: packer.finish().remove(0),
            receive_count: 1,
        };
        let outcome = handle(&ports(&world), &[replay]).await;
        assert_eq!(outcome.failed, []);
        let of_rule = live
            .iter()
            .filter(|delivery| delivery.notification.rule == only);
        assert_eq!(deliveries(&world), of_rule.cloned().collect::<Vec<_>>());
        assert_eq!(deliveries(&world).len(), expected, "{name}");
        world.sent.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn the_same_event_on_the_same_topic_has_the_same_message_id_and_names_its_rule_in_the_body() {
    let world = Arc::new(world());
    let put = event("ObjectCreated:PutObject", "event-notification-test/a");
    for id in ["first", "again"] {
        handle(&ports(&world), &[record(id, std::slice::from_ref(&put))]).await;
    }
    let all = deliveries(&world);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].notification, all[1].notification);
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD
        .decode(&all[0].notification.body)
        .unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"events":[{"eventName":"ObjectCreated:PutObject","oss":{"ossSchemaVersion":"1.0","ruleId":"event-notification-test-rule"}}]}"#
    );
}

#[tokio::test]
async fn a_change_of_rules_is_in_force_with_the_next_batch_though_the_clock_stands() {
    let world = Arc::new(world());
    // One process: what it holds of the rules outlives the batch.
    let ports = ports(&world);
    let created = [event("ObjectCreated:PutObject", "movie/a.avi")];
    handle(&ports, &[record("r1", &created)]).await;
    assert_eq!(told(&world)[0].0, "films");
    world.sent.lock().unwrap().clear();
    {
        let mut records = world.records.lock().unwrap();
        records.version += 1;
        records.rules.retain(|rule| rule.name.as_str() != "films");
    }
    handle(&ports, &[record("r2", &created)]).await;
    let told = told(&world);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "DefaultEnRule");
    assert_eq!(deliveries(&world)[0].version, 8);
}

#[tokio::test]
async fn an_unreadable_record_is_a_dead_letter_with_its_reason_and_loses_nothing_else() {
    let world = Arc::new(world());
    let broken = |id: &str, body: &str| QueueRecord {
        id: id.into(),
        body: body.into(),
        receive_count: 1,
    };
    let batch = [
        broken("b1", "not json"),
        record("good", &[event("ObjectCreated:PutObject", "movie/x")]),
        broken("b2", r#"{"v":2,"items":[]}"#),
        broken("b3", r#"{"v":1,"items":[{"product":"oss"}]}"#),
    ];
    let outcome = handle(&ports(&world), &batch).await;
    assert_eq!(outcome.failed, [], "a hopeless record does not come again");
    assert_eq!(told(&world).len(), 2);
    let letters = world.letters.lock().unwrap();
    let reasons: Vec<&str> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    assert!(
        reasons[0].starts_with("not an envelope: expected"),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("version 2 is not known"), "{reasons:?}");
    assert!(reasons[2].contains("missing field `type`"), "{reasons:?}");
    let DeadLetterContent::Record { stage, body } = &letters[0].content else {
        panic!("a record, not a delivery")
    };
    assert_eq!((stage.as_str(), body.as_str()), ("match", "not json"));
}

#[tokio::test]
async fn exactly_the_records_whose_deliveries_were_not_taken_come_again() {
    let world = Arc::new(World {
        refuse: vec![r#""topic":"films""#.into()],
        ..world()
    });
    let batch = [
        record("rest", &[event("ObjectRemoved:DeleteObject", "b/a")]),
        record("films", &[event("ObjectCreated:PutObject", "movie/a")]),
        record(
            "both",
            &[
                event("ObjectRemoved:DeleteObject", "b/b"),
                event("ObjectCreated:PutObject", "movie/b"),
            ],
        ),
    ];
    let outcome = handle(&ports(&world), &batch).await;
    let failed: Vec<&str> = outcome.failed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, ["films", "both"]);
    assert_eq!(told(&world).len(), 2, "what was taken stays taken");
}

#[tokio::test]
async fn without_rules_to_judge_by_every_record_comes_again() {
    let world = Arc::new(World {
        store_is_down: true,
        ..world()
    });
    let batch = [
        record("r1", &[event("A:B", "b/a")]),
        record("r2", &[event("A:B", "b/b")]),
    ];
    let outcome = handle(&ports(&world), &batch).await;
    assert_eq!(outcome.failed.len(), 2);
    assert!(world.sent.lock().unwrap().is_empty());
    assert!(world.letters.lock().unwrap().is_empty());
}
