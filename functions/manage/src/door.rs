//! The door of the control plane where its access keys stand in a document that an operator may change at any time: a key
//! that was taken out must not open it any more, and a key that was put in shall.

use crate::service::{AccessKey, Role};
use axum::Router;
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, StoreError};
use serde::Deserialize;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long what was read of the document counts: a key that was taken out opens the door no longer than this.
const FRESH: Duration = Duration::from_secs(30);
/// Longest time that reading it again may hold a request up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whatever kept the door from being opened.
pub type DoorError = Box<dyn Error + Send + Sync>;

/// Where the access keys stand: a JSON array of `{"id", "secret", "role"}`.
#[async_trait::async_trait]
pub trait AccessKeyDocument: Send + Sync {
    /// The document; none when it was never written.
    async fn read(&self) -> Result<Option<String>, StoreError>;
}

#[derive(Deserialize)]
struct Key {
    id: String,
    secret: String,
    role: String,
}

/// Holds the control plane, made for the keys of the document.
pub struct Door {
    document: Option<Arc<dyn AccessKeyDocument>>,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

struct Held {
    /// By the clock: a function that is frozen between two requests does not run.
    read: Timestamp,
    document: Option<String>,
    /// None: closed for want of a key.
    router: Option<Router>,
}

impl Door {
    /// A door for the keys of this document; without one, for requests that somebody else has checked.
    #[must_use]
    pub fn new(document: Option<Arc<dyn AccessKeyDocument>>, clock: Arc<dyn Clock>) -> Self {
        Door {
            document,
            clock,
            held: Mutex::default(),
        }
    }

    /// The control plane for the keys as they are now, made by `open` when they are others than before; none while there
    /// is no key. Keys that cannot be read now stay as they were; a document that says nothing readable closes the door.
    ///
    /// # Errors
    /// What keeps the door from being opened. The next request tries again.
    pub async fn router<F, O>(&self, open: F) -> Result<Option<Router>, DoorError>
    where
        F: FnOnce(Vec<AccessKey>) -> O,
        O: Future<Output = Result<Router, DoorError>>,
    {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let Some(source) = &self.document else {
            if held.is_none() {
                *held = Some(Held {
                    read: now,
                    document: None,
                    router: Some(open(Vec::new()).await?),
                });
            }
            return Ok(held.as_ref().and_then(|held| held.router.clone()));
        };
        if let Some(held) = held.as_ref().filter(|held| now.since(held.read) < FRESH) {
            return Ok(held.router.clone());
        }
        let read = match tokio::time::timeout(PATIENCE, source.read()).await {
            Ok(read) => read,
            Err(_) => Err(StoreError(format!("no answer within {PATIENCE:?}"))),
        };
        let document = match (read, held.as_mut()) {
            (Ok(document), Some(held)) if document == held.document => {
                held.read = now;
                return Ok(held.router.clone());
            }
            (Ok(document), _) => document,
            (Err(error), Some(held)) => {
                tracing::warn!(%error, "the access keys could not be read again; those at hand stay");
                held.read = now;
                return Ok(held.router.clone());
            }
            (Err(error), None) => return Err(error.into()),
        };
        // What was held is for keys that are no longer the operator's.
        *held = None;
        let keys = document.as_deref().map_or(Ok(Vec::new()), keys)?;
        let router = match keys.is_empty() {
            true => None,
            false => Some(open(keys).await?),
        };
        *held = Some(Held {
            read: now,
            document,
            router: router.clone(),
        });
        Ok(router)
    }
}

fn keys(document: &str) -> Result<Vec<AccessKey>, DoorError> {
    // The error says where, and never what: the document is secret.
    let keys: Vec<Key> = serde_json::from_str(document).map_err(|error| {
        format!(
            "the access keys are no JSON array of id, secret and role (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    keys.into_iter()
        .map(|key| {
            let role = Role::parse(&key.role).ok_or_else(|| {
                format!(
                    "access key {:?} has the unknown role {:?}",
                    key.id, key.role
                )
            })?;
            Ok(AccessKey {
                id: key.id,
                secret: key.secret,
                role,
            })
        })
        .collect()
}
