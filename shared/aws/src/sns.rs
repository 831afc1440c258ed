//! Publishing to topics of SNS: mail, SMS, mobile and Lambda subscribers come with them.

use crate::clients::{Lazy, explain};
use crate::queue::requests_within;
use crate::{Clients, Settings};
use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use carillon_core::ports::{SnsError, SnsMessage, SnsTopics};
use carillon_core::topic::SnsTopic;

/// Most bytes of all messages of a request, attributes included (SNS quotas: 256 KiB).
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Publishes to the topics of SNS that the stack's parameter `TopicPrefix` opens.
#[derive(Clone, Debug)]
pub struct SnsPublisher {
    client: Lazy<Client>,
    region: String,
    account: String,
    prefix: String,
}

impl SnsPublisher {
    /// A publisher for the topics of this account and region whose name begins with the settings' prefix.
    #[must_use]
    pub fn new(clients: &Clients, settings: &Settings) -> Self {
        SnsPublisher {
            client: clients.sns().clone(),
            region: settings.region.clone(),
            account: settings.account.clone(),
            prefix: settings.topic_prefix.clone(),
        }
    }

    /// What the deliver function's permissions cover; asked before a rule is stored, so that no delivery has to die to
    /// tell it.
    fn covered(&self, topic: &SnsTopic) -> Result<(), SnsError> {
        if topic.region() != self.region {
            return Err(SnsError::Denied(format!(
                "the topic is in {}, this stack in {}: SNS takes messages in a topic's own region alone",
                topic.region(),
                self.region
            )));
        }
        if topic.account() != self.account || !topic.name().starts_with(&self.prefix) {
            return Err(SnsError::Denied(format!(
                "the stack may publish to topics of account {} whose name begins with {:?}: name one of those, or change the \
                 stack's parameter TopicPrefix",
                self.account, self.prefix
            )));
        }
        Ok(())
    }

    async fn publish_some(
        &self,
        topic: &SnsTopic,
        messages: &[SnsMessage],
    ) -> Vec<Result<String, SnsError>> {
        let entries = messages.iter().enumerate().map(|(id, message)| {
            let mut entry = PublishBatchRequestEntry::builder()
                .id(id.to_string())
                .message(structured(message))
                .message_structure("json")
                .set_subject(subject(&message.line))
                .set_message_group_id(message.group.clone());
            for (name, value) in &message.attributes {
                let value = MessageAttributeValue::builder()
                    .data_type("String")
                    .string_value(value)
                    .build()
                    .expect("the data type is set");
                entry = entry.message_attributes(*name, value);
            }
            entry.build().expect("the id is set")
        });
        let request = self.client.publish_batch().topic_arn(topic.as_str());
        let request = request.set_publish_batch_request_entries(Some(entries.collect()));
        let silent = || {
            Err(SnsError::Unavailable(
                "there was no answer for this message".to_owned(),
            ))
        };
        match request.send().await {
            Ok(answer) => {
                let mut results: Vec<_> = messages.iter().map(|_| silent()).collect();
                let place = |id: Option<&str>| id.and_then(|id| id.parse::<usize>().ok());
                for taken in answer.successful() {
                    if let Some(slot) = place(taken.id()).and_then(|at| results.get_mut(at)) {
                        *slot = Ok(taken.message_id().unwrap_or_default().to_owned());
                    }
                }
                for failed in answer.failed() {
                    if let Some(slot) = place(Some(failed.id())).and_then(|at| results.get_mut(at))
                    {
                        let text = format!(
                            "{}: {}",
                            failed.code(),
                            failed.message().unwrap_or("refused")
                        );
                        *slot = Err(judge(topic, failed.code(), failed.sender_fault(), text));
                    }
                }
                results
            }
            Err(error) => {
                let code = error.as_service_error().and_then(|held| held.code());
                // A whole request is refused for its topic, its size or a message in it: alone, each message shows
                // which it was.
                let failure = judge(topic, code.unwrap_or_default(), true, explain(&error));
                messages.iter().map(|_| Err(failure.clone())).collect()
            }
        }
    }
}

