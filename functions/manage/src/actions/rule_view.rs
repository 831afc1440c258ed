//! A rule as GetEventRule and ListEventRules show it.

use crate::ledger::View;
use carillon_core::rule::{
    Clause, DEFAULT_EVENT_TYPE, DEFAULT_RESOURCE, ResourcePattern, Resources, Rule,
};
use carillon_core::topic::{Subscription, Target};
use serde_json::{Map, Value, json};

/// Most subscriptions shown with a rule (ListEventRules).
const SHOWN: usize = 20;

/// The rule's members: the vendor's, and after them ours (`ProductName`, `Enabled`, `CreateTime` in epoch seconds).
pub(crate) fn rule(rule: &Rule, view: &View) -> Value {
    let mut data = Map::new();
    data.insert("RuleName".into(), json!(rule.name));
    data.insert("EventTypes".into(), event_types(rule));
    data.insert("MatchRules".into(), match_rules(rule));
    data.insert("Subscriptions".into(), subscriptions(rule, view));
    if let [only] = rule.endpoints.as_slice() {
        data.insert("Endpoint".into(), endpoint(only.kind.as_str(), &only.value));
    }
    if let Some(topic) = &rule.topic {
        data.insert("TopicName".into(), json!(topic));
    }
    data.insert("DeliveryMode".into(), json!("BROADCAST"));
    data.insert("ProductName".into(), json!(rule.product));
    data.insert("Enabled".into(), json!(rule.enabled));
    data.insert(
        "CreateTime".into(),
        json!(rule.created.as_millis().div_euclid(1000)),
    );
    Value::Object(data)
}

fn endpoint(kind: &str, value: &str) -> Value {
    json!({ "EndpointType": kind, "EndpointValue": value })
}

fn event_types(rule: &Rule) -> Value {
    if rule.is_default() {
        json!([DEFAULT_EVENT_TYPE])
    } else {
        json!(rule.event_types)
    }
}

fn match_rules(rule: &Rule) -> Value {
    match &rule.resources {
        _ if rule.is_default() => json!([[{ "MatchState": true, "Name": DEFAULT_RESOURCE }]]),
        Resources::All => json!([]),
        Resources::AnyOf(any) => any
            .iter()
            .map(|all| all.iter().map(clause).collect::<Value>())
            .collect(),
    }
}

fn clause(clause: &Clause) -> Value {
    let mut data = Map::new();
    data.insert("MatchState".into(), json!(!clause.negated));
    match &clause.pattern {
        ResourcePattern::Name(name) => {
            data.insert("Name".into(), json!(name));
        }
        ResourcePattern::Ends { prefix, suffix } => {
            // A pattern of two empty ends must still show one: the whole is what it covers.
            if !prefix.is_empty() || suffix.is_empty() {
                data.insert("Prefix".into(), json!(prefix));
            }
            if !suffix.is_empty() {
                data.insert("Suffix".into(), json!(suffix));
            }
        }
    }
    Value::Object(data)
}

/// Who is told: the rule's own endpoints in their order, then whoever else hangs on its topic.
fn subscriptions(rule: &Rule, view: &View) -> Value {
    let own = rule.endpoints.iter().filter(|own| !own.is_own_topic());
    let own = own.map(|own| endpoint(own.kind.as_str(), &own.value));
    let others = rule
        .topic
        .iter()
        .flat_map(|topic| view.subscriptions_of(topic))
        .filter(|subscription| !subscription.auto_made)
        .map(|subscription| target(subscription));
    own.chain(others).take(SHOWN).collect()
}

fn target(subscription: &Subscription) -> Value {
    match &subscription.target {
        Target::Http(url) => endpoint("http", url),
        Target::Queue(queue) => endpoint("queue", queue.as_str()),
        Target::Sns(topic) => endpoint("topic", topic.as_str()),
    }
}
