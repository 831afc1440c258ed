//! Sending: ten entries to a request, several requests at once, and a result for each entry.

use super::batch::{MAX_REQUEST_BYTES, requests, sqs_delay};
use super::names::{Queues, failure};
use super::properties::attributes;
use super::text::sendable;
use crate::Clients;
use crate::clients::Lazy;
use crate::settings::StageUrls;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use carillon_core::event::IdentityHasher;
use carillon_core::ports::{OutgoingMessage, QueueError, QueueSender, Random, Stage, StageSender};
use carillon_core::topic::QueueName;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most requests under way at once for one call.
const AT_ONCE: usize = 8;
/// How often entries are sent that SQS did not take by its own fault, the first time included.
const TRIES: u32 = 3;
/// Longest group of a fair queue, in characters (SQS SendMessage: `MessageGroupId`).
const LONGEST_GROUP: usize = 128;

/// The queues between the stages.
#[derive(Clone, Debug)]
pub struct StageQueues {
    client: Lazy<Client>,
    urls: StageUrls,
    trace: Arc<RwLock<Option<String>>>,
}

impl StageQueues {
    /// The queues at these URLs.
    #[must_use]
    pub fn new(clients: &Clients, urls: StageUrls) -> Self {
        StageQueues {
            client: clients.sqs().clone(),
            urls,
            trace: Arc::default(),
        }
    }

    /// From now on messages carry this trace (`X-Amzn-Trace-Id`), so that the next stage's trace hangs on this one's.
    pub fn follow_trace(&self, trace: Option<String>) {
        *self.trace.write().unwrap_or_else(PoisonError::into_inner) = trace;
    }
}

#[async_trait::async_trait]
impl StageSender for StageQueues {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let name = stage.as_str();
        let Some(url) = self.urls.of(stage) else {
            let missing = format!(
                "the URL of the {name} queue is not set: set {}",
                StageUrls::variable(stage)
            );
            return messages
                .iter()
                .map(|_| Err(QueueError::Unavailable(missing.clone())))
                .collect();
        };
        let trace = self
            .trace
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let queue = QueueName::parse(name).expect("stage names are letters");
        send_all(&self.client, url, &queue, messages, trace.as_deref())
            .await
            .into_iter()
            .map(|result| result.map(drop))
            .collect()
    }
}

#[async_trait::async_trait]
impl QueueSender for Queues {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        let url = match self.url(queue).await {
            Ok(url) => url,
            Err(error) => return messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let results = send_all(&self.client, &url, queue, messages, None).await;
        if results
            .iter()
            .any(|result| matches!(result, Err(QueueError::NotExist(_))))
        {
            self.forget(queue);
        }
        results
            .into_iter()
            .map(|result| result.map(|id| message_id(&id)))
            .collect()
    }
}

/// SQS's message id (a UUID) in MNS's form: 32 upper-case hex digits.
pub(super) fn message_id(id: &str) -> String {
    id.chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// A group as SQS takes it: a long one keeps its beginning, and a hash keeps it apart from others.
fn group(group: String) -> String {
    if group.len() <= LONGEST_GROUP && group.is_ascii() {
        return group;
    }
    let hash = IdentityHasher::new("group").part(&group).finish();
    let head: String = group
        .chars()
        .filter(char::is_ascii_graphic)
        .take(LONGEST_GROUP - 33)
        .collect();
    format!("{head}-{}", hash.message_id(""))
}

type Results = Vec<Result<String, QueueError>>;

/// Sends messages to one queue. One result for each, in order.
async fn send_all(
    client: &Client,
    url: &str,
    queue: &QueueName,
    messages: Vec<OutgoingMessage>,
    trace: Option<&str>,
) -> Results {
    let mut results: Vec<Option<Result<String, QueueError>>> = Vec::new();
    results.resize_with(messages.len(), || None);
    let mut entries: Vec<(usize, SendMessageBatchRequestEntry)> =
        Vec::with_capacity(messages.len());
    let mut sizes: Vec<usize> = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        // The body may be sent escaped; the properties are sent as they are, or smaller.
        let beside = message.size() - message.body.len();
        match entry(index, queue, message, trace) {
            Ok(entry) => {
                sizes.push(entry.message_body().len() + beside);
                entries.push((index, entry));
            }
            Err(error) => results[index] = Some(Err(error)),
        }
    }
    let mut tasks = JoinSet::new();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut entries = entries.into_iter();
    for request in requests(&sizes) {
        let sender = Sender {
            client: client.clone(),
            url: url.to_owned(),
            queue: queue.clone(),
        };
        let entries: Vec<_> = entries.by_ref().take(request.len()).collect();
        let slots = slots.clone();
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            sender.send(entries).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        // A task that panicked leaves its entries without an answer, which the last line reports.
        for (index, result) in done.unwrap_or_default() {
            results[index] = Some(result);
        }
    }
    results
        .into_iter()
        .map(|result| {
            result.unwrap_or_else(|| {
                Err(QueueError::Unavailable(
                    "SQS gave no answer for this message".to_owned(),
                ))
            })
        })
        .collect()
}

