//! Making and unmaking users' queues.

use super::names::{Queues, failure};
use aws_sdk_sqs::types::QueueAttributeName as Name;
use carillon_core::event::Timestamp;
use carillon_core::ports::{QueueAdmin, QueueAttributes, QueueError, QueueStatistics, UserQueue};
use carillon_core::topic::QueueName;
use std::collections::HashMap;
use tokio::task::JoinSet;

/// Tags that keep what SQS has no attribute for.
const TAG_WAIT: &str = "carillon:polling-wait-seconds";
const TAG_LOGGING: &str = "carillon:logging-enabled";
/// Longest delay and longest wait that SQS takes, seconds (SQS SetQueueAttributes).
const MAX_DELAY: u32 = 900;
const MAX_WAIT: u32 = 20;
/// Queues looked at at once when listing.
const AT_ONCE: usize = 16;

type Attributes = HashMap<Name, String>;

impl Queues {
    async fn sqs_attributes(
        &self,
        queue: &QueueName,
        attributes: &QueueAttributes,
    ) -> Result<Attributes, QueueError> {
        if attributes.delay_seconds > MAX_DELAY {
            return Err(QueueError::Refused(format!(
                "DelaySeconds {} of queue {:?}: a queue of SQS delays by at most {MAX_DELAY} s",
                attributes.delay_seconds,
                queue.as_str()
            )));
        }
        let mut all = Attributes::from([
            (Name::DelaySeconds, attributes.delay_seconds.to_string()),
            (
                Name::MaximumMessageSize,
                attributes.maximum_message_size.to_string(),
            ),
            (
                Name::MessageRetentionPeriod,
                attributes.message_retention_period.to_string(),
            ),
            (
                Name::VisibilityTimeout,
                attributes.visibility_timeout.to_string(),
            ),
            (
                Name::ReceiveMessageWaitTimeSeconds,
                attributes.polling_wait_seconds.min(MAX_WAIT).to_string(),
            ),
        ]);
        let redrive = match &attributes.dead_letter_queue {
            None => String::new(),
            Some(target) => {
                let arn = self.arn(target).await?;
                let count = attributes.max_receive_count.unwrap_or(16);
                serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": count})
                    .to_string()
            }
        };
        all.insert(Name::RedrivePolicy, redrive);
        Ok(all)
    }

    async fn arn(&self, queue: &QueueName) -> Result<String, QueueError> {
        let url = self.url(queue).await?;
        let mut all = self.raw_attributes(queue, &url).await?;
        all.remove(&Name::QueueArn)
            .ok_or_else(|| QueueError::Unavailable("SQS named no ARN for the queue".to_owned()))
    }

    async fn raw_attributes(&self, queue: &QueueName, url: &str) -> Result<Attributes, QueueError> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(Name::All)
            .send()
            .await
            .map_err(|error| failure(queue, &error))?;
        Ok(answer.attributes.unwrap_or_default())
    }

    async fn look_at(&self, queue: &QueueName, url: &str) -> Result<UserQueue, QueueError> {
        let tags = async {
            let answer = self.client.list_queue_tags().queue_url(url).send().await;
            answer.map_err(|error| failure(queue, &error))
        };
        let (raw, tags) = tokio::try_join!(self.raw_attributes(queue, url), tags)?;
        Ok(self.read(queue, &raw, &tags.tags.unwrap_or_default()))
    }

    fn read(
        &self,
        queue: &QueueName,
        raw: &Attributes,
        tags: &HashMap<String, String>,
    ) -> UserQueue {
        fn number<T: std::str::FromStr + Default>(text: Option<&String>) -> T {
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        }
        let attribute = |name: Name| number::<u32>(raw.get(&name));
        let count = |name: Name| number::<u64>(raw.get(&name));
        let time =
            |name: Name| Timestamp::from_millis(number::<i64>(raw.get(&name)).saturating_mul(1000));
        let redrive: serde_json::Value = raw
            .get(&Name::RedrivePolicy)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let max_receive_count = match &redrive["maxReceiveCount"] {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|count| u32::try_from(count).ok()),
        };
        let dead_letter_queue = redrive["deadLetterTargetArn"]
            .as_str()
            .and_then(|arn| arn.rsplit(':').next())
            .and_then(|name| name.strip_prefix(&self.prefix))
            .and_then(|name| QueueName::parse(name).ok());
        UserQueue {
            name: queue.clone(),
            attributes: QueueAttributes {
                delay_seconds: attribute(Name::DelaySeconds),
                maximum_message_size: attribute(Name::MaximumMessageSize),
                message_retention_period: attribute(Name::MessageRetentionPeriod),
                visibility_timeout: attribute(Name::VisibilityTimeout),
                polling_wait_seconds: match tags.get(TAG_WAIT) {
                    Some(wait) => number(Some(wait)),
                    None => attribute(Name::ReceiveMessageWaitTimeSeconds),
                },
                logging_enabled: tags.get(TAG_LOGGING).is_some_and(|text| text == "true"),
                max_receive_count,
                dead_letter_queue,
            },
            created: time(Name::CreatedTimestamp),
            modified: time(Name::LastModifiedTimestamp),
            statistics: QueueStatistics {
                active: count(Name::ApproximateNumberOfMessages),
                inactive: count(Name::ApproximateNumberOfMessagesNotVisible),
                delayed: count(Name::ApproximateNumberOfMessagesDelayed),
            },
        }
    }
}

