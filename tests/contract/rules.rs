//! The rules table.

use super::Ports;
use carillon_core::event::Timestamp;
use carillon_core::ports::{Change, CommitError};
use carillon_core::rule::{Rule, RuleSpec};
use carillon_core::topic::{QueueName, Subscription, SubscriptionName, Target, Topic, TopicName};

fn rule(name: &str) -> Rule {
    let spec: RuleSpec = serde_json::from_value(serde_json::json!({
        "ProductName": "oss", "RuleName": name, "EventTypes": ["ObjectCreated:*"],
        "MatchRules": [[{"Prefix": format!("{name}/"), "Suffix": ".jpg"}]],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "resize"}]
    }))
    .unwrap();
    Rule::from_spec(spec).unwrap()
}

fn topic(name: &str) -> Topic {
    Topic {
        name: TopicName::parse(name).unwrap(),
        made_for: None,
        created: Timestamp::from_millis(1),
        modified: Timestamp::from_millis(2),
        max_message_size: Topic::MAX_MESSAGE_SIZE,
        logging: true,
    }
}

fn subscription(topic: &str, name: &str) -> Subscription {
    Subscription::new(
        TopicName::parse(topic).unwrap(),
        SubscriptionName::parse(name).unwrap(),
        Target::Queue(QueueName::parse("resize").unwrap()),
        Timestamp::from_millis(3),
    )
}

/// A new store holds nothing.
pub async fn an_empty_store_is_of_version_zero(ports: Ports) {
    assert_eq!(ports.rules.version().await, Ok(0));
    let records = ports.rules.load().await.unwrap();
    assert_eq!(records.version, 0);
    assert!(
        records.rules.is_empty() && records.topics.is_empty() && records.subscriptions.is_empty()
    );
}

/// What is stored comes back equal; what is deleted is gone.
pub async fn a_commit_stores_all_and_moves_the_version(ports: Ports) {
    let (a, b) = (rule("a"), rule("b"));
    let (t, s) = (topic("orders"), subscription("orders", "warehouse"));
    let changes = vec![
        Change::PutRule(a.clone()),
        Change::PutRule(b.clone()),
        Change::PutTopic(t.clone()),
        Change::PutSubscription(s.clone()),
        Change::PutSubscription(subscription("orders", "billing")),
    ];
    assert_eq!(ports.rules.commit(0, changes).await, Ok(1));
    assert_eq!(ports.rules.version().await, Ok(1));

    let changed = Rule {
        enabled: false,
        ..b
    };
    let changes = vec![
        Change::DeleteRule(a.product.clone(), a.name.clone()),
        Change::PutRule(changed.clone()),
        Change::DeleteSubscription(s.topic.clone(), SubscriptionName::parse("billing").unwrap()),
        // Deleting what is not there is no fault.
        Change::DeleteTopic(TopicName::parse("never-made").unwrap()),
    ];
    assert_eq!(ports.rules.commit(1, changes).await, Ok(2));
    let records = ports.rules.load().await.unwrap();
    assert_eq!(records.version, 2);
    assert_eq!(records.rules, [changed]);
    assert_eq!(records.topics, std::slice::from_ref(&t));
    assert_eq!(records.subscriptions, [s]);

    let changes = vec![Change::DeleteTopic(t.name)];
    assert_eq!(ports.rules.commit(2, changes).await, Ok(3));
    assert!(ports.rules.load().await.unwrap().topics.is_empty());
}

/// A commit judged on an old version is refused whole, and told the present one.
pub async fn a_commit_on_an_old_version_changes_nothing(ports: Ports) {
    assert_eq!(
        ports
            .rules
            .commit(0, vec![Change::PutRule(rule("a"))])
            .await,
        Ok(1)
    );
    for stale in [0, 2, 99] {
        let refused = ports
            .rules
            .commit(stale, vec![Change::PutRule(rule("b"))])
            .await;
        assert_eq!(
            refused,
            Err(CommitError::Moved(1)),
            "expected version {stale}"
        );
    }
    let records = ports.rules.load().await.unwrap();
    assert_eq!((records.version, records.rules), (1, vec![rule("a")]));
}

/// Two racing commits on one version cannot both succeed.
pub async fn of_racing_commits_one_succeeds(ports: Ports) {
    for round in 0..5 {
        let racers = (0..8).map(|racer| {
            let rules = ports.rules.clone();
            let change = Change::PutRule(rule(&format!("r{round}x{racer}")));
            tokio::spawn(async move { rules.commit(round, vec![change]).await })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Ok(version) => {
                    assert_eq!(version, round + 1);
                    winners += 1;
                }
                Err(error) => assert_eq!(error, CommitError::Moved(round + 1)),
            }
        }
        assert_eq!(winners, 1, "round {round}");
    }
    assert_eq!(ports.rules.load().await.unwrap().rules.len(), 5);
}