fn entry(
    index: usize,
    queue: &QueueName,
    message: OutgoingMessage,
    trace: Option<&str>,
) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let properties = attributes(&message.properties)?;
    let beside = message.size() - message.body.len();
    let body = match sendable(&message.body) {
        Ok(std::borrow::Cow::Borrowed(_)) => message.body,
        Ok(std::borrow::Cow::Owned(escaped)) => escaped,
        Err(c) => {
            return Err(QueueError::Refused(format!(
                "the message holds U+{:04X}, which SQS does not take in a body: publish it as Base64",
                u32::from(c)
            )));
        }
    };
    if body.is_empty() {
        return Err(QueueError::Refused(
            "the message is empty, and SQS takes no empty message: publish a body".to_owned(),
        ));
    }
    if body.len() + beside > MAX_REQUEST_BYTES {
        return Err(QueueError::TooLarge {
            queue: queue.to_string(),
            len: body.len() + beside,
            limit: u32::try_from(MAX_REQUEST_BYTES).expect("1 MiB fits"),
        });
    }
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .set_message_attributes(properties);
    if !message.delay.is_zero() || message.at_once {
        entry = entry.delay_seconds(sqs_delay(message.delay));
    }
    if let Some(name) = message.group.filter(|name| !name.is_empty()) {
        entry = entry.message_group_id(group(name));
    }
    if let Some(trace) = trace {
        let value = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(trace)
            .build()
            .expect("the data type is set");
        entry = entry
            .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    }
    Ok(entry.build().expect("id and body are set"))
}

/// The limit in SQS's words for a body too large for its queue: "... Message must be shorter than 1024 bytes." It has
/// no code of its own for that.
fn shorter_than(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("must be shorter than ")?;
    rest.split(' ').next()?.parse().ok()
}

struct Sender {
    client: Client,
    url: String,
    queue: QueueName,
}

impl Sender {
    /// Sends one request's entries until each is taken, refused, or out of tries.
    async fn send(
        &self,
        mut entries: Vec<(usize, SendMessageBatchRequestEntry)>,
    ) -> Vec<(usize, Result<String, QueueError>)> {
        let mut done = Vec::with_capacity(entries.len());
        for attempt in 1..=TRIES {
            let answer = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(
                    entries.iter().map(|(_, entry)| entry.clone()).collect(),
                ))
                .send()
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    let error = failure(&self.queue, &error);
                    done.extend(
                        entries
                            .into_iter()
                            .map(|(index, _)| (index, Err(error.clone()))),
                    );
                    return done;
                }
            };
            let mut again = Vec::new();
            for (index, entry) in entries {
                if let Some(taken) = answer
                    .successful()
                    .iter()
                    .find(|held| held.id() == entry.id())
                {
                    done.push((index, Ok(taken.message_id().to_owned())));
                    continue;
                }
                let failed = answer.failed().iter().find(|held| held.id() == entry.id());
                let text = failed.map_or_else(
                    || "SQS gave no answer for this message".to_owned(),
                    |failed| {
                        format!(
                            "{}: {}",
                            failed.code(),
                            failed.message().unwrap_or_default()
                        )
                    },
                );
                if failed.is_some_and(|failed| failed.sender_fault()) {
                    let error = match shorter_than(&text) {
                        Some(limit) => QueueError::TooLarge {
                            queue: self.queue.to_string(),
                            len: entry.message_body().len(),
                            limit,
                        },
                        None => QueueError::Refused(text),
                    };
                    done.push((index, Err(error)));
                } else if attempt == TRIES {
                    done.push((index, Err(QueueError::Unavailable(text))));
                } else {
                    again.push((index, entry));
                }
            }
            if again.is_empty() {
                break;
            }
            entries = again;
            let spread = crate::world::SystemRandom::default().draw() % 100;
            tokio::time::sleep(Duration::from_millis((50 << attempt) + spread)).await;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_groups_keep_their_beginning_and_stay_apart() {
        let short = "topic/subscription".to_owned();
        assert_eq!(group(short.clone()), short);
        let (a, b) = (
            format!("{}a", "x".repeat(300)),
            format!("{}b", "x".repeat(300)),
        );
        let (a, b) = (group(a), group(b));
        assert_ne!(a, b);
        assert!(a.len() <= LONGEST_GROUP && a.starts_with("xxx"));
    }

    #[test]
    fn ids_take_the_form_of_mns() {
        assert_eq!(
            message_id("5fea7756-0ea4-451a-a703-a558b933e274"),
            "5FEA77560EA4451AA703A558B933E274"
        );
    }
}
