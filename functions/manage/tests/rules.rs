//! Rules through the management API.

mod support;

use carillon_manage::Settings;
use serde_json::json;
use std::sync::Arc;
use support::{world, world_over};

#[tokio::test]
async fn a_rule_is_made_with_its_topic_and_subscriptions_and_goes_with_them() {
    let world = world(Settings::default());
    world.queue("resize").await;
    let made = world
        .act(
            "CreateEventRule",
            &[
                ("ProductName", "oss"),
                ("RuleName", "thumbnails"),
                ("EventTypes", r#"["ObjectCreated:*"]"#),
                ("MatchRules", r#"[[{"Prefix":"photos/","Suffix":".jpg"}],[{"Name":"photos/cover.png"}]]"#),
                (
                    "Endpoints",
                    r#"[{"EndpointType":"queue","EndpointValue":"resize"},{"EndpointType":"http","EndpointValue":"https://example.com/hook"}]"#,
                ),
            ],
        )
        .await;
    assert_eq!(made.data(), json!("thumbnails"));
    let got = world
        .act(
            "GetEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await
        .data();
    assert_eq!(got["EventTypes"], json!(["ObjectCreated:*"]));
    assert_eq!(
        got["MatchRules"],
        json!([
            [{"MatchState": true, "Prefix": "photos/", "Suffix": ".jpg"}],
            [{"MatchState": true, "Name": "photos/cover.png"}]
        ])
    );
    let records = world.store.records();
    let topic = &records.topics[0];
    assert_eq!(got["TopicName"], json!(topic.name));
    assert!(
        topic
            .name
            .as_str()
            .starts_with("mns-en-topics-oss-thumbnails-"),
        "{}",
        topic.name
    );
    let names: Vec<_> = records
        .subscriptions
        .iter()
        .map(|subscription| subscription.name.as_str())
        .collect();
    assert!(
        names[0].starts_with("mns-en-subs-oss-thumbnails-1-"),
        "{names:?}"
    );
    assert!(
        names[1].starts_with("mns-en-subs-oss-thumbnails-2-"),
        "{names:?}"
    );

    let gone = world
        .act(
            "DeleteEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await;
    assert_eq!(gone.status, 200);
    assert!(gone.json().get("Data").is_none());
    let records = world.store.records();
    assert_eq!(
        (
            records.rules.len(),
            records.topics.len(),
            records.subscriptions.len()
        ),
        (0, 0, 0)
    );
    let again = world
        .act(
            "DeleteEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (404, "EventRuleNotExist")
    );
}

#[tokio::test]
async fn what_a_rule_names_must_exist() {
    let world = world(Settings::default());
    let refused = world.rule("a", "x/", "nowhere").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "QueueNotExist")
    );
    assert!(
        refused.message().contains("nowhere"),
        "{}",
        refused.message()
    );
    let refused = world
        .act(
            "CreateEventRule",
            &[
                ("ProductName", "oss"),
                ("RuleName", "a"),
                ("EventTypes", r#"["ObjectCreated:*"]"#),
                ("MatchRules", r#"[[{"Prefix":"x/"}]]"#),
                (
                    "Endpoint",
                    r#"{"EndpointType":"topic","EndpointValue":"nowhere"}"#,
                ),
            ],
        )
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "TopicNotExist")
    );
    assert!(world.store.records().rules.is_empty());
}

#[tokio::test]
async fn a_client_token_makes_a_repeat_harmless() {
    let world = world(Settings::default());
    world.queue("q").await;
    let asked = [
        ("ProductName", "oss"),
        ("RuleName", "a"),
        ("EventTypes", r#"["ObjectCreated:*"]"#),
        ("MatchRules", r#"[[{"Prefix":"x/"}]]"#),
        (
            "Endpoint",
            r#"{"EndpointType":"queue","EndpointValue":"q"}"#,
        ),
    ];
    let with = |token: &'static str| [asked.as_slice(), &[("ClientToken", token)]].concat();
    assert_eq!(world.act("CreateEventRule", &with("t1")).await.status, 200);
    assert_eq!(
        world.act("CreateEventRule", &with("t1")).await.data(),
        json!("a")
    );
    for (parameters, code) in [
        (asked.to_vec(), "EventRuleAlreadyExist"),
        (with("t2"), "EventRuleAlreadyExist"),
        (
            [with("t1").as_slice(), &[("DeliveryMode", "DIRECT")]].concat(),
            "IdempotentParameterMismatch",
        ),
    ] {
        assert_eq!(world.act("CreateEventRule", &parameters).await.code(), code);
    }
    assert_eq!(world.store.records().rules.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_creators_of_one_name_race_and_one_wins() {
    // Two processes over one store: each with a ledger of its own.
    let one = Arc::new(world(Settings::default()));
    let two = Arc::new(world_over(one.store.clone(), Settings::default()));
    one.queue("q").await;
    two.queue("q").await;
    for round in 0..20 {
        let name = format!("rule-{round}");
        let (a, b) = tokio::join!(one.rule(&name, "x/", "q"), two.rule(&name, "x/", "q"));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", a.body, b.body);
        let gone = one
            .act(
                "DeleteEventRule",
                &[("ProductName", "oss"), ("RuleName", &name)],
            )
            .await;
        assert_eq!(gone.status, 200);
    }
}

#[tokio::test]
async fn own_changes_are_applied_without_loading_again() {
    let world = world(Settings::default());
    world.queue("q").await;
    assert_eq!(world.rule("first", "a/", "q").await.status, 200);
    let before = world.store.loads.load(std::sync::atomic::Ordering::SeqCst);
    for number in 0..10 {
        assert_eq!(
            world
                .rule(&format!("r{number}"), &format!("b{number}/"), "q")
                .await
                .status,
            200
        );
    }
    assert_eq!(
        world.store.loads.load(std::sync::atomic::Ordering::SeqCst),
        before
    );
}
