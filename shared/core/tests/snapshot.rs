//! What is stored, as a process judges and delivers by it: the snapshot, its cache, and what subscriptions let pass.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::event::{Product, Timestamp};
use carillon_core::ports::{Change, CommitError, Records, RuleStore, StoreError};
use carillon_core::rule::{EventTypePattern, EventTypes, Resources, Rule, RuleName};
use carillon_core::ruleset::{Snapshot, SnapshotCache};
use carillon_core::topic::{
    ContentFormat, NotifyStrategy, QueueName, Subscription, SubscriptionName, Target, Topic,
    TopicName,
};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::ready;

fn rule(product: Product, name: &str, enabled: bool) -> Rule {
    let types = EventTypes(vec![EventTypePattern::parse("ObjectCreated:*").unwrap()]);
    Rule {
        product,
        ..support::named(name, types, Resources::All, enabled)
    }
}

fn topic(name: &str) -> Topic {
    Topic {
        name: TopicName::parse(name).unwrap(),
        made_for: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        max_message_size: Topic::MAX_MESSAGE_SIZE,
        logging: false,
    }
}

fn subscription(topic: &str, name: &str) -> Subscription {
    Subscription::new(
        TopicName::parse(topic).unwrap(),
        SubscriptionName::parse(name).unwrap(),
        Target::Queue(QueueName::parse("q").unwrap()),
        Timestamp::from_millis(7),
    )
}

fn records(version: u64) -> Records {
    Records {
        version,
        rules: vec![
            rule(Product::Oss, "films", true),
            rule(Product::Oss, "DefaultEnRule", false),
            rule(Product::Mail, "films", true),
        ],
        topics: vec![topic("news"), topic("empty")],
        subscriptions: vec![
            subscription("news", "a"),
            subscription("other", "a"),
            subscription("news", "b"),
        ],
    }
}

#[test]
fn what_was_stored_is_found_by_name() {
    let snapshot = Snapshot::build(records(9));
    let rule = |product: &Product, name: &str| {
        let found = snapshot.rule(product, &RuleName::parse(name).unwrap());
        found.map(|rule| (rule.product.clone(), rule.name.to_string()))
    };
    assert_eq!(snapshot.version(), 9);
    for (product, name, there) in [
        (Product::Oss, "films", true),
        (Product::Mail, "films", true),
        (Product::Vision, "films", false),
        (Product::Oss, "DefaultEnRule", true),
        (Product::Mail, "DefaultEnRule", false),
        (Product::Oss, "film", false),
    ] {
        let want = there.then(|| (product.clone(), name.to_owned()));
        assert_eq!(rule(&product, name), want);
    }
    let products: Vec<(&Product, usize)> = snapshot
        .products()
        .map(|(product, set)| (product, set.rules().len()))
        .collect();
    assert_eq!(products, [(&Product::Oss, 1), (&Product::Mail, 1)]);
    assert_eq!(snapshot.rule_set(&Product::Oss).rules().len(), 1);
    assert_eq!(snapshot.rule_set(&Product::Vision).rules().len(), 0);

    let name = |text: &str| TopicName::parse(text).unwrap();
    assert_eq!(snapshot.topic(&name("news")).unwrap().name, name("news"));
    assert!(snapshot.topic(&name("other")).is_none());
    let mut topics: Vec<&str> = snapshot.topics().map(|topic| topic.name.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["empty", "news"]);

    let names = |topic: &str| -> Vec<String> {
        let found = snapshot.subscriptions(&name(topic));
        found.iter().map(|found| found.name.to_string()).collect()
    };
    assert_eq!(names("news"), ["a", "b"]);
    assert_eq!(names("other"), ["a"]);
    assert!(names("empty").is_empty());
    let one = |topic: &str, of: &str| {
        let found = snapshot.subscription(&name(topic), &SubscriptionName::parse(of).unwrap());
        found.map(|found| (found.topic.to_string(), found.name.to_string()))
    };
    assert_eq!(one("news", "b"), Some(("news".into(), "b".into())));
    assert_eq!(one("other", "b"), None);
}

