//! Signatures as the handler sees them.

use carillon_core::delivery::Notification;
use carillon_core::event::Timestamp;
use carillon_core::push::headers::Headers;
use carillon_core::topic::Subscription;

/// What there is to sign.
#[derive(Debug)]
pub struct ToSign<'a> {
    /// The subscription; its secrets are derived from its names.
    pub subscription: &'a Subscription,
    /// The message; its id is signed.
    pub notification: &'a Notification,
    /// Request target, exactly as sent.
    pub target: &'a str,
    /// The body, exactly as sent.
    pub body: &'a str,
    /// Time of the attempt.
    pub now: Timestamp,
}

/// A push could not be signed; it is not sent unsigned instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the push could not be signed: {0}")]
pub struct SigningError(pub String);

/// Signs HTTP pushes.
#[async_trait::async_trait]
pub trait Signer: Send + Sync {
    /// Adds what the signatures need to the headers. Must not hold up the thread it is called on.
    async fn sign(&self, what: ToSign<'_>, headers: &mut Headers) -> Result<(), SigningError>;
}

/// Leaves pushes unsigned.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSigner;

#[async_trait::async_trait]
impl Signer for NoSigner {
    async fn sign(&self, _what: ToSign<'_>, _headers: &mut Headers) -> Result<(), SigningError> {
        Ok(())
    }
}
