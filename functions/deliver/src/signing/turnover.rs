//! Keys turned over by an operator: listed, rotated, retired.

use super::{KeyDocument, KeyStore, Keys, Signing, SigningSetupError};
use carillon_core::ports::{
    KeyError, SigningKey, SigningKeyKind, SigningKeys, StoreError, WebhookKeySet, WebhookKeys,
};
use carillon_core::topic::Subscription;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Where certificates are put for those who serve them, when that is another process.
#[async_trait::async_trait]
pub trait CertificatePlace: Send + Sync {
    /// Puts a certificate there.
    async fn put(&self, file: &str, pem: &str) -> Result<(), StoreError>;

    /// Takes it away.
    async fn remove(&self, file: &str) -> Result<(), StoreError>;
}

/// The keys of [`Signing`], together with where they are kept.
pub struct KeyRing {
    signing: Arc<Signing>,
    store: Arc<dyn KeyStore>,
    place: Option<Arc<dyn CertificatePlace>>,
    /// One change at a time in this process; the store holds processes apart.
    turn: Mutex<()>,
}

impl KeyRing {
    /// Turns over these keys, kept there. Without a place, `signing` itself serves the certificates.
    #[must_use]
    pub fn new(
        signing: Arc<Signing>,
        store: Arc<dyn KeyStore>,
        place: Option<Arc<dyn CertificatePlace>>,
    ) -> Self {
        KeyRing {
            signing,
            store,
            place,
            turn: Mutex::new(()),
        }
    }

    async fn fresh(&self) -> Result<(), KeyError> {
        let fresh = self.signing.reload(&*self.store).await;
        fresh.map_err(told)
    }

    /// Keeps the new document in place of the old one; certificates come before the keys that need them, and go after.
    async fn keep(&self, held: &str, keys: Keys) -> Result<(), KeyError> {
        let before = KeyDocument::read(held).map_err(|error| told(error.into()))?;
        let files = |document: &KeyDocument| -> Vec<String> {
            document.mns.iter().map(|key| key.file.clone()).collect()
        };
        let (old, new) = (files(&before), files(&keys.document));
        let certificate = |key: &&super::MnsKey| !old.contains(&key.file);
        let added: Vec<_> = keys
            .document
            .mns
            .iter()
            .filter(certificate)
            .cloned()
            .collect();
        if let Some(place) = &self.place {
            for key in &added {
                place.put(&key.file, &key.certificate).await?;
            }
        }
        let taken = self.store.replace(held, &keys.text).await;
        let gone: Vec<&String> = match taken {
            Ok(true) => old.iter().filter(|file| !new.contains(file)).collect(),
            Ok(false) => added.iter().map(|key| &key.file).collect(),
            // Whether it was kept is unknown, and a certificate too many does no harm.
            Err(_) => Vec::new(),
        };
        if let Some(place) = &self.place {
            for file in gone {
                place.remove(file).await?;
            }
        }
        if !taken? {
            return Err(KeyError::Raced);
        }
        self.signing.take(keys);
        Ok(())
    }
}

fn told(error: SigningSetupError) -> KeyError {
    match error {
        SigningSetupError::Store(error) => KeyError::Store(error),
        other => KeyError::Store(StoreError(other.to_string())),
    }
}

#[async_trait::async_trait]
impl SigningKeys for KeyRing {
    async fn list(&self) -> Result<Vec<SigningKey>, KeyError> {
        self.fresh().await?;
        Ok(self.signing.list())
    }

    async fn rotate(&self, kind: SigningKeyKind) -> Result<SigningKey, KeyError> {
        let _turn = self.turn.lock().await;
        let (held, keys) = self
            .signing
            .rotated(&*self.store, kind)
            .await
            .map_err(told)?;
        self.keep(&held, keys).await?;
        let newest = self.signing.list().into_iter().find(|key| key.kind == kind);
        newest.ok_or_else(|| KeyError::NotExist(kind.as_str().to_owned()))
    }

    async fn retire(&self, name: &str) -> Result<(), KeyError> {
        let _turn = self.turn.lock().await;
        let missing = || KeyError::NotExist(name.to_owned());
        let held = self.store.load().await?.ok_or_else(missing)?;
        let document = KeyDocument::read(&held).map_err(|error| told(error.into()))?;
        let retired = document.retired(name, self.signing.clock.now())?.write();
        let keys = Keys::read(&retired).map_err(told)?;
        self.keep(&held, keys).await
    }

    async fn webhook_keys(
        &self,
        subscription: &Subscription,
    ) -> Result<Option<WebhookKeySet>, KeyError> {
        self.fresh().await?;
        Ok(WebhookKeys::keys(&*self.signing, subscription))
    }
}