/// What a code of SNS means; `senders` says whether SNS calls it the sender's fault.
fn judge(topic: &SnsTopic, code: &str, senders: bool, text: String) -> SnsError {
    let code = code.trim_end_matches("Exception");
    if matches!(code, "NotFound" | "TopicNotFound") {
        return SnsError::NotExist(topic.to_string());
    }
    let denied = (code.starts_with("KMS") && code != "KMSThrottling")
        || matches!(
            code,
            "AuthorizationError" | "AccessDenied" | "InvalidSecurity"
        );
    if denied {
        return SnsError::Denied(format!(
            "{text}: SNS does not let this stack publish to {topic}; allow it sns:Publish in the topic's policy, and the use \
             of its key"
        ));
    }
    let refused = matches!(
        code,
        "InvalidParameter"
            | "InvalidParameterValue"
            | "ParameterValueInvalid"
            | "BatchRequestTooLong"
            | "ValidationError"
            | "Validation"
    );
    if refused && senders {
        SnsError::Refused(text)
    } else {
        SnsError::Unavailable(text)
    }
}

#[async_trait::async_trait]
impl SnsTopics for SnsPublisher {
    async fn check(&self, topic: &SnsTopic) -> Result<(), SnsError> {
        self.covered(topic)?;
        let request = self.client.get_topic_attributes().topic_arn(topic.as_str());
        request.send().await.map(drop).map_err(|error| {
            let code = error.as_service_error().and_then(|held| held.code());
            judge(topic, code.unwrap_or_default(), true, explain(&error))
        })
    }

    async fn publish(
        &self,
        topic: &SnsTopic,
        messages: Vec<SnsMessage>,
    ) -> Vec<Result<String, SnsError>> {
        let sizes: Vec<usize> = messages.iter().map(size).collect();
        let mut results = Vec::with_capacity(messages.len());
        for range in requests_within(&sizes, MAX_REQUEST_BYTES) {
            let batch = &messages[range];
            let mut some = self.publish_some(topic, batch).await;
            // One bad message must not take its neighbours with it.
            if batch.len() > 1 && some.iter().all(|r| matches!(r, Err(SnsError::Refused(_)))) {
                some.clear();
                for message in batch {
                    some.extend(
                        self.publish_some(topic, std::slice::from_ref(message))
                            .await,
                    );
                }
            }
            results.extend(some);
        }
        results
    }
}

/// The message as SNS takes one that differs by protocol (SNS Publish: `MessageStructure`): people get the line, programs
/// the body.
fn structured(message: &SnsMessage) -> String {
    if message.line.is_empty() {
        return serde_json::json!({ "default": message.body }).to_string();
    }
    let (body, line) = (&message.body, &message.line);
    serde_json::json!({ "default": body, "email": line, "sms": line }).to_string()
}

/// A mail's subject: below 100 characters, ASCII, no control characters (SNS Publish: `Subject`).
fn subject(line: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    let subject: String = line.chars().map(plain).take(99).collect();
    Some(subject.trim().to_owned()).filter(|subject| !subject.is_empty())
}

/// Bytes that count for SNS's bound.
fn size(message: &SnsMessage) -> usize {
    let attributes = message.attributes.iter();
    let attributes: usize = attributes
        .map(|(name, value)| name.len() + value.len() + "String".len())
        .sum();
    structured(message).len() + message.line.len() + attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let topic = SnsTopic::parse("arn:aws:sns:us-east-1:123456789012:t").unwrap();
        for (code, want) in [
            ("NotFound", "NotExist"),
            ("NotFoundException", "NotExist"),
            ("AuthorizationError", "Denied"),
            ("KMSAccessDenied", "Denied"),
            ("KMSThrottlingException", "Unavailable"),
            ("InvalidParameter", "Refused"),
            ("InvalidParameterException", "Refused"),
            ("ThrottledException", "Unavailable"),
            ("InternalError", "Unavailable"),
            ("", "Unavailable"),
        ] {
            let error = judge(&topic, code, true, "text".to_owned());
            assert!(format!("{error:?}").starts_with(want), "{code}: {error:?}");
        }
        // SNS's own fault passes, whatever it is called.
        let own = judge(&topic, "InvalidParameter", false, String::new());
        assert!(matches!(own, SnsError::Unavailable(_)));
    }
}
