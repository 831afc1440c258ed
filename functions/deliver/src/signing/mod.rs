//! Signatures on every HTTP push: MNS's and Standard Webhooks', both at once. Either can be switched off.
//!
//! # Exact rules
//!
//! * All keys stand in one document, made on first run and kept by a [`KeyStore`]: an RSA key of 2048 bits with its
//!   certificate, and one master secret from which the keys of every subscription are derived. Nothing is stored per
//!   subscription, and nothing can be lost per subscription.
//! * After a rotation the new certificate is served at once and signs ten minutes later, so that every process serves it
//!   before any uses it; the old one is served for a week more. A certificate's file name is derived from its key.
//! * After a rotation of the webhook keys both generations sign for a week: a receiver may use any one of them.
//! * RSA is computed off the threads that drive the network, at most as many at once as there are processors.
//!
//! # Which library, and why
//!
//! ring and aws-lc-rs verify SHA-1 signatures and make none. The `rsa` crate makes them and needs nothing but Rust; it is
//! the default. Advisory RUSTSEC-2023-0071 (timing of its private key operation) is answered by blinding every
//! operation, and by the key signing what Carillon composed and never a text of an attacker's choice. With the feature
//! `openssl` the system's OpenSSL signs instead, several times faster.

mod document;
mod file;
mod rsa;
mod webhooks;

pub use document::{KeyDocument, MnsKey, UnreadableKeys};
pub use file::FileKeyStore;

