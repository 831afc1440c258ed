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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_racing_rules_that_overlap_one_wins_and_the_other_is_told_whom_it_met() {
    let one = Arc::new(world(Settings::default()));
    let two = Arc::new(world_over(one.store.clone(), Settings::default()));
    one.queue("q").await;
    two.queue("q").await;
    for round in 0..20 {
        let (left, right) = (format!("left-{round}"), format!("right-{round}"));
        let (wide, narrow) = (format!("bucket{round}/"), format!("bucket{round}/photos/"));
        let (a, b) = tokio::join!(one.rule(&left, &narrow, "q"), two.rule(&right, &wide, "q"));
        let (winner, loser) = if a.status == 200 {
            (&left, &b)
        } else {
            (&right, &a)
        };
        assert_eq!(loser.status, 409, "{} {}", a.body, b.body);
        assert_eq!(loser.code(), "EventRuleConflict");
        let message = loser.message();
        assert!(message.contains(winner.as_str()), "{message}");
        assert!(
            message.contains(&format!("bucket{round}/photos/")),
            "a witness: {message}"
        );
        assert!(message.contains("ObjectCreated:"), "a witness: {message}");
        assert_eq!(one.store.records().rules.len(), round + 1);
        assert_eq!(one.store.records().topics.len(), round + 1);
    }
}

#[tokio::test]
async fn overlaps_are_kept_where_they_are_allowed() {
    let world = world(Settings {
        overlap: carillon_manage::Overlap::Allow,
        ..Settings::default()
    });
    world.queue("q").await;
    assert_eq!(world.rule("a", "x/", "q").await.status, 200);
    assert_eq!(world.rule("b", "x/y", "q").await.status, 200);
}

#[tokio::test]
async fn limits_have_their_code() {
    let mut settings = Settings::default();
    settings.limits.rules = carillon_core::rule::Limits {
        rules: 2,
        patterns: 2,
        endpoints: 2,
    };
    let world = world(settings);
    world.queue("q").await;
    assert_eq!(world.rule("a", "a/", "q").await.status, 200);
    assert_eq!(world.rule("b", "b/", "q").await.status, 200);
    let refused = world.rule("c", "c/", "q").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "EventRuleExceedLimit")
    );
    assert!(
        refused.message().contains("limit is 2"),
        "{}",
        refused.message()
    );
    let many = r#"[[{"Prefix":"a/"}],[{"Prefix":"b/"}],[{"Prefix":"c/"}]]"#;
    let refused = world
        .act(
            "CreateEventRule",
            &[
                ("ProductName", "oss"),
                ("RuleName", "d"),
                ("EventTypes", r#"["ObjectCreated:*"]"#),
                ("MatchRules", many),
                (
                    "Endpoint",
                    r#"{"EndpointType":"queue","EndpointValue":"q"}"#,
                ),
            ],
        )
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "EventRuleExceedLimit")
    );
}

#[tokio::test]
async fn an_update_keeps_what_stays_and_replaces_the_rest_in_one_commit() {
    let world = world(Settings::default());
    world.queue("keep").await;
    world.queue("drop").await;
    world.queue("add").await;
    let rule = |endpoints: &'static str, prefix: &'static str| {
        [
            ("ProductName", "oss"),
            ("RuleName", "a"),
            ("EventTypes", r#"["ObjectCreated:*"]"#),
            ("MatchRules", prefix),
            ("Endpoints", endpoints),
        ]
    };
    let first = rule(
        r#"[{"EndpointType":"queue","EndpointValue":"keep"},{"EndpointType":"queue","EndpointValue":"drop"}]"#,
        r#"[[{"Prefix":"x/"}]]"#,
    );
    assert_eq!(world.act("CreateEventRule", &first).await.status, 200);
    let before = world.store.records();
    let second = rule(
        r#"[{"EndpointType":"queue","EndpointValue":"add"},{"EndpointType":"queue","EndpointValue":"keep"}]"#,
        r#"[[{"Prefix":"y/"}]]"#,
    );
    assert_eq!(
        world.act("UpdateEventRule", &second).await.data(),
        json!("a")
    );
    let after = world.store.records();
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.rules[0].topic, before.rules[0].topic);
    assert_eq!(after.subscriptions.len(), 2);
    assert!(
        after.subscriptions.contains(&before.subscriptions[0]),
        "the kept one is untouched"
    );
    assert!(!after.subscriptions.contains(&before.subscriptions[1]));
    // The old claim is free again, the new one is held.
    assert_eq!(world.rule("b", "x/", "keep").await.status, 200);
    assert_eq!(
        world.rule("c", "y/z", "keep").await.code(),
        "EventRuleConflict"
    );
    let third = rule(
        r#"[{"EndpointType":"queue","EndpointValue":"keep"}]"#,
        r#"[[{"Prefix":"x"}]]"#,
    );
    assert_eq!(
        world.act("UpdateEventRule", &third).await.code(),
        "EventRuleConflict"
    );
    let missing = [("ProductName", "oss"), ("RuleName", "nobody")];
    let missing = [missing.as_slice(), &second[2..]].concat();
    assert_eq!(
        world.act("UpdateEventRule", &missing).await.code(),
        "EventRuleNotExist"
    );
}

#[tokio::test]
async fn a_disabled_rule_keeps_its_place() {
    let world = world(Settings::default());
    world.queue("q").await;
    assert_eq!(world.rule("a", "x/", "q").await.status, 200);
    let named = [("ProductName", "oss"), ("RuleName", "a")];
    assert_eq!(world.act("DisableEventRule", &named).await.status, 200);
    assert_eq!(
        world.act("GetEventRule", &named).await.data()["Enabled"],
        json!(false)
    );
    assert_eq!(
        world.rule("b", "x/y", "q").await.code(),
        "EventRuleConflict"
    );
    assert_eq!(world.act("EnableEventRule", &named).await.status, 200);
    assert_eq!(
        world.act("GetEventRule", &named).await.data()["Enabled"],
        json!(true)
    );
}

#[tokio::test]
async fn a_topic_with_a_user_s_subscription_outlives_its_rule() {
    let world = world(Settings::default());
    world.queue("q").await;
    world.queue("mine").await;
    assert_eq!(world.rule("a", "x/", "q").await.status, 200);
    let topic = world.store.records().topics[0].name.as_str().to_owned();
    let subscribed = world
        .act(
            "Subscribe",
            &[
                ("TopicName", &topic),
                ("SubscriptionName", "mine"),
                ("PushType", "queue"),
                ("Endpoint", "mine"),
            ],
        )
        .await;
    assert_eq!(subscribed.status, 200, "{}", subscribed.body);
    let refused = world.act("DeleteTopic", &[("TopicName", &topic)]).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "TopicInUse")
    );
    assert_eq!(
        world
            .act(
                "DeleteEventRule",
                &[("ProductName", "oss"), ("RuleName", "a")]
            )
            .await
            .status,
        200
    );
    let records = world.store.records();
    assert_eq!(records.topics.len(), 1);
    assert_eq!(records.topics[0].made_for, None);
    let left: Vec<_> = records
        .subscriptions
        .iter()
        .map(|held| held.name.as_str())
        .collect();
    assert_eq!(left, ["mine"]);
    assert_eq!(
        world
            .act("DeleteTopic", &[("TopicName", &topic)])
            .await
            .status,
        200
    );
    assert!(world.store.records().subscriptions.is_empty());
}
