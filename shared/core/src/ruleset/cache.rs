//! The snapshot a process judges by, refreshed when the store's version moves.

use super::Snapshot;
use crate::ports::{RuleStore, StoreError};
use std::sync::{Arc, RwLock};

/// Holds the newest snapshot seen. One per process (or per Lambda environment).
pub struct SnapshotCache {
    store: Arc<dyn RuleStore>,
    held: RwLock<Arc<Snapshot>>,
}

impl SnapshotCache {
    /// An empty cache over the store; the first [`current`](Self::current) fills it.
    #[must_use]
    pub fn new(store: Arc<dyn RuleStore>) -> Self {
        SnapshotCache {
            store,
            held: RwLock::default(),
        }
    }

    /// The snapshot of the store's present version. Asks the store for its version, and loads only when that moved.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn current(&self) -> Result<Arc<Snapshot>, StoreError> {
        let version = self.store.version().await?;
        let held = self.held();
        if held.version() >= version {
            return Ok(held);
        }
        let fresh = Arc::new(Snapshot::build(self.store.load().await?));
        let mut slot = self
            .held
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Two tasks may have loaded at once; the newer one stays.
        if slot.version() < fresh.version() {
            *slot = fresh;
        }
        Ok(slot.clone())
    }

    fn held(&self) -> Arc<Snapshot> {
        self.held
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}
