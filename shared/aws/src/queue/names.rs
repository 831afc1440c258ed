//! Users' queues by name: which SQS queue is meant, and what is remembered of it.

use crate::Clients;
use crate::clients::{Lazy, explain};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use carillon_core::ports::QueueError;
use carillon_core::topic::QueueName;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Longest name of a queue of SQS, in characters (SQS CreateQueue).
const LONGEST_NAME: usize = 80;

/// The users' queues: those queues of SQS whose name begins with a prefix. Queue `resize` under the prefix
/// `carillon-q-` is the SQS queue `carillon-q-resize`, so that the functions need permissions for that prefix alone.
#[derive(Clone, Debug)]
pub struct Queues {
    pub(super) client: Lazy<Client>,
    pub(super) prefix: String,
    known: Arc<RwLock<HashMap<QueueName, Known>>>,
}

/// What is remembered of a queue.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) url: String,
    /// Its visibility timeout, as of the first look.
    pub(super) visibility: Duration,
}

impl Queues {
    /// The queues under this prefix.
    #[must_use]
    pub fn new(clients: &Clients, prefix: &str) -> Self {
        Queues {
            client: clients.sqs().clone(),
            prefix: prefix.to_owned(),
            known: Arc::default(),
        }
    }

    /// The name SQS knows the queue by.
    pub(super) fn sqs_name(&self, queue: &QueueName) -> Result<String, QueueError> {
        let name = format!("{}{queue}", self.prefix);
        if name.len() <= LONGEST_NAME {
            return Ok(name);
        }
        Err(QueueError::Refused(format!(
            "queue name {:?} has {} characters with this installation's prefix {:?}, SQS takes {LONGEST_NAME}: choose a shorter name",
            queue.as_str(),
            name.len(),
            self.prefix
        )))
    }

    pub(super) async fn url(&self, queue: &QueueName) -> Result<String, QueueError> {
        if let Some(known) = self.remembered(queue) {
            return Ok(known.url);
        }
        Ok(self.look_up(queue).await?.url)
    }

    /// What is known of the queue, looked up at the first asking.
    pub(super) async fn look_up(&self, queue: &QueueName) -> Result<Known, QueueError> {
        if let Some(known) = self.remembered(queue) {
            return Ok(known);
        }
        let url = self.find(queue).await?;
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .send()
            .await
            .map_err(|error| failure(queue, &error))?;
        let seconds = attributes
            .attributes()
            .and_then(|all| all.get(&QueueAttributeName::VisibilityTimeout))
            .and_then(|text| text.parse().ok())
            .unwrap_or(30);
        let known = Known {
            url,
            visibility: Duration::from_secs(seconds),
        };
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(queue.clone(), known.clone());
        Ok(known)
    }

    /// Asks SQS where the queue is, whatever is remembered.
    pub(super) async fn find(&self, queue: &QueueName) -> Result<String, QueueError> {
        let answer = self
            .client
            .get_queue_url()
            .queue_name(self.sqs_name(queue)?)
            .send()
            .await
            .map_err(|error| failure(queue, &error))?;
        answer
            .queue_url
            .ok_or_else(|| QueueError::Unavailable("SQS named no URL for the queue".to_owned()))
    }

    fn remembered(&self, queue: &QueueName) -> Option<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(queue)
            .cloned()
    }

    pub(super) fn forget(&self, queue: &QueueName) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(queue);
    }
}

/// What an error of SQS means for this queue.
pub(super) fn failure<E, R>(
    queue: &QueueName,
    error: &aws_sdk_sqs::error::SdkError<E, R>,
) -> QueueError
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let code = error.as_service_error().and_then(|service| service.code());
    match code.map(|code| code.rsplit('.').next().unwrap_or(code)) {
        Some("QueueDoesNotExist" | "NonExistentQueue") => QueueError::NotExist(queue.to_string()),
        Some("QueueNameExists" | "QueueAlreadyExists") => {
            QueueError::AlreadyExist(queue.to_string())
        }
        Some("ReceiptHandleIsInvalid") => QueueError::ReceiptInvalid,
        Some("MessageNotInflight" | "InvalidParameterValue") => QueueError::ReceiptVoid,
        Some("InvalidMessageContents" | "InvalidAttributeValue") => {
            QueueError::Refused(explain(error))
        }
        _ => QueueError::Unavailable(explain(error)),
    }
}
