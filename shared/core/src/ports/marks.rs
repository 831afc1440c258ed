//! Marks that stand for a while: nonces that were used, tokens of requests that were answered.

use super::StoreError;
use crate::event::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Remembers marks for all processes of one service, over their restarts.
#[async_trait::async_trait]
pub trait Marks: Send + Sync {
    /// Sets a mark until `until`, unless one of this name stands at `now`: then nothing changes, and the value of the one
    /// that stands is given. Of two that set one name at a time, exactly one is given `None`.
    ///
    /// When it answers, the mark survives the process; what is written to the same store later is never kept without it.
    /// A power cut may forget the marks of the last moments that nothing was written after.
    ///
    /// Names and values are at most 1 KiB; keep them short.
    async fn set(
        &self,
        name: &str,
        value: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<String>, StoreError>;

    /// The value of the mark that stands at `now`.
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<String>, StoreError>;
}

/// Marks of one process, which forgets them when it ends: for tests, and where nobody but this machine can ask.
#[derive(Debug, Default)]
pub struct MemoryMarks(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    marks: HashMap<String, (String, Timestamp), foldhash::fast::FixedState>,
    /// When so many are held, those that ended are cleared away.
    clear_at: usize,
}

/// Fewest marks worth clearing.
const FEW: usize = 1_024;

#[async_trait::async_trait]
impl Marks for MemoryMarks {
    async fn set(
        &self,
        name: &str,
        value: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((held, end)) = kept.marks.get(name)
            && *end > now
        {
            return Ok(Some(held.clone()));
        }
        if kept.marks.len() >= kept.clear_at.max(FEW) {
            kept.marks.retain(|_, (_, end)| *end > now);
            // Doubling: the work of clearing is shared by as many marks as it left.
            kept.clear_at = kept.marks.len() * 2;
        }
        kept.marks
            .insert(name.to_owned(), (value.to_owned(), until));
        Ok(None)
    }

    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept
            .marks
            .get(name)
            .filter(|(_, end)| *end > now)
            .map(|(value, _)| value.clone()))
    }
}