fn tags(attributes: &QueueAttributes) -> HashMap<String, String> {
    let mut tags = HashMap::from([(
        TAG_LOGGING.to_owned(),
        attributes.logging_enabled.to_string(),
    )]);
    tags.insert(
        TAG_WAIT.to_owned(),
        attributes.polling_wait_seconds.to_string(),
    );
    tags
}

#[async_trait::async_trait]
impl QueueAdmin for Queues {
    async fn create(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<bool, QueueError> {
        match self.find(queue).await {
            Ok(url) => {
                let held = self.look_at(queue, &url).await?;
                return if held.attributes == attributes {
                    Ok(false)
                } else {
                    Err(QueueError::AlreadyExist(queue.to_string()))
                };
            }
            Err(QueueError::NotExist(_)) => {}
            Err(error) => return Err(error),
        }
        let mut wanted = self.sqs_attributes(queue, &attributes).await?;
        wanted.insert(Name::SqsManagedSseEnabled, "true".to_owned());
        // A new queue has no redrive policy; an empty one is refused at creation.
        wanted.retain(|_, value| !value.is_empty());
        self.client
            .create_queue()
            .queue_name(self.sqs_name(queue)?)
            .set_attributes(Some(wanted))
            .set_tags(Some(tags(&attributes)))
            .send()
            .await
            .map_err(|error| failure(queue, &error))?;
        self.forget(queue);
        Ok(true)
    }

    async fn set_attributes(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<(), QueueError> {
        let url = self.url(queue).await?;
        let wanted = self.sqs_attributes(queue, &attributes).await?;
        self.client
            .set_queue_attributes()
            .queue_url(&url)
            .set_attributes(Some(wanted))
            .send()
            .await
            .map_err(|error| failure(queue, &error))?;
        self.client
            .tag_queue()
            .queue_url(&url)
            .set_tags(Some(tags(&attributes)))
            .send()
            .await
            .map_err(|error| failure(queue, &error))?;
        self.forget(queue);
        Ok(())
    }

    async fn get(&self, queue: &QueueName) -> Result<UserQueue, QueueError> {
        let url = self.find(queue).await?;
        self.look_at(queue, &url).await
    }

    async fn delete(&self, queue: &QueueName) -> Result<bool, QueueError> {
        let url = match self.find(queue).await {
            Ok(url) => url,
            Err(QueueError::NotExist(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.forget(queue);
        match self.client.delete_queue().queue_url(url).send().await {
            Ok(_) => Ok(true),
            Err(error) => match failure(queue, &error) {
                QueueError::NotExist(_) => Ok(false),
                other => Err(other),
            },
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<UserQueue>, QueueError> {
        let mut pages = self
            .client
            .list_queues()
            .queue_name_prefix(format!("{}{prefix}", self.prefix))
            .max_results(1000)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| QueueError::Unavailable(crate::clients::explain(&error)))?;
            found.extend(
                page.queue_urls
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|url| {
                        let name = url.rsplit('/').next()?.strip_prefix(&self.prefix)?;
                        // A queue whose name MNS would not know (an underscore, a FIFO queue) is none of ours.
                        Some((QueueName::parse(name).ok()?, url))
                    }),
            );
        }
        let mut queues = Vec::with_capacity(found.len());
        for chunk in found.chunks(AT_ONCE) {
            let mut looks = JoinSet::new();
            for (name, url) in chunk {
                let (queues, name, url) = (self.clone(), name.clone(), url.clone());
                looks.spawn(async move { queues.look_at(&name, &url).await });
            }
            while let Some(look) = looks.join_next().await {
                match look.map_err(|error| QueueError::Unavailable(error.to_string()))? {
                    Ok(queue) => queues.push(queue),
                    // Deleted since it was listed.
                    Err(QueueError::NotExist(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queues)
    }
}
