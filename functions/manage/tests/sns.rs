//! Topics of SNS as endpoints of rules and subscriptions.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use carillon_core::ports::{SnsError, SnsMessage, SnsTopics};
use carillon_core::topic::{SnsTopic, Target};
use carillon_manage::Settings;
use serde_json::json;
use std::sync::Arc;
use support::{Answer, World, world, world_finished};

const ARN: &str = "arn:aws:sns:us-east-1:123456789012:alerts";

/// Knows one topic.
struct One;

#[async_trait::async_trait]
impl SnsTopics for One {
    async fn check(&self, topic: &SnsTopic) -> Result<(), SnsError> {
        match topic.name() {
            "alerts" => Ok(()),
            "theirs" => Err(SnsError::Denied("change TopicPrefix".into())),
            "slow" => Err(SnsError::Unavailable("Throttled".into())),
            _ => Err(SnsError::NotExist(topic.to_string())),
        }
    }

    async fn publish(&self, _: &SnsTopic, _: Vec<SnsMessage>) -> Vec<Result<String, SnsError>> {
        unreachable!("the control plane publishes nothing")
    }
}

fn with_sns() -> World {
    world_finished(Arc::default(), None, Settings::default(), |service| {
        service.with_sns(Arc::new(One))
    })
}

async fn rule(world: &World, action: &str, kind: &str, value: &str) -> Answer {
    let endpoint = json!({"EndpointType": kind, "EndpointValue": value}).to_string();
    let parameters = [
        ("ProductName", "oss"),
        ("RuleName", "a"),
        ("EventTypes", r#"["ObjectCreated:*"]"#),
        ("MatchRules", r#"[[{"Prefix":"b/"}]]"#),
        ("Endpoint", endpoint.as_str()),
    ];
    world.act(action, &parameters).await
}

#[tokio::test]
async fn a_rule_with_a_topic_of_sns_has_one_subscription_that_leads_there() {
    let world = with_sns();
    let made = rule(&world, "CreateEventRule", "topic", ARN).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let records = world.store.records();
    let target = Target::Sns(SnsTopic::parse(ARN).unwrap());
    assert_eq!(records.subscriptions.len(), 1);
    assert_eq!(records.subscriptions[0].target, target);
    assert!(records.subscriptions[0].auto_made);
    let topic = records.topics[0].name.to_string();
    assert!(topic.starts_with("mns-en-topics-oss-a-"));

    let named = [("ProductName", "oss"), ("RuleName", "a")];
    let endpoint = json!({"EndpointType": "topic", "EndpointValue": ARN});
    let shown = world.act("GetEventRule", &named).await.data();
    assert_eq!(shown["Endpoint"], endpoint);
    assert_eq!(shown["Subscriptions"], json!([endpoint]));
    let subscription = records.subscriptions[0].name.to_string();
    let shown = world
        .act(
            "GetSubscriptionAttributes",
            &[("TopicName", &topic), ("SubscriptionName", &subscription)],
        )
        .await
        .data();
    assert_eq!(
        (&shown["PushType"], &shown["Endpoint"]),
        (&json!("topic"), &json!(ARN))
    );

    // The same again keeps the subscription, with all that waits for it; another endpoint replaces it.
    let same = rule(&world, "UpdateEventRule", "topic", ARN).await;
    assert_eq!(same.status, 200, "{}", same.body);
    let held = &world.store.records().subscriptions;
    assert_eq!(held[0].name, records.subscriptions[0].name);
    world.queue("q").await;
    let other = rule(&world, "UpdateEventRule", "queue", "q").await;
    assert_eq!(other.status, 200, "{}", other.body);
    let held = &world.store.records().subscriptions;
    assert_eq!(held.len(), 1);
    assert!(matches!(held[0].target, Target::Queue(_)));

    let gone = world.act("DeleteEventRule", &named).await;
    assert_eq!(gone.status, 200);
    let records = world.store.records();
    assert!(records.topics.is_empty() && records.subscriptions.is_empty());
}

#[tokio::test]
async fn a_topic_of_carillon_s_can_be_subscribed_by_one_of_sns() {
    let world = with_sns();
    world.act("CreateTopic", &[("TopicName", "t")]).await.data();
    let parameters = [
        ("TopicName", "t"),
        ("SubscriptionName", "s"),
        ("PushType", "topic"),
        ("Endpoint", ARN),
    ];
    let made = world.act("Subscribe", &parameters).await;
    assert_eq!(made.status, 200, "{}", made.body);
    // The endpoint's form is enough, and the same twice is a success.
    let parameters: Vec<_> = parameters
        .into_iter()
        .filter(|(name, _)| *name != "PushType")
        .collect();
    assert_eq!(world.act("Subscribe", &parameters).await.status, 200);
    let list = world
        .act(
            "ListSubscriptionByTopic",
            &[("TopicName", "t"), ("EndpointType", "topic")],
        )
        .await;
    assert!(list.body.contains(ARN), "{}", list.body);
}

#[tokio::test]
async fn what_cannot_be_published_to_is_refused_with_the_cure() {
    let at = |name: &str| format!("arn:aws:sns:us-east-1:123456789012:{name}");
    let here = with_sns();
    for (name, status, code, words) in [
        ("nowhere", 404, "TopicNotExist", "create it there"),
        ("theirs", 400, "InvalidArgument", "TopicPrefix"),
        ("slow", 500, "InternalError", "try again"),
        ("a.fifo", 400, "InvalidArgument", "FIFO"),
        ("a b", 400, "InvalidArgument", "ARN of a standard topic"),
    ] {
        let refused = rule(&here, "CreateEventRule", "topic", &at(name)).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (status, code),
            "{}",
            refused.body
        );
        assert!(refused.message().contains(words), "{}", refused.body);
    }
    // One machine has no SNS.
    let alone = world(Settings::default());
    let refused = rule(&alone, "CreateEventRule", "topic", ARN).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.message().contains("no access to SNS") && refused.message().contains(ARN),
        "{}",
        refused.body
    );
    assert!(alone.store.records().rules.is_empty());
}
