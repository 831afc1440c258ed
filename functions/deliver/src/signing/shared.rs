//! Keys that other processes turn over: fetched when first needed, and again from time to time.

use super::{CertificatePlace, KeyStore, Signing, SigningSettings, SigningSetupError};
use crate::signer::{Signer, SigningError, ToSign};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, StoreError};
use carillon_core::push::headers::Headers;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How often the keys are fetched again: a rotation by another process is seen within this time, long before the new key
/// signs.
const FRESH: Duration = Duration::from_secs(30);
/// Longest time that fetching them again may hold a batch up: the keys at hand go on signing.
const PATIENCE: Duration = Duration::from_secs(3);

/// Signs by keys that it shares with other processes, and puts their certificates where another process serves them.
pub struct SharedKeys {
    store: Arc<dyn KeyStore>,
    place: Arc<dyn CertificatePlace>,
    clock: Arc<dyn Clock>,
    settings: SigningSettings,
    opened: OnceCell<Opened>,
}

struct Opened {
    signing: Signing,
    /// By the clock, and not by the time that this process has run: a function that is frozen between two batches does
    /// not run.
    fetched: Mutex<Timestamp>,
    /// Files of certificates that were put in their place. A file's name is its key's: the same name is the same text.
    shown: Mutex<BTreeSet<String>>,
}

impl SharedKeys {
    /// Keys of this store. Fetches nothing yet.
    #[must_use]
    pub fn new(
        store: Arc<dyn KeyStore>,
        place: Arc<dyn CertificatePlace>,
        clock: Arc<dyn Clock>,
        settings: SigningSettings,
    ) -> Self {
        SharedKeys {
            store,
            place,
            clock,
            settings,
            opened: OnceCell::new(),
        }
    }

    /// Fetches the keys, or makes them on first run, if that was not done yet.
    ///
    /// # Errors
    /// [`SigningSetupError`]; the next push tries again.
    pub async fn open(&self) -> Result<(), SigningSetupError> {
        self.opened().await.map(drop)
    }

    async fn opened(&self) -> Result<&Opened, SigningSetupError> {
        let open = || async {
            let settings = self.settings.clone();
            let fetched = Mutex::new(self.clock.now());
            let signing = Signing::open(&*self.store, self.clock.clone(), settings).await?;
            let opened = Opened {
                signing,
                fetched,
                shown: Mutex::default(),
            };
            self.show(&opened).await?;
            Ok(opened)
        };
        self.opened.get_or_try_init(open).await
    }

    /// Puts the certificates where receivers find them, before any push names them; those that lie there already are
    /// left alone.
    async fn show(&self, opened: &Opened) -> Result<(), StoreError> {
        let shown = || opened.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, pem) in opened.signing.certificates() {
            if !shown().contains(&file) {
                self.place.put(&file, &pem).await?;
                shown().insert(file);
            }
        }
        Ok(())
    }

    /// Fetches the keys again if that was half a minute ago. For the beginning of a batch: what cannot be fetched now is
    /// logged, and holds nothing up for long.
    pub async fn keep_fresh(&self) {
        let Some(opened) = self.opened.get() else {
            return;
        };
        let now = self.clock.now();
        {
            let mut fetched = opened
                .fetched
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if now.since(*fetched) < FRESH {
                return;
            }
            *fetched = now;
        }
        let fresh = async {
            opened.signing.reload(&*self.store).await?;
            self.show(opened).await?;
            Ok::<_, SigningSetupError>(())
        };
        let reason = match tokio::time::timeout(PATIENCE, fresh).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        tracing::warn!(
            reason,
            "the signing keys could not be fetched again; the ones at hand go on signing"
        );
    }
}

#[async_trait::async_trait]
impl Signer for SharedKeys {
    async fn sign(&self, what: ToSign<'_>, headers: &mut Headers) -> Result<(), SigningError> {
        let opened = self.opened().await;
        let opened = opened.map_err(|error| SigningError(error.to_string()))?;
        opened.signing.sign(what, headers).await
    }
}
