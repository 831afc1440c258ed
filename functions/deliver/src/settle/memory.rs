//! What this process did of records that failed.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Records whose half-done state is remembered at most.
const REMEMBERED: usize = 1_024;

/// What was already done of records that must come again, so that it is not done twice.
#[derive(Debug, Default)]
pub(crate) struct DoneBefore(Mutex<HashMap<String, HashSet<usize>>>);

impl DoneBefore {
    pub(crate) fn contains(&self, record: &str, item: usize) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(record)
            .is_some_and(|items| items.contains(&item))
    }

    pub(super) fn forget(&self, record: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(record);
    }

    /// Adds items of a record that must come again.
    pub(super) fn remember(&self, record: &str, items: impl Iterator<Item = usize>) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= REMEMBERED && !records.contains_key(record) {
            // Losing this costs duplicates with equal ids, never a delivery.
            records.clear();
        }
        records.entry(record.to_owned()).or_default().extend(items);
    }
}
