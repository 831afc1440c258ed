//! Publishing to topics of SNS: mail, SMS, mobile and Lambda subscribers come with them.

use crate::Clients;
use crate::clients::explain;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;

/// A message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnsError {
    /// Sending again mends nothing: no such topic, no permission, a body that SNS does not take.
    #[error("SNS refuses: {0}")]
    Refused(String),
    /// SNS did not take it now.
    #[error("SNS is not available: {0}")]
    Unavailable(String),
}

/// Publishes to topics of SNS.
#[derive(Clone, Debug)]
pub struct SnsPublisher {
    client: Client,
}

impl SnsPublisher {
    /// A publisher.
    #[must_use]
    pub fn new(clients: &Clients) -> Self {
        SnsPublisher {
            client: clients.sns().clone(),
        }
    }

    /// Publishes one message to the topic of this ARN. `attributes` become message attributes, which SNS's filter
    /// policies can ask for; `group` becomes the fair-queue group of queues that subscribe. Gives SNS's message id.
    ///
    /// # Errors
    /// [`SnsError`].
    pub async fn publish(
        &self,
        topic: &str,
        body: &str,
        attributes: &[(&str, &str)],
        group: Option<&str>,
    ) -> Result<String, SnsError> {
        let mut request = self
            .client
            .publish()
            .topic_arn(topic)
            .message(body)
            .set_message_group_id(group.map(str::to_owned));
        for (name, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(*value)
                .build()
                .expect("the data type is set");
            request = request.message_attributes(*name, value);
        }
        match request.send().await {
            Ok(answer) => Ok(answer.message_id.unwrap_or_default()),
            Err(error) => {
                let code = error.as_service_error().and_then(|held| held.code());
                let hopeless = matches!(
                    code,
                    Some(
                        "NotFound"
                            | "NotFoundException"
                            | "AuthorizationError"
                            | "AuthorizationErrorException"
                            | "InvalidParameter"
                            | "InvalidParameterException"
                            | "InvalidParameterValue"
                            | "EndpointDisabled"
                    )
                );
                let text = explain(&error);
                Err(if hopeless {
                    SnsError::Refused(text)
                } else {
                    SnsError::Unavailable(text)
                })
            }
        }
    }
}
