//! The archive of accepted events: objects of a bucket, written before the match queue is.
//!
//! ```text
//!   events/2026/11/22/16/1795363200123-0F3A5C7E9B1D2468.jsonl.gz
//!          year month day hour, UTC   milliseconds, and a random number that keeps writers apart
//! ```
//!
//! An object holds the packs of one send, one a line, as gzip: one PUT for a whole batch of records, and a form that
//! every tool reads. Keys ascend with time, so a window is a range of the listing. How long objects are kept is the
//! bucket's lifecycle rule.

mod names;
mod object;
mod read;

use crate::clients::Lazy;
use crate::clients::{Clients, explain};
use crate::queue::StageQueues;
use crate::world::SystemRandom;
use aws_sdk_s3::Client;
use carillon_core::ports::{Clock, OutgoingMessage, QueueError, Random as _, Stage, StageSender};
use std::sync::Arc;

/// Most bytes of packs in one object, before compression. A batch of Lambda's carries hardly more; a single pack always
/// fits.
const LARGEST: usize = 8 << 20;

/// Sends to the stages, and keeps what goes to match in a bucket first: a pack that cannot be kept is not accepted, and
/// its record comes again. What is kept and then not taken by the queue comes again too, and then lies there twice, under
/// the same ids.
#[derive(Clone)]
pub struct EventBucket {
    client: Lazy<Client>,
    bucket: String,
    stages: StageQueues,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for EventBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventBucket({})", self.bucket)
    }
}

impl EventBucket {
    /// Keeps in `bucket`, and sends through `stages`.
    #[must_use]
    pub fn new(
        clients: &Clients,
        bucket: &str,
        stages: StageQueues,
        clock: Arc<dyn Clock>,
    ) -> Self {
        EventBucket {
            client: clients.s3().clone(),
            bucket: bucket.to_owned(),
            stages,
            clock,
        }
    }

    /// Writes packs as one object.
    async fn keep(&self, packs: &[OutgoingMessage]) -> Result<(), QueueError> {
        let unavailable = |reason: String| {
            QueueError::Unavailable(format!(
                "the archive of events (bucket {:?}) did not take them: {reason}",
                self.bucket
            ))
        };
        let lines = packs.iter().map(|pack| pack.body.as_str());
        let body = object::write(lines).map_err(|error| unavailable(error.to_string()))?;
        let random = SystemRandom::default().draw();
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(names::key(self.clock.now(), random))
            .content_type("application/gzip")
            .body(body.into())
            .send()
            .await;
        sent.map(drop).map_err(|error| unavailable(explain(&error)))
    }
}

#[async_trait::async_trait]
impl StageSender for EventBucket {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        if stage != Stage::Match {
            return self.stages.send(stage, messages).await;
        }
        let mut results: Vec<Result<(), QueueError>> = Vec::with_capacity(messages.len());
        let mut rest = messages;
        while !rest.is_empty() {
            let count = object::fitting(rest.iter().map(|pack| pack.body.len()), LARGEST);
            let later = rest.split_off(count);
            match self.keep(&rest).await {
                Ok(()) => results.extend(self.stages.send(stage, rest).await),
                Err(error) => results.extend(rest.iter().map(|_| Err(error.clone()))),
            }
            rest = later;
        }
        results
    }
}