#[test]
fn who_is_told_of_an_event() {
    let judged = |rules: Vec<Rule>, event_type: &str| -> Vec<String> {
        let snapshot = Snapshot::build(Records {
            rules,
            ..Records::default()
        });
        let mut hits = Vec::new();
        let set = snapshot.rule_set(&Product::Oss);
        set.judge(event_type, "b/k", &mut hits)
            .map(|rule| rule.name.to_string())
            .collect()
    };
    let films = || rule(Product::Oss, "films", true);
    let default = |enabled| rule(Product::Oss, "DefaultEnRule", enabled);
    let (covered, other) = ("ObjectCreated:PutObject", "ObjectRemoved:DeleteObject");
    assert_eq!(judged(vec![films(), default(true)], covered), ["films"]);
    assert_eq!(
        judged(vec![films(), default(true)], other),
        ["DefaultEnRule"]
    );
    assert!(judged(vec![films(), default(false)], other).is_empty());
    assert!(judged(vec![films()], other).is_empty());
}

/// A store whose version moves when told to, and that counts what it is asked.
#[derive(Default)]
struct Store {
    version: AtomicU64,
    loads: AtomicUsize,
    broken: Mutex<Option<StoreError>>,
}

#[async_trait::async_trait]
impl RuleStore for Store {
    async fn version(&self) -> Result<u64, StoreError> {
        match self.broken.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(self.version.load(Ordering::Relaxed)),
        }
    }

    async fn load(&self) -> Result<Records, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(records(self.version.load(Ordering::Relaxed)))
    }

    async fn commit(&self, _: u64, _: Vec<Change>) -> Result<u64, CommitError> {
        unreachable!("a cache changes nothing")
    }
}

#[test]
fn the_cache_loads_when_the_version_moves_and_at_no_other_time() {
    let store = Arc::new(Store::default());
    let cache = SnapshotCache::new(store.clone());
    // Version 0 is the empty store: there is nothing to load.
    for (version, loads) in [(0, 0), (1, 1), (1, 1), (2, 2), (2, 2), (1, 2), (5, 3)] {
        store.version.store(version, Ordering::Relaxed);
        let held = ready(cache.current()).unwrap();
        let newest = if loads == 2 { 2 } else { version };
        assert_eq!(held.version(), newest);
        assert_eq!(
            store.loads.load(Ordering::Relaxed),
            loads,
            "at version {version}"
        );
    }
    let error = StoreError("away".into());
    *store.broken.lock().unwrap() = Some(error.clone());
    assert_eq!(ready(cache.current()).err(), Some(error));
}

#[test]
fn what_a_subscription_lets_pass() {
    let mut held = subscription("news", "a");
    assert!(held.admits(None) && held.admits(Some("red")));
    held.filter_tag = Some("red".into());
    assert!(held.admits(Some("red")));
    assert!(!held.admits(Some("blue")) && !held.admits(Some("re")) && !held.admits(None));
}

#[test]
fn subscriptions_begin_with_the_vendor_s_defaults() {
    let made = subscription("news", "a");
    assert_eq!(made.format, ContentFormat::Xml);
    assert_eq!(made.strategy, NotifyStrategy::BackoffRetry);
    assert_eq!(made.timeout(), Duration::from_secs(5));
    assert!(!made.auto_made);
    assert_eq!(
        (made.created, made.modified),
        (Timestamp::from_millis(7), Timestamp::from_millis(7))
    );
    let auto = Subscription::auto(
        made.topic.clone(),
        made.name.clone(),
        made.target.clone(),
        made.created,
    );
    assert_eq!(
        auto,
        Subscription {
            auto_made: true,
            format: ContentFormat::Simplified,
            ..made.clone()
        }
    );
    assert_eq!(
        Duration::from_secs(30),
        Subscription {
            timeout_seconds: 30,
            ..made
        }
        .timeout()
    );
}

#[test]
fn records_of_earlier_releases_are_read_with_the_defaults() {
    let read: Subscription = serde_json::from_str(
        r#"{"topic":"news","name":"a","target":{"queue":"q"},"created":7,"modified":7}"#,
    )
    .unwrap();
    assert_eq!(read, subscription("news", "a"));
    let json = serde_json::to_string(&read).unwrap();
    assert!(!json.contains("webhook_keys"), "{json}");
    let rotated = Subscription {
        webhook_keys: read.webhook_keys.rotated(Timestamp::default()),
        ..read
    };
    let json = serde_json::to_string(&rotated).unwrap();
    assert_eq!(
        serde_json::from_str::<Subscription>(&json).unwrap(),
        rotated
    );
    let read: Topic = serde_json::from_str(r#"{"name":"news","created":0,"modified":0}"#).unwrap();
    assert_eq!(read, topic("news"));
}
