//! Reading the archive, and sending from it.

use super::{first_place, time_of};
use crate::letters::read_cursor;
use crate::store::{FromOutage as _, Store};
use carillon_core::event::Timestamp;
use carillon_core::ports::{EventArchive, KeptPack, Page, QueueError, Stage, StoreError};
use rusqlite::Connection;

/// Most packs of a page: 16 MiB of them at most.
const LARGEST_PAGE: usize = 256;

#[async_trait::async_trait]
impl EventArchive for Store {
    async fn packs(
        &self,
        since: Timestamp,
        until: Timestamp,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptPack>, StoreError> {
        let begin = match from {
            Some(from) => read_cursor(from)?,
            None => first_place(since),
        };
        let end = first_place(until);
        let limit = limit.clamp(1, LARGEST_PAGE);
        let read = self.read(move |conn| select(conn, begin, end, limit + 1));
        let mut rows = read.await.map_err(StoreError::from_outage)?;
        let next = (rows.len() > limit).then(|| rows[limit].0.to_string());
        rows.truncate(limit);
        let packs = rows.into_iter().map(|(place, pack)| {
            let message = pack.map_err(|reason| {
                StoreError(format!(
                    "the pack of {} cannot be read ({reason}): replay what lies before it and after it",
                    time_of(place)
                ))
            })?;
            Ok(KeptPack {
                at: time_of(place),
                message,
            })
        });
        Ok(Page {
            items: packs.collect::<Result<_, StoreError>>()?,
            next,
        })
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = self.read(|conn| {
            conn.query_row("SELECT min(place) FROM archive", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
        });
        let place = read.await.map_err(StoreError::from_outage)?;
        Ok(place.map(time_of))
    }

    async fn send_again(&self, packs: Vec<String>) -> Vec<Result<(), QueueError>> {
        let count = packs.len();
        let bytes = packs.iter().map(String::len).sum();
        let sent = self.write(bytes, move |ledger| {
            let now = ledger.now;
            for pack in &packs {
                ledger.insert_record(Stage::Match, None, now, pack)?;
            }
            Ok(Ok(()))
        });
        let sent: Result<(), QueueError> = sent.await;
        vec![sent; count]
    }
}

fn select(
    conn: &Connection,
    begin: i64,
    end: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Result<String, String>)>> {
    let mut query = conn.prepare_cached(
        "SELECT place, pack FROM archive WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    query
        .query_map((begin, end, limit), |row| {
            Ok((row.get(0)?, unpacked(row.get_ref(1)?.as_blob()?)))
        })?
        .collect()
}

fn unpacked(pack: &[u8]) -> Result<String, String> {
    let bytes = lz4_flex::decompress_size_prepended(pack).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
