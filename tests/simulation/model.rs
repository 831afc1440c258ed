//! The naive model that the real code is held against: written from the seeds' words, sharing none of core's matching.

use carillon_core::ports::{Change, Records};
use carillon_core::rule::{EventTypePattern, ResourcePattern, Resources, Rule};
use carillon_core::topic::Subscription;

/// An event as its source means it.
#[derive(Clone, Debug)]
pub(crate) struct SourceEvent {
    /// Canonical type.
    pub(crate) event_type: String,
    /// `bucket/key`; the key holds `e00001`, the event's number.
    pub(crate) resource: String,
    /// The body as it arrives, alone.
    pub(crate) form: Form,
    /// When it was first accepted.
    pub(crate) accepted: u64,
    /// How often its source told it.
    pub(crate) told: u32,
    /// Bytes of ballast.
    pub(crate) ballast: usize,
}

/// How an event arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One of S3's `Records`.
    S3(&'static str),
    /// One of OSS's `events`.
    Oss,
}

/// Whether a rule covers an event (seed 000, 3.2; wildcards: seed 004).
pub(crate) fn covers(rule: &Rule, event_type: &str, resource: &str) -> bool {
    let type_fits = rule.event_types.0.iter().any(|pattern| match pattern {
        EventTypePattern::Name(name) => name.as_str() == event_type,
        EventTypePattern::Group(group) => {
            event_type.split(':').next() == Some(group) && event_type.contains(':')
        }
    });
    let fits = |pattern: &ResourcePattern| match pattern {
        ResourcePattern::Name(name) if !name.contains('/') => {
            resource.split('/').next() == Some(name)
        }
        ResourcePattern::Name(name) => name == resource,
        ResourcePattern::Ends { prefix, suffix } => {
            let (r, p, s) = (resource.as_bytes(), prefix.as_bytes(), suffix.as_bytes());
            r.len() >= p.len()
                && r.len() >= s.len()
                && r[..p.len()] == *p
                && r[r.len() - s.len()..] == *s
        }
    };
    type_fits
        && match &rule.resources {
            Resources::All => true,
            Resources::AnyOf(any) => any.iter().any(|all| {
                all.iter()
                    .all(|clause| fits(&clause.pattern) != clause.negated)
            }),
        }
}

/// The rules that are told: those that cover it, else the enabled default rule.
pub(crate) fn told<'a>(records: &'a Records, event_type: &str, resource: &str) -> Vec<&'a Rule> {
    let enabled = || records.rules.iter().filter(|rule| rule.enabled);
    let mut told: Vec<&Rule> = enabled()
        .filter(|rule| rule.name.as_str() != "DefaultEnRule" && covers(rule, event_type, resource))
        .collect();
    if told.is_empty() {
        told.extend(enabled().filter(|rule| rule.name.as_str() == "DefaultEnRule"));
    }
    told
}

/// The subscriptions that must hear of an event, each with the rule.
pub(crate) fn expected<'a>(
    records: &'a Records,
    event: &SourceEvent,
) -> Vec<(&'a Rule, &'a Subscription)> {
    let mut all = Vec::new();
    for rule in told(records, &event.event_type, &event.resource) {
        for subscription in &records.subscriptions {
            if Some(&subscription.topic) == rule.topic.as_ref() && subscription.filter_tag.is_none()
            {
                all.push((rule, subscription));
            }
        }
    }
    all
}

/// The table after a commit.
pub(crate) fn apply(before: &Records, changes: &[Change]) -> Records {
    let mut after = before.clone();
    after.version += 1;
    for change in changes {
        match change.clone() {
            Change::PutRule(rule) => {
                after
                    .rules
                    .retain(|held| (&held.product, &held.name) != (&rule.product, &rule.name));
                after.rules.push(rule);
            }
            Change::DeleteRule(product, name) => {
                after
                    .rules
                    .retain(|held| (&held.product, &held.name) != (&product, &name));
            }
            Change::PutTopic(topic) => {
                after.topics.retain(|held| held.name != topic.name);
                after.topics.push(topic);
            }
            Change::DeleteTopic(name) => after.topics.retain(|held| held.name != name),
            Change::PutSubscription(subscription) => {
                after.subscriptions.retain(|held| {
                    (&held.topic, &held.name) != (&subscription.topic, &subscription.name)
                });
                after.subscriptions.push(subscription);
            }
            Change::DeleteSubscription(topic, name) => {
                after
                    .subscriptions
                    .retain(|held| (&held.topic, &held.name) != (&topic, &name));
            }
        }
    }
    after
}
