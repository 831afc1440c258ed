//! The keys that sign pushes, as an operator sees and turns them over. Nothing secret but a subscription's own keys, which
//! its receiver needs.

use super::{StoreError, WebhookKeySet};
use crate::event::Timestamp;
use crate::topic::Subscription;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyKind {
    /// RSA with a certificate: MNS's signature. Receivers fetch the certificate by URL, so a rotation needs nothing of
    /// them.
    Mns,
    /// The secret from which the Standard Webhooks keys of *all* subscriptions are derived. After a rotation every
    /// receiver must be given its subscription's new keys.
    Webhooks,
}

impl SigningKeyKind {
    /// `mns` or `webhooks`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SigningKeyKind::Mns => "mns",
            SigningKeyKind::Webhooks => "webhooks",
        }
    }

    /// Reads what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [SigningKeyKind::Mns, SigningKeyKind::Webhooks]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Its certificate is served; it signs from [`SigningKey::signs_from`] on, when every process knows it.
    Announced,
    /// It signs.
    Signing,
    /// Its successor signs. Its certificate is served (MNS), or it signs too (Standard Webhooks), until
    /// [`SigningKey::until`].
    Overlapping,
}

impl KeyState {
    /// `announced`, `signing` or `overlapping`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyState::Announced => "announced",
            KeyState::Signing => "signing",
            KeyState::Overlapping => "overlapping",
        }
    }
}

/// A key, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Names it: the file name of its certificate, or `webhooks-` and its number.
    pub name: String,
    /// What it signs.
    pub kind: SigningKeyKind,
    /// Where it stands.
    pub state: KeyState,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    /// When the overlap with its successor ends; none while it has no successor.
    pub until: Option<Timestamp>,
    /// Where receivers fetch its certificate; none of a webhooks key.
    pub certificate_url: Option<String>,
}

/// Why keys could not be turned over. They are unchanged then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key has that name (any more).
    #[error("there is no key {0:?}: list the keys, and name one of them")]
    NotExist(String),
    /// It has no successor to sign in its place.
    #[error("key {0:?} has no successor: rotate first, then retire it")]
    InUse(String),
    /// Another process turned them over at the same time.
    #[error("the keys were changed by somebody else at the same time: list them, then try again")]
    Raced,
    /// They could not be kept or fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Turns over the keys that sign pushes.
#[async_trait::async_trait]
pub trait SigningKeys: Send + Sync {
    /// All keys that sign, will sign, or overlap with one that does: by kind, newest first.
    async fn list(&self) -> Result<Vec<SigningKey>, KeyError>;

    /// Makes a successor of the newest key of this kind, and gives it. The ones before overlap with it.
    async fn rotate(&self, kind: SigningKeyKind) -> Result<SigningKey, KeyError>;

    /// Ends a key at once, for one that somebody else has got hold of: its certificate is served no more, and what it
    /// signed fails at receivers that ask for it. The key after it signs at once.
    async fn retire(&self, name: &str) -> Result<(), KeyError>;

    /// The Standard Webhooks keys of a subscription, as the newest rotation has them; none when these signatures are
    /// switched off.
    async fn webhook_keys(
        &self,
        subscription: &Subscription,
    ) -> Result<Option<WebhookKeySet>, KeyError>;
}