use crate::signer::{Signer, SigningError, ToSign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::Timestamp;
use carillon_core::ports::{Certificates, Clock, StoreError, WebhookKeySet, WebhookKeys};
use carillon_core::push::headers::Headers;
use carillon_core::push::{mns, webhooks as wire};
use carillon_core::topic::Subscription;
use document::OVERLAP;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// Keeps the key document: a file, or a secret of the cloud's.
#[async_trait::async_trait]
pub trait KeyStore: Send + Sync {
    /// The document; none on first run.
    async fn load(&self) -> Result<Option<String>, StoreError>;

    /// Keeps the document if there is none yet. Of two processes on their first run one succeeds; the other finds that
    /// one's document when it loads again.
    async fn create(&self, document: &str) -> Result<(), StoreError>;

    /// Keeps the document in place of the one there is.
    async fn replace(&self, document: &str) -> Result<(), StoreError>;
}

/// Settings of the signatures.
#[derive(Clone, Debug)]
pub struct SigningSettings {
    /// Whether MNS's signature is made.
    pub mns: bool,
    /// Whether Standard Webhooks' signatures are made.
    pub webhooks: bool,
    /// What stands before a certificate's file name in its URL, for example `http://127.0.0.1:9324/certs/`.
    pub certificate_base: String,
}

/// Why signing cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SigningSetupError {
    /// The document could not be kept or fetched.
    #[error("the signing keys are out of reach: {0}")]
    Store(#[from] StoreError),
    /// The document is damaged.
    #[error(transparent)]
    Unreadable(#[from] UnreadableKeys),
    /// A key could not be made.
    #[error("no signing key could be made: {0}")]
    Generate(String),
}

/// Signs pushes, and tells what receivers need to verify them.
pub struct Signing {
    settings: SigningSettings,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<Keys>>,
    /// As many RSA operations at once as there are processors.
    turns: Semaphore,
}

/// The document, ready to sign with.
struct Keys {
    document: KeyDocument,
    /// One for each of the document's, in its order.
    rsa: Vec<Arc<rsa::Key>>,
    webhooks: webhooks::Derived,
}

impl Keys {
    fn read(text: &str) -> Result<Self, SigningSetupError> {
        let document = KeyDocument::read(text)?;
        let rsa = document
            .mns
            .iter()
            .map(|held| rsa::Key::from_pem(&held.key).map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(|error| UnreadableKeys(format!("an RSA key: {error}")))?;
        let webhooks = webhooks::Derived::new(&document)?;
        Ok(Keys {
            document,
            rsa,
            webhooks,
        })
    }

    /// The newest key that signs already, and its certificate's file name.
    fn mns(&self, now: Timestamp) -> Option<(&Arc<rsa::Key>, &MnsKey)> {
        let pairs = || self.rsa.iter().zip(&self.document.mns);
        pairs()
            .rfind(|(_, held)| held.signs_from <= now)
            .or_else(|| pairs().next_back())
    }
}

impl Signing {
    /// Fetches the keys, or makes them on first run (RSA takes a good part of a second).
    ///
    /// # Errors
    /// [`SigningSetupError`].
    pub async fn open(
        store: &dyn KeyStore,
        clock: Arc<dyn Clock>,
        settings: SigningSettings,
    ) -> Result<Self, SigningSetupError> {
        let text = match store.load().await? {
            Some(text) => text,
            None => {
                let fresh = KeyDocument::generate(clock.now()).await?;
                store.create(&fresh.write()).await?;
                // Another process may have been first; what the store holds is what counts.
                let missing =
                    || StoreError("the key document was kept and is not there".to_owned());
                store.load().await?.ok_or_else(missing)?
            }
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Signing {
            settings,
            clock,
            keys: RwLock::new(Arc::new(Keys::read(&text)?)),
            turns: Semaphore::new(processors),
        })
    }

    /// Makes a new RSA key and certificate, and a new generation of webhook keys. The old ones overlap with them as the
    /// module tells.
    ///
    /// # Errors
    /// [`SigningSetupError`]; the keys are unchanged then.
    pub async fn rotate(&self, store: &dyn KeyStore) -> Result<(), SigningSetupError> {
        let missing = || StoreError("there is no key document to rotate".to_owned());
        let text = store.load().await?.ok_or_else(missing)?;
        let rotated = KeyDocument::read(&text)?
            .rotated(self.clock.now())
            .await?
            .write();
        let keys = Keys::read(&rotated)?;
        store.replace(&rotated).await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Fetches the keys again: another process may have rotated them.
    ///
    /// # Errors
    /// [`SigningSetupError`]; the keys are unchanged then.
    pub async fn reload(&self, store: &dyn KeyStore) -> Result<(), SigningSetupError> {
        if let Some(text) = store.load().await? {
            let keys = Keys::read(&text)?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        }
        Ok(())
    }

    /// The URL of the certificate that signs now; none when MNS's signature is switched off.
    #[must_use]
    pub fn certificate_url(&self) -> Option<String> {
        let keys = self.keys();
        let (_, held) = keys.mns(self.clock.now()).filter(|_| self.settings.mns)?;
        Some(format!("{}{}", self.settings.certificate_base, held.file))
    }

    /// File name and PEM text of every certificate that receivers may ask for now, those that will sign soon included.
    #[must_use]
    pub fn certificates(&self) -> Vec<(String, String)> {
        let keys = self.keys();
        let files = keys.document.mns.iter().map(|held| held.file.clone());
        files
            .filter_map(|file| Some((file.clone(), self.pem(&file)?)))
            .collect()
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// RSA over the text, off this thread.
    async fn rsa(&self, key: Arc<rsa::Key>, text: String) -> Result<Vec<u8>, SigningError> {
        let failed = |error: String| SigningError(error);
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|error| failed(error.to_string()))?;
        tokio::task::spawn_blocking(move || key.sign(text.as_bytes()))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(failed)
    }

    /// One MNS signature over `text`, computed on this very thread: what the benchmark compares pushes with.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign_here(&self, text: &str) -> Result<Vec<u8>, SigningError> {
        let keys = self.keys();
        let (key, _) = keys
            .mns(self.clock.now())
            .ok_or_else(|| SigningError("there is no RSA key".to_owned()))?;
        key.sign(text.as_bytes()).map_err(SigningError)
    }
}

#[async_trait::async_trait]
impl Signer for Signing {
    async fn sign(&self, what: ToSign<'_>, headers: &mut Headers) -> Result<(), SigningError> {
        let keys = self.keys();
        if self.settings.webhooks {
            let id = what.notification.message_id.to_string();
            let timestamp = wire::timestamp(what.now);
            let content = wire::content(&id, &timestamp, what.body);
            let derived = keys.webhooks.of(what.subscription, what.now);
            wire::push_headers(headers, id, timestamp, &derived.sign(&content));
        }
        if self.settings.mns {
            let (key, held) = keys
                .mns(what.now)
                .ok_or_else(|| SigningError("there is no RSA key".to_owned()))?;
            let url = format!("{}{}", self.settings.certificate_base, held.file);
            headers.push((mns::CERT_URL, mns::cert_url_value(&url)));
            let text = mns::string_to_sign(headers, what.target);
            let signature = self.rsa(key.clone(), text).await?;
            headers.push((mns::AUTHORIZATION, BASE64.encode(signature)));
        }
        Ok(())
    }
}

impl Certificates for Signing {
    fn pem(&self, file: &str) -> Option<String> {
        let now = self.clock.now();
        let keys = self.keys();
        let held = keys.document.mns.iter().find(|held| held.file == file)?;
        let served = held.retired.is_none_or(|at| now < at.plus(OVERLAP));
        served.then(|| held.certificate.clone())
    }
}

impl WebhookKeys for Signing {
    fn keys(&self, subscription: &Subscription) -> Option<WebhookKeySet> {
        let keys = self.keys();
        self.settings
            .webhooks
            .then(|| keys.webhooks.of(subscription, self.clock.now()).texts())
    }
}
