//! Records as items, and back. Pure.

use super::{Head, Item};
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::ports::{Change, StoreError};
use serde::{Deserialize, Serialize};

pub(super) const RULES: &str = "rules";
pub(super) const TOPICS: &str = "topics";
pub(super) const SUBSCRIPTIONS: &str = "subscriptions";

/// A change as the table sees it: what lies under a key from now on. Also the form in which a journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Write {
    pub(super) pk: String,
    pub(super) sk: String,
    /// The record as JSON; none deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doc: Option<String>,
}

impl Write {
    /// Bytes the change takes in a transaction, near enough.
    pub(super) fn len(&self) -> usize {
        self.pk.len() + self.sk.len() + self.doc.as_ref().map_or(0, String::len) + 64
    }
}

fn put(pk: &str, sk: String, record: &impl Serialize) -> Write {
    let doc = serde_json::to_string(record)
        .expect("rules, topics and subscriptions have only string keys and finite numbers");
    Write {
        pk: pk.to_owned(),
        sk,
        doc: Some(doc),
    }
}

fn delete(pk: &str, sk: String) -> Write {
    Write {
        pk: pk.to_owned(),
        sk,
        doc: None,
    }
}

fn write(change: &Change) -> Write {
    match change {
        Change::PutRule(rule) => put(RULES, format!("{}#{}", rule.product, rule.name), rule),
        Change::DeleteRule(product, name) => delete(RULES, format!("{product}#{name}")),
        Change::PutTopic(topic) => put(TOPICS, topic.name.to_string(), topic),
        Change::DeleteTopic(name) => delete(TOPICS, name.to_string()),
        Change::PutSubscription(held) => {
            put(SUBSCRIPTIONS, format!("{}#{}", held.topic, held.name), held)
        }
        Change::DeleteSubscription(topic, name) => delete(SUBSCRIPTIONS, format!("{topic}#{name}")),
    }
}

/// The changes as writes. A transaction names no item twice, so of several changes of one record the last stands.
pub(super) fn writes(changes: &[Change]) -> Vec<Write> {
    let mut seen = std::collections::HashSet::new();
    let mut all: Vec<Write> = changes
        .iter()
        .rev()
        .map(write)
        .filter(|write| seen.insert((write.pk.clone(), write.sk.clone())))
        .collect();
    all.reverse();
    all
}

pub(super) fn key(pk: &str, sk: &str) -> Item {
    Item::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
    ])
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
}

pub(super) fn head(item: &Item) -> Result<Head, StoreError> {
    let version = item
        .get("v")
        .and_then(|value| value.as_n().ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            StoreError(
                "the version item has no number `v`: the table was written by something else"
                    .to_owned(),
            )
        })?;
    Ok(Head {
        version,
        by: text(item, "by").unwrap_or_default().to_owned(),
        journal: text(item, "journal").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_core::event::Timestamp;
    use carillon_core::topic::{Subscription, SubscriptionName, Target, Topic, TopicName};

    fn topic(name: &str, size: u32) -> Topic {
        let at = Timestamp::from_millis(0);
        Topic {
            name: TopicName::parse(name).unwrap(),
            made_for: None,
            created: at,
            modified: at,
            max_message_size: size,
            logging: false,
        }
    }

    #[test]
    fn of_several_changes_of_one_record_the_last_stands_and_the_order_is_kept() {
        let name = |text: &str| TopicName::parse(text).unwrap();
        let subscription = Subscription::new(
            name("b"),
            SubscriptionName::parse("s").unwrap(),
            Target::Http("https://example.com".to_owned()),
            Timestamp::from_millis(0),
        );
        let writes = writes(&[
            Change::PutTopic(topic("a", 2048)),
            Change::PutSubscription(subscription),
            Change::DeleteTopic(name("a")),
            Change::PutTopic(topic("b", 2048)),
        ]);
        let seen: Vec<(&str, &str, bool)> = writes
            .iter()
            .map(|write| (write.pk.as_str(), write.sk.as_str(), write.doc.is_some()))
            .collect();
        assert_eq!(
            seen,
            [
                (SUBSCRIPTIONS, "b#s", true),
                (TOPICS, "a", false),
                (TOPICS, "b", true)
            ]
        );
    }

    #[test]
    fn a_version_item_without_number_is_an_error_and_not_version_0() {
        let item = Item::from([("v".to_owned(), AttributeValue::S("7".to_owned()))]);
        assert!(head(&item).is_err());
    }

    #[test]
    fn the_version_item_is_read_whole() {
        let item = Item::from([
            ("v".to_owned(), AttributeValue::N("7".to_owned())),
            ("by".to_owned(), AttributeValue::S("x".to_owned())),
            ("journal".to_owned(), AttributeValue::S("j".to_owned())),
        ]);
        let expected = Head {
            version: 7,
            by: "x".to_owned(),
            journal: Some("j".to_owned()),
        };
        assert_eq!(head(&item).unwrap(), expected);
    }
}
