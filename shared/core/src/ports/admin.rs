//! What an operator asks for: how deliveries went, what lies dead, the certificate, the numbers.

use super::{AttemptRecord, StoreError};
use crate::delivery::{DeadLetter, OutcomeClass};
use crate::event::{MessageId, Product, Timestamp};
use crate::rule::RuleName;
use crate::topic::{Subscription, SubscriptionName, TopicName};
use std::time::Duration;

/// Which deliveries are meant. Every field that is given must hold; an empty selection means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this message.
    pub message_id: Option<MessageId>,
    /// Of events of this product.
    pub product: Option<Product>,
    /// Covered by this rule.
    pub rule: Option<RuleName>,
    /// Published to this topic.
    pub topic: Option<TopicName>,
    /// For this subscription.
    pub subscription: Option<SubscriptionName>,
    /// Ended so. Attempts only; dead letters ignore it.
    pub class: Option<OutcomeClass>,
    /// Answered with this HTTP status. Attempts only; dead letters ignore it.
    pub status: Option<u16>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// Part of a list, in the order that the method which gives it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last. Opaque: give it back as it is.
    pub next: Option<String>,
}

/// What came into the attempt log after some moment, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The attempts of the selection.
    pub items: Vec<AttemptRecord>,
    /// Where to go on. Opaque, and sound for as long as the log is, also over a restart.
    pub next: String,
}

/// Reads the attempt log.
#[async_trait::async_trait]
pub trait AttemptQuery: Send + Sync {
    /// At most `limit` attempts of the selection, newest first, from `from` (the `next` of the page before).
    async fn attempts(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<AttemptRecord>, StoreError>;

    /// At most `limit` attempts of the selection that were recorded after `after` (the `next` of the answer before; none:
    /// after now), oldest first. Waits up to `wait` for the first; `None` when this log cannot be followed.
    async fn follow(
        &self,
        selection: &Selection,
        after: Option<&str>,
        limit: usize,
        wait: Duration,
    ) -> Result<Option<Followed>, StoreError> {
        let _ = (selection, after, limit, wait);
        Ok(None)
    }
}

/// A dead letter and the id that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDeadLetter {
    /// Names it; letters, digits and hyphens.
    pub id: String,
    /// What it is.
    pub letter: DeadLetter,
}

/// Reads, clears and sends again the dead letters.
#[async_trait::async_trait]
pub trait DeadLetterAdmin: Send + Sync {
    /// At most `limit` dead letters of the selection, newest first. Records that no stage could read have neither rule
    /// nor topic: they belong to selections that ask for none of these.
    async fn list(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError>;

    /// One; none when there is no such id.
    async fn get(&self, id: &str) -> Result<Option<KeptDeadLetter>, StoreError>;

    /// Deletes; gives how many there were.
    async fn delete(&self, ids: &[String]) -> Result<usize, StoreError>;

    /// Sends dead letters again: a delivery to the deliver stage with its attempts begun anew, a record to the stage that
    /// refused it, byte for byte. Gives how many were sent; ids that are no longer there are passed over. A letter whose
    /// redrive fails half-way is sent twice rather than lost.
    async fn redrive(&self, ids: &[String]) -> Result<usize, StoreError> {
        let count = ids.len();
        Err(StoreError(format!(
            "this store cannot send dead letters again ({count} were asked for)"
        )))
    }
}

/// The signing certificates of HTTP pushes.
pub trait Certificates: Send + Sync {
    /// The PEM text of `/certs/{file}`; none when there is no such file.
    fn pem(&self, file: &str) -> Option<String>;
}

/// The Standard Webhooks keys of a subscription, as its receiver is given them. Several while keys are being rotated,
/// newest first; a receiver may use any one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookKeySet {
    /// `whsec_...`: HMAC secrets. To be shown to the subscription's owner alone.
    pub secrets: Vec<String>,
    /// `whpk_...`: Ed25519 public keys.
    pub public_keys: Vec<String>,
}

/// Knows the Standard Webhooks keys of subscriptions.
pub trait WebhookKeys: Send + Sync {
    /// The keys of a subscription; none when these signatures are switched off.
    fn keys(&self, subscription: &Subscription) -> Option<WebhookKeySet>;
}

/// Numbers of the process that hosts the control plane.
#[async_trait::async_trait]
pub trait MetricsText: Send + Sync {
    /// Lines in Prometheus's text format (version 0.0.4), each ended by a newline.
    async fn text(&self) -> String;
}
