//! Topics of SNS as endpoints: mail, SMS, mobile and Lambda subscribers come with them.

use crate::topic::SnsTopic;

/// A message to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnsMessage {
    /// The body, exactly.
    pub body: String,
    /// The same for people: subscribers by mail and SMS are sent this line in the body's place.
    pub line: String,
    /// Message attributes of type `String`, which filter policies of subscriptions can ask for; none is empty.
    pub attributes: Vec<(&'static str, String)>,
    /// Fair-queue group of standard queues that subscribe (SNS Publish: `MessageGroupId`).
    pub group: Option<String>,
}

/// A message was not taken, or a topic cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnsError {
    /// No such topic.
    #[error("there is no topic {0:?} in SNS: create it, or correct the ARN")]
    NotExist(String),
    /// The topic's policy, its key's policy or our own permissions do not allow it. Says what to do.
    #[error("{0}")]
    Denied(String),
    /// SNS will never take this message.
    #[error("SNS refuses the message: {0}")]
    Refused(String),
    /// SNS did not take it now.
    #[error("SNS is not available: {0}")]
    Unavailable(String),
}

/// Publishes to topics of SNS.
#[async_trait::async_trait]
pub trait SnsTopics: Send + Sync {
    /// Whether a rule may name this topic: that it exists, and that this installation may publish to it.
    async fn check(&self, topic: &SnsTopic) -> Result<(), SnsError>;

    /// Publishes messages. One result for each, in order; `Ok` holds SNS's message id.
    async fn publish(
        &self,
        topic: &SnsTopic,
        messages: Vec<SnsMessage>,
    ) -> Vec<Result<String, SnsError>>;
}
