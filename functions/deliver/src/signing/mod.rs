//! Signatures on every HTTP push: MNS's and Standard Webhooks', both at once. Either can be switched off.
//!
//! # Exact rules
//!
//! * All keys stand in one document, made on first run and kept by a [`KeyStore`]: an RSA key of 2048 bits with its
//!   certificate, and a master secret from which the keys of every subscription are derived. Nothing secret is stored per
//!   subscription, and nothing can be lost per subscription.
//! * A rotation turns over one kind of key. After one of MNS's keys the new certificate is served at once and signs ten
//!   minutes later, so that every process serves it before any uses it; the old one is served for a week more. A
//!   certificate's file name is derived from its key.
//! * After a rotation of webhook keys, of one subscription's or of all, old and new sign for a week: a receiver may use any
//!   one of them. A subscription's own generations stand with its record; a rotation of all draws a new master secret.
//! * A key can be retired before its time, but not before it has a successor: the successor signs at once.
//! * RSA is computed off the threads that drive the network, at most as many at once as there are processors.
//!
//! # Which library, and why
//!
//! The signature is PKCS#1 v1.5 over SHA-1, the build needs nothing but Rust and a C compiler, and we write no `unsafe`.
//! One private-key operation, on the processor of the README's figures:
//!
//! | library | makes SHA-1 signatures | builds with Rust and a C compiler | time |
//! |---|---|---|---|
//! | `rsa` 0.9, blinded: the default | yes | yes | 1.4 ms |
//! | `rsa` 0.10, a release candidate, not blinded | yes | yes | 1.0 ms (0.9 not blinded: 1.1 ms) |
//! | `ring`, `graviola` | no: SHA-256 and above | yes | |
//! | `aws-lc-rs` | no: verifies them alone | yes | |
//! | `openssl` over AWS-LC, `boring`, `mbedtls` | yes | no: libclang or CMake, for their bindings | |
//! | `openssl`, the system's: feature `openssl` | yes | no: OpenSSL's headers, or Perl and Make | several times faster |
//!
//! So the `rsa` crate it is: a second cryptographic library beside ring would pay only if it could do this. Advisory
//! RUSTSEC-2023-0071 (timing of its private key operation) is answered by blinding every operation, and by the key signing
//! what Carillon composed and never a text of an attacker's choice; `deny.toml` has the waiver.

mod document;
mod file;
mod rsa;
mod shared;
mod turnover;
mod webhooks;

pub use document::{KeyDocument, MnsKey, UnreadableKeys};
pub use file::FileKeyStore;
pub use shared::SharedKeys;
pub use turnover::{CertificatePlace, KeyRing};

