//! The loop of a function that an SQS event source mapping feeds.

use crate::StageQueues;
use carillon_core::ports::{BatchOutcome, QueueRecord};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::future::Future;
use tracing::Instrument as _;

/// An invocation by an event source mapping. Tolerant: members that Carillon does not need may be missing.
#[derive(Debug, Default, Deserialize)]
pub struct SqsEvent {
    /// The batch.
    #[serde(default, rename = "Records")]
    pub records: Vec<SqsRecord>,
}

/// One message of a batch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsRecord {
    /// SQS's message id.
    pub message_id: String,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// What SQS knows of the message.
    #[serde(default)]
    pub attributes: SqsAttributes,
}

/// See [`SqsRecord::attributes`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SqsAttributes {
    /// Decimal digits.
    pub approximate_receive_count: Option<String>,
}

/// What the mapping is answered: `ReportBatchItemFailures`.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsAnswer {
    /// The records that must come again.
    pub batch_item_failures: Vec<Failure>,
}

/// One of [`SqsAnswer::batch_item_failures`].
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// SQS's message id.
    pub item_identifier: String,
}

impl SqsEvent {
    /// The batch as handlers know it.
    #[must_use]
    pub fn into_records(self) -> Vec<QueueRecord> {
        self.records
            .into_iter()
            .map(|record| QueueRecord {
                id: record.message_id,
                body: record.body,
                receive_count: record
                    .attributes
                    .approximate_receive_count
                    .and_then(|digits| digits.parse().ok())
                    .unwrap_or(1),
            })
            .collect()
    }
}

impl SqsAnswer {
    /// The answer of an outcome. Lambda takes an unknown, an empty or a double id for a failure of the whole batch, so
    /// only ids of the batch are named, each once.
    #[must_use]
    pub fn of(outcome: &BatchOutcome, batch: &[QueueRecord]) -> Self {
        let mut open: HashSet<&str> = batch.iter().map(|record| record.id.as_str()).collect();
        SqsAnswer {
            batch_item_failures: outcome
                .failed
                .iter()
                .filter(|(id, _)| open.remove(id.as_str()))
                .map(|(id, _)| Failure {
                    item_identifier: id.clone(),
                })
                .collect(),
        }
    }
}

/// Serves batches until Lambda ends the process.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<H, F>(stages: StageQueues, handle: H) -> Result<(), Error>
where
    H: Fn(Vec<QueueRecord>) -> F,
    F: Future<Output = BatchOutcome>,
{
    run(service_fn(|event: LambdaEvent<SqsEvent>| {
        stages.follow_trace(event.context.xray_trace_id.clone());
        let batch = event.payload.into_records();
        let span = tracing::info_span!("batch", request_id = event.context.request_id);
        let outcome = handle(batch.clone()).instrument(span.clone());
        async move {
            let outcome = outcome.await;
            for (id, reason) in &outcome.failed {
                span.in_scope(|| tracing::warn!(record = id, reason, "record comes again"));
            }
            Ok::<SqsAnswer, Error>(SqsAnswer::of(&outcome, &batch))
        }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_own_event_is_read_and_unknown_members_are_passed_over() {
        let event: SqsEvent = serde_json::from_str(
            r#"{"Records":[{"messageId":"a","receiptHandle":"h","body":"{}","attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1"},
                "messageAttributes":{},"md5OfBody":"x","eventSource":"aws:sqs","awsRegion":"us-east-1"},
               {"messageId":"b"}]}"#,
        )
        .unwrap();
        let records = event.into_records();
        assert_eq!((records[0].id.as_str(), records[0].receive_count), ("a", 3));
        assert_eq!(
            (records[1].body.as_str(), records[1].receive_count),
            ("", 1)
        );
    }

    #[test]
    fn the_answer_names_only_ids_of_the_batch_each_once() {
        let batch: Vec<QueueRecord> = ["a", "b"]
            .iter()
            .map(|id| QueueRecord {
                id: (*id).to_owned(),
                body: String::new(),
                receive_count: 1,
            })
            .collect();
        let failed = ["b", "", "b", "stranger"];
        let outcome = BatchOutcome {
            failed: failed
                .iter()
                .map(|id| ((*id).to_owned(), "why".to_owned()))
                .collect(),
        };
        let answer = serde_json::to_string(&SqsAnswer::of(&outcome, &batch)).unwrap();
        assert_eq!(answer, r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#);
        let none = SqsAnswer::of(&BatchOutcome::default(), &batch);
        assert_eq!(
            serde_json::to_string(&none).unwrap(),
            r#"{"batchItemFailures":[]}"#
        );
    }
}
