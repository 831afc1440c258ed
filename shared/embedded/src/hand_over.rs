//! What handlers hand on within one process: the ports of a [`Store`] that need not write what is settled at once.

use crate::stage::{Flight, Passed, group_number};
use crate::store::{Care, Job, Store};
use carillon_core::ports::{
    AttemptLog, AttemptRecord, OutgoingMessage, QueueError, QueueSender, Stage, StageSender,
    StoreError,
};
use carillon_core::topic::QueueName;
use tokio::sync::oneshot;

tokio::task_local! {
    /// The call of a handler that runs.
    pub(crate) static FLIGHT: Flight;
}

/// The ports that a handler called by an [`EventSourceMapping`](crate::EventSourceMapping) sends by. What it hands on is
/// answered before it is written: the record that it is made from is deleted only when that is settled, or written, so a
/// process that dies begins again from that record. Outside of such a call, everything is written before it is answered.
#[derive(Clone, Debug)]
pub struct HandOver(Store);

impl Store {
    /// The ports for handlers of this process.
    #[must_use]
    pub fn hand_over(&self) -> HandOver {
        HandOver(self.clone())
    }
}

impl HandOver {
    /// The call that runs, where handing on in memory is wanted.
    fn flight(&self) -> Option<Flight> {
        if self.0.inner.shared.settings.hold.is_zero() {
            return None;
        }
        FLIGHT.try_with(|flight| *flight).ok()
    }
}

#[async_trait::async_trait]
impl StageSender for HandOver {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let Some(flight) = self.flight() else {
            return self.0.send_to_stage(Care::Committed, stage, messages).await;
        };
        let limit = self.0.inner.shared.settings.max_stage_message;
        // Accepted events are kept in the archive by the transaction that writes them for match.
        if stage == Stage::Match
            || messages
                .iter()
                .any(|message| !message.delay.is_zero() || message.body.len() > limit)
        {
            return self.0.send_to_stage(Care::Committed, stage, messages).await;
        }
        let count = messages.len();
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        let records = messages
            .into_iter()
            .map(|message| (group_number(message.group.as_deref()), message.body))
            .collect();
        let passed = Job::Pass(Passed {
            stage,
            flight,
            records,
        });
        match self.0.inner.shared.inbox.push(passed, bytes).await {
            Ok(()) => vec![Ok(()); count],
            Err(outage) => vec![Err(crate::queue::unavailable(&outage)); count],
        }
    }
}

#[async_trait::async_trait]
impl QueueSender for HandOver {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        let Some(flight) = self.flight() else {
            return QueueSender::send(&self.0, queue, messages).await;
        };
        let count = messages.len();
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        let (reply, told) = oneshot::channel();
        let handed = Job::Hand(crate::queue::Handed {
            queue: queue.as_str().to_owned(),
            flight,
            messages,
            reply,
        });
        if let Err(outage) = self.0.inner.shared.inbox.push(handed, bytes).await {
            return vec![Err(crate::queue::unavailable(&outage)); count];
        }
        told.await.unwrap_or_else(|_| {
            let closed = crate::queue::unavailable(&crate::store::Outage::closed());
            vec![Err(closed); count]
        })
    }
}

#[async_trait::async_trait]
impl AttemptLog for HandOver {
    async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        self.0.log_attempts(attempts);
        Ok(())
    }
}
