//! Marks that stand for a while.

use crate::store::{Care, FromOutage as _, Ledger, Outcome, Store};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Marks, StoreError};
use rusqlite::{Connection, OptionalExtension as _};

#[async_trait::async_trait]
impl Marks for Store {
    async fn set(
        &self,
        name: &str,
        value: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        // Not waiting for the disk: a mark stands in the log before all that is written after it, so what a request
        // changed is never there without the mark of that request.
        let bytes = name.len() + value.len();
        self.write_with(Care::Committed, bytes, move |ledger| {
            ledger.set_mark(&name, &value, now, until)
        })
        .await
    }

    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |conn| standing(conn, &name, now))
            .await
            .map_err(StoreError::from_outage)
    }
}

fn standing(conn: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT value FROM marks WHERE name = ?1 AND until > ?2")?
        .query_row((name, now.as_millis()), |row| row.get(0))
        .optional()
}

impl Ledger {
    fn set_mark(
        &mut self,
        name: &str,
        value: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Outcome<Option<String>, StoreError> {
        if let Some(held) = standing(&self.conn, name, now)? {
            return Ok(Ok(Some(held)));
        }
        self.run(
            "INSERT OR REPLACE INTO marks (name, value, until) VALUES (?1, ?2, ?3)",
            (name, value, until.as_millis()),
        )?;
        Ok(Ok(None))
    }

    /// Removes marks that have ended.
    pub(crate) fn sweep_marks(&mut self, limit: i64) -> rusqlite::Result<i64> {
        let swept = self.run(
            "DELETE FROM marks WHERE name IN (SELECT name FROM marks WHERE until <= ?1 ORDER BY until LIMIT ?2)",
            (self.now.as_millis(), limit),
        )?;
        Ok(i64::try_from(swept).unwrap_or(limit))
    }
}