use crate::signer::{Signer, SigningError, ToSign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Certificates, Clock, KeyError, KeyState, SigningKey, SigningKeyKind, StoreError, WebhookKeySet,
    WebhookKeys,
};
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

    /// Keeps the document in place of `held`; `Ok(false)`, and nothing is changed, when another stands there by now.
    async fn replace(&self, held: &str, document: &str) -> Result<bool, StoreError>;
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
    /// As it was read.
    text: String,
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
            text: text.to_owned(),
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

    /// The document as it is kept now, and the keys as they are to be.
    async fn rotated(
        &self,
        store: &dyn KeyStore,
        kind: SigningKeyKind,
    ) -> Result<(String, Keys), SigningSetupError> {
        let missing = || StoreError("there is no key document to rotate".to_owned());
        let text = store.load().await?.ok_or_else(missing)?;
        let document = KeyDocument::read(&text)?;
        let rotated = document.rotated(kind, self.clock.now()).await?.write();
        Ok((text, Keys::read(&rotated)?))
    }

    /// Makes a successor of the keys of this kind, which overlap with it as the module tells. [`KeyRing`] does so for an
    /// operator.
    ///
    /// # Errors
    /// [`SigningSetupError`]; the keys are unchanged then.
    pub async fn rotate(
        &self,
        store: &dyn KeyStore,
        kind: SigningKeyKind,
    ) -> Result<(), SigningSetupError> {
        let (held, keys) = self.rotated(store, kind).await?;
        if !store.replace(&held, &keys.text).await? {
            return Err(StoreError(KeyError::Raced.to_string()).into());
        }
        self.take(keys);
        Ok(())
    }

    fn take(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Fetches the keys again: another process may have rotated them.
    ///
    /// # Errors
    /// [`SigningSetupError`]; the keys are unchanged then.
    pub async fn reload(&self, store: &dyn KeyStore) -> Result<(), SigningSetupError> {
        if let Some(text) = store.load().await?
            && text != self.keys().text
        {
            self.take(Keys::read(&text)?);
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

    /// The keys as an operator sees them: by kind, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<SigningKey> {
        let (keys, now) = (self.keys(), self.clock.now());
        let document = &keys.document;
        let signing = keys.mns(now).map(|(_, held)| held.file.clone());
        let overlaps = |retired: Option<Timestamp>| retired.is_none_or(|at| now < at.plus(OVERLAP));
        let mns = document
            .mns
            .iter()
            .rev()
            .filter(|held| overlaps(held.retired));
        let mns = mns.map(|held| SigningKey {
            name: held.file.clone(),
            kind: SigningKeyKind::Mns,
            state: match &signing {
                Some(file) if *file == held.file => KeyState::Signing,
                _ if held.signs_from > now => KeyState::Announced,
                _ => KeyState::Overlapping,
            },
            signs_from: held.signs_from,
            until: held.retired.map(|at| at.plus(OVERLAP)),
            certificate_url: Some(format!("{}{}", self.settings.certificate_base, held.file)),
        });
        let oldest = document.mns.first().map(|held| held.signs_from);
        let generations = document.generations.iter().rev();
        let webhooks = generations
            .filter(|held| overlaps(held.retired))
            .map(|held| SigningKey {
                name: held.name(),
                kind: SigningKeyKind::Webhooks,
                state: match held.retired {
                    None => KeyState::Signing,
                    Some(_) => KeyState::Overlapping,
                },
                // Documents of old did not say: their first generation is as old as their first key.
                signs_from: held.since.or(oldest).unwrap_or_default(),
                until: held.retired.map(|at| at.plus(OVERLAP)),
                certificate_url: None,
            });
        mns.chain(webhooks).collect()
    }

    /// Everything up to the RSA signature: gives the key, and the text that it signs.
    fn prepare(
        &self,
        what: &ToSign<'_>,
        headers: &mut Headers,
    ) -> Result<Option<(Arc<rsa::Key>, String)>, SigningError> {
        let keys = self.keys();
        if self.settings.webhooks {
            let id = what.notification.message_id.to_string();
            let timestamp = wire::timestamp(what.now);
            let content = wire::content(&id, &timestamp, what.body);
            let derived = keys.webhooks.of(what.subscription, what.now);
            wire::push_headers(headers, id, timestamp, &derived.sign(&content));
        }
        if !self.settings.mns {
            return Ok(None);
        }
        let (key, held) = keys
            .mns(what.now)
            .ok_or_else(|| SigningError("there is no RSA key".to_owned()))?;
        let url = format!("{}{}", self.settings.certificate_base, held.file);
        headers.push((mns::CERT_URL, mns::cert_url_value(&url)));
        Ok(Some((
            key.clone(),
            mns::string_to_sign(headers, what.target),
        )))
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

    /// All signatures of a push, computed on this very thread: what the benchmark compares pushes with.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign_here(&self, what: &ToSign<'_>, headers: &mut Headers) -> Result<(), SigningError> {
        if let Some((key, text)) = self.prepare(what, headers)? {
            let signature = key.sign(text.as_bytes()).map_err(SigningError)?;
            headers.push((mns::AUTHORIZATION, BASE64.encode(signature)));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Signer for Signing {
    async fn sign(&self, what: ToSign<'_>, headers: &mut Headers) -> Result<(), SigningError> {
        if let Some((key, text)) = self.prepare(&what, headers)? {
            let signature = self.rsa(key, text).await?;
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
