//! One attempt at a queue, for all deliveries of a batch that go to it.

use crate::Ports;
use crate::batch::Job;
use crate::circuit::Permit;
use carillon_core::delivery::Outcome;
use carillon_core::ports::{OutgoingMessage, QueueError};
use carillon_core::push::{Push, body, outcome};
use carillon_core::topic::{QueueName, Subscription};
use std::sync::Arc;

/// Sends all of them in one call. One outcome for each, in order.
pub(crate) async fn attempt(
    ports: &Ports,
    queue: &QueueName,
    jobs: &[(Job, Arc<Subscription>, Permit)],
) -> Vec<Outcome> {
    let messages = jobs
        .iter()
        .map(|(job, subscription, _)| {
            let push = Push {
                notification: &job.delivery.notification,
                subscription,
                account: &ports.settings.account,
            };
            OutgoingMessage {
                id: Some(job.delivery.notification.message_id),
                ..OutgoingMessage::new(body::render(&push))
            }
        })
        .collect();
    let mut results = ports.queues.send(queue, messages).await.into_iter();
    jobs.iter()
        .map(|_| {
            // A sender that answers short has not said that the rest is durable.
            let silent = || {
                Err(QueueError::Unavailable(
                    "the queue gave no answer for this message".to_owned(),
                ))
            };
            outcome::of_queue(
                results.next().unwrap_or_else(silent),
                ports.settings.outcomes,
            )
        })
        .collect()
}
