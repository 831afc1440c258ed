//! Receiving from users' queues.

use super::names::{Known, Queues, failure};
use super::properties::properties;
use super::send::message_id;
use crate::clients::TRY;
use crate::world::SystemClock;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, Message, QueueConsumer, QueueError, Receipt};
use carillon_core::topic::QueueName;
use std::time::Duration;

/// Most messages of a reception, and longest wait in seconds (SQS ReceiveMessage).
const MAX_MESSAGES: usize = 10;
const MAX_WAIT: u64 = 20;

impl Queues {
    async fn take(
        &self,
        queue: &QueueName,
        known: &Known,
        max: usize,
        wait: Option<Duration>,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, QueueError> {
        let wait = wait.map(|wait| wait.as_secs_f64().ceil().min(MAX_WAIT as f64) as i32);
        // A receive that waits needs its waiting time on top of what a request may take.
        let patience = TRY + Duration::from_secs(MAX_WAIT);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(patience)
            .operation_timeout(patience)
            .build();
        let answer = self
            .client
            .receive_message()
            .queue_url(&known.url)
            .max_number_of_messages(i32::try_from(max.clamp(1, MAX_MESSAGES)).expect("at most ten"))
            .set_wait_time_seconds(wait)
            .set_visibility_timeout(
                visibility.map(|time| i32::try_from(time.as_secs()).unwrap_or(i32::MAX)),
            )
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .customize()
            .config_override(aws_sdk_sqs::Config::builder().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| self.explain(queue, &error))?;
        let next_visible = SystemClock
            .now()
            .plus(visibility.unwrap_or(known.visibility));
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .map(|message| read(message, next_visible))
            .collect())
    }

    fn explain<E, R>(
        &self,
        queue: &QueueName,
        error: &aws_sdk_sqs::error::SdkError<E, R>,
    ) -> QueueError
    where
        E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let error = failure(queue, error);
        if matches!(error, QueueError::NotExist(_)) {
            self.forget(queue);
        }
        error
    }
}

fn read(message: aws_sdk_sqs::types::Message, next_visible: Timestamp) -> Message {
    let attributes = message.attributes.unwrap_or_default();
    let number = |name: MessageSystemAttributeName| -> Option<i64> {
        attributes.get(&name).and_then(|text| text.parse().ok())
    };
    let enqueued = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
    let first = number(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp);
    let count = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    Message {
        id: message_id(&message.message_id.unwrap_or_default()),
        body: message.body.unwrap_or_default(),
        receipt: message.receipt_handle.map(Receipt),
        enqueued: Timestamp::from_millis(enqueued),
        first_received: Timestamp::from_millis(first.unwrap_or(enqueued)),
        next_visible,
        receive_count: u32::try_from(count).unwrap_or(1),
        priority: Message::DEFAULT_PRIORITY,
        properties: properties(message.message_attributes),
    }
}

#[async_trait::async_trait]
impl QueueConsumer for Queues {
    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<Message>, QueueError> {
        let known = self.look_up(queue).await?;
        let mut messages = self.take(queue, &known, max, wait, None).await?;
        // MNS takes sixteen at once, SQS ten: the rest is asked for without waiting. What was received counts, so a
        // failure of the second request is not one of the reception.
        if max > MAX_MESSAGES && messages.len() == MAX_MESSAGES {
            let rest = self
                .take(
                    queue,
                    &known,
                    max - MAX_MESSAGES,
                    Some(Duration::ZERO),
                    None,
                )
                .await;
            messages.extend(rest.unwrap_or_default());
        }
        Ok(messages)
    }

    /// SQS has no peek: this is a reception with a visibility timeout of 0, and counts as one.
    async fn peek(&self, queue: &QueueName, max: usize) -> Result<Vec<Message>, QueueError> {
        let known = self.look_up(queue).await?;
        let mut messages = self
            .take(
                queue,
                &known,
                max,
                Some(Duration::ZERO),
                Some(Duration::ZERO),
            )
            .await?;
        for message in &mut messages {
            message.receipt = None;
        }
        Ok(messages)
    }

    async fn delete(
        &self,
        queue: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let url = self.url(queue).await?;
        let mut results = Vec::with_capacity(receipts.len());
        for chunk in receipts.chunks(MAX_MESSAGES) {
            let entries = chunk.iter().enumerate().map(|(index, receipt)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&receipt.0)
                    .build()
                    .expect("id and receipt are set")
            });
            let answer = self
                .client
                .delete_message_batch()
                .queue_url(&url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .map_err(|error| self.explain(queue, &error))?;
            results.extend((0..chunk.len()).map(|index| {
                let id = index.to_string();
                match answer.failed().iter().find(|failed| failed.id() == id) {
                    None => Ok(()),
                    Some(failed) if failed.code().ends_with("ReceiptHandleIsInvalid") => {
                        Err(QueueError::ReceiptInvalid)
                    }
                    Some(failed) if failed.sender_fault() => Err(QueueError::ReceiptVoid),
                    Some(failed) => Err(QueueError::Unavailable(failed.code().to_owned())),
                }
            }));
        }
        Ok(results)
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(Receipt, Timestamp), QueueError> {
        let url = self.url(queue).await?;
        self.client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(&receipt.0)
            .visibility_timeout(i32::try_from(visibility.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| self.explain(queue, &error))?;
        // SQS keeps the receipt of a reception; MNS gives a new one, and the old one may serve as it.
        Ok((receipt.clone(), SystemClock.now().plus(visibility)))
    }
}
