//! The archive: every pack of events that was accepted, kept for a while.
//!
//! A pack is kept by the transaction that puts it on the match queue, so what was accepted is kept and the other way
//! round, whatever happens in between; and the one commit serves both. It lies compressed: the sender's task does
//! that, never the writer.

mod read;
mod sweep;

pub(crate) use sweep::Keeping;

use crate::store::{Ledger, Store};
use carillon_core::event::Timestamp;
use carillon_core::ports::OutgoingMessage;

/// Bits of a place that number the packs of one millisecond.
const WITHIN: u32 = 20;

/// The first place of a millisecond.
fn first_place(at: Timestamp) -> i64 {
    // Times before 1970 or after the year 10000 are no clock's; they end at the ends of the table.
    at.as_millis().clamp(0, i64::MAX >> WITHIN) << WITHIN
}

/// The millisecond of a place.
fn time_of(place: i64) -> Timestamp {
    Timestamp::from_millis(place >> WITHIN)
}

/// Packs in the form they are kept in; none of a store that keeps none.
pub(crate) struct Packed(Vec<Vec<u8>>);

impl Packed {
    /// Compresses the messages, when the store keeps packs.
    pub(crate) fn of(store: &Store, messages: &[OutgoingMessage]) -> Self {
        if store.inner.shared.settings.keep_events.is_zero() {
            return Packed(Vec::new());
        }
        let packs = messages.iter();
        Packed(
            packs
                .map(|message| lz4_flex::compress_prepend_size(message.body.as_bytes()))
                .collect(),
        )
    }

    /// Bytes, in all.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The pack of the message at this position.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index).map(Vec::as_slice)
    }
}

impl Ledger {
    /// Keeps a pack, in the running transaction.
    pub(crate) fn keep_pack(&mut self, pack: &[u8]) -> rusqlite::Result<()> {
        let first = first_place(self.now);
        // A transaction that is undone leaves its places empty; nothing minds.
        let place = if first > self.keeping.newest {
            first
        } else if time_of(self.keeping.newest) == time_of(first) {
            self.keeping.newest + 1
        } else {
            // The clock was set back: behind what this millisecond holds already.
            let last: Option<i64> = self
                .conn
                .prepare_cached("SELECT max(place) FROM archive WHERE place >= ?1 AND place < ?2")?
                .query_row((first, first + (1 << WITHIN)), |row| row.get(0))?;
            last.map_or(first, |last| last + 1)
        };
        let sum = self.keeping.sum.saturating_add(bytes(pack));
        self.run(
            "INSERT INTO archive (place, sum, pack) VALUES (?1, ?2, ?3)",
            (place, sum, pack),
        )?;
        self.keeping.newest = self.keeping.newest.max(place);
        self.keeping.sum = sum;
        Ok(())
    }
}

/// Bytes that a pack counts for: itself, and about what its row takes besides.
fn bytes(pack: &[u8]) -> i64 {
    i64::try_from(pack.len()).unwrap_or(i64::MAX / 2) + 24
}
