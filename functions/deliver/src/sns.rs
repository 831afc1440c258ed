//! One attempt at a topic of SNS, for all deliveries of a batch that go to it.

use crate::Ports;
use crate::batch::Job;
use crate::circuit::Permit;
use carillon_core::delivery::{Notification, Outcome, OutcomeClass};
use carillon_core::event::Product;
use carillon_core::ports::{SnsError, SnsMessage};
use carillon_core::push::{Push, body, outcome};
use carillon_core::topic::{SnsTopic, Subscription};
use std::sync::Arc;

/// Publishes all of them in one call. One outcome for each, in order.
pub(crate) async fn attempt(
    ports: &Ports,
    topic: &SnsTopic,
    jobs: &[(Job, Arc<Subscription>, Permit)],
) -> Vec<Outcome> {
    let Some(sns) = &ports.sns else {
        let nowhere = Outcome {
            class: OutcomeClass::Hopeless,
            status: None,
            detail:
                "topics of SNS are reached from AWS alone, and this process has no access to them"
                    .to_owned(),
            retry_after: None,
        };
        return vec![nowhere; jobs.len()];
    };
    let messages = jobs
        .iter()
        .map(|(job, subscription, _)| {
            let notification = &job.delivery.notification;
            let push = Push {
                notification,
                subscription,
                account: &ports.settings.account,
            };
            SnsMessage {
                body: body::render(&push),
                line: line(notification),
                attributes: attributes(notification),
                group: None,
            }
        })
        .collect();
    let mut results = sns.publish(topic, messages).await.into_iter();
    jobs.iter()
        .map(|_| {
            // A publisher that answers short has not said that the rest is durable.
            let silent = || {
                Err(SnsError::Unavailable(
                    "there was no answer for this message".to_owned(),
                ))
            };
            outcome::of_sns(
                results.next().unwrap_or_else(silent),
                ports.settings.outcomes,
            )
        })
        .collect()
}

/// What happened, in a line: a storage event's body is Base64, which is nothing to read in a mail.
fn line(notification: &Notification) -> String {
    let resource = match notification.resource.as_str() {
        "" => String::new(),
        resource => format!(" {resource}"),
    };
    format!(
        "{} {}{resource} (rule {}, {})",
        notification.product,
        notification.event_type,
        notification.rule,
        notification.published.to_iso()
    )
}

/// What filter policies can ask for: the body of a storage event is Base64, which no policy looks into. Fewer than ten,
/// the most that a queue which takes messages raw is given.
fn attributes(notification: &Notification) -> Vec<(&'static str, String)> {
    let bucket = match notification.product {
        Product::Oss => notification
            .resource
            .split('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    };
    let mut attributes = vec![
        ("product", notification.product.to_string()),
        ("eventType", notification.event_type.to_string()),
        ("rule", notification.rule.to_string()),
        ("bucket", bucket),
        ("tag", notification.tag.clone().unwrap_or_default()),
        ("messageId", notification.message_id.to_string()),
    ];
    attributes.retain(|(_, value)| !value.is_empty());
    attributes
}
