//! What the archive lets go: packs past their time, and the oldest beyond its size.

use super::{first_place, time_of};
use crate::settings::Settings;
use crate::store::Ledger;
use carillon_core::event::Timestamp;
use rusqlite::Connection;

/// Most bytes, compressed, that one sweep deletes: nobody may wait for it.
const ONCE: i64 = 4 << 20;

/// What the writer knows of the archive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keeping {
    /// The last place taken.
    pub(super) newest: i64,
    /// The newest row's `sum`.
    pub(super) sum: i64,
}

impl Keeping {
    /// Reads the newest row.
    pub(crate) fn recall(conn: &Connection) -> rusqlite::Result<Self> {
        let (newest, sum) = conn.query_row(
            "SELECT coalesce(max(place), 0), coalesce((SELECT sum FROM archive ORDER BY place DESC LIMIT 1), 0) FROM archive",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Keeping { newest, sum })
    }
}

/// Packs older than this are let go.
fn end_of_time(settings: &Settings, now: Timestamp) -> i64 {
    let keep = i64::try_from(settings.keep_events.as_millis()).unwrap_or(i64::MAX);
    first_place(Timestamp::from_millis(now.as_millis().saturating_sub(keep)))
}

impl Ledger {
    /// Deletes up to `limit` packs, oldest first; tells how many, or `limit` when there may be more.
    pub(crate) fn sweep_archive(&mut self, limit: i64) -> rusqlite::Result<i64> {
        let end = end_of_time(&self.settings, self.now);
        let most = i64::try_from(self.settings.most_event_bytes()).unwrap_or(i64::MAX);
        let mut last = None;
        let mut swept = 0;
        let mut more = false;
        {
            let mut oldest = self
                .conn
                .prepare_cached("SELECT place, sum FROM archive ORDER BY place LIMIT ?1")?;
            let mut rows = oldest.query([limit])?;
            let mut begin = None;
            while let Some(row) = rows.next()? {
                let (place, sum): (i64, i64) = (row.get(0)?, row.get(1)?);
                let is_old = place < end;
                // What would be left without this one and all before it. Sums may go down where a clock was set back.
                let is_much = self.keeping.sum.saturating_sub(sum) >= most;
                let begin = *begin.get_or_insert(sum);
                if !(is_old || is_much) {
                    break;
                }
                if sum.saturating_sub(begin) > ONCE {
                    more = true;
                    break;
                }
                last = Some(place);
                swept += 1;
            }
        }
        if let Some(last) = last {
            self.run("DELETE FROM archive WHERE place <= ?1", [last])?;
            tracing::debug!(packs = swept, until = %time_of(last), "old events let go");
        }
        Ok(if more { limit } else { swept })
    }
}
