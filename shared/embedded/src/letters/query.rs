//! Listing, looking at and deleting dead letters.

use super::id_bytes;
use crate::store::{FromOutage as _, Store};
use carillon_core::delivery::DeadLetter;
use carillon_core::event::Timestamp;
use carillon_core::ports::{DeadLetterAdmin, KeptDeadLetter, Page, Selection, StoreError};
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

/// Largest page.
const LARGEST_PAGE: usize = 1_000;

#[async_trait::async_trait]
impl DeadLetterAdmin for Store {
    async fn list(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        self.search_dead_letters(selection, "", from, limit).await
    }

    async fn get(&self, id: &str) -> Result<Option<KeptDeadLetter>, StoreError> {
        let Some(id) = read_id(id) else {
            return Ok(None);
        };
        let found = self.read(move |conn| {
            let mut query = conn
                .prepare_cached("SELECT id, at, reason, content FROM dead_letters WHERE id = ?1")?;
            let mut rows = query.query([id])?;
            rows.next()?.map(letter).transpose()
        });
        found
            .await
            .map_err(StoreError::from_outage)?
            .transpose()
            .map_err(StoreError)
    }

    async fn delete(&self, ids: &[String]) -> Result<usize, StoreError> {
        let ids: Vec<i64> = ids.iter().filter_map(|id| read_id(id)).collect();
        self.write(0, move |ledger| {
            let mut gone = 0;
            for id in ids {
                gone += ledger.run("DELETE FROM dead_letters WHERE id = ?1", [id])?;
            }
            Ok(Ok(gone))
        })
        .await
    }

    async fn redrive(&self, ids: &[String]) -> Result<usize, StoreError> {
        Store::redrive(self, ids).await
    }
}

impl Store {
    /// As [`DeadLetterAdmin::list`], of letters whose reason contains `text` (ASCII letters of either case).
    ///
    /// # Errors
    /// As there.
    pub async fn search_dead_letters(
        &self,
        selection: &Selection,
        text: &str,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        let before = from.map(read_cursor).transpose()?;
        let selection = selection.clone();
        let text = text.to_owned();
        let limit = limit.clamp(1, LARGEST_PAGE);
        let read = self.read(move |conn| select(conn, &selection, &text, before, limit + 1));
        let rows = read.await.map_err(StoreError::from_outage)?;
        let mut items = rows
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(StoreError)?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page {
            next: items.last().filter(|_| more).map(|last| last.id.clone()),
            items,
        })
    }
}

pub(super) fn read_id(id: &str) -> Option<i64> {
    id.parse().ok().filter(|&id| id > 0)
}

/// Reads the `next` of a page.
pub(crate) fn read_cursor(from: &str) -> Result<i64, StoreError> {
    read_id(from).ok_or_else(|| {
        StoreError(format!(
            "{:?} is no place in a list: give `next` of the page before back as it is",
            from.chars().take(64).collect::<String>()
        ))
    })
}

/// SQL of the conditions and their values.
pub(super) fn conditions(
    selection: &Selection,
    text: &str,
    before: Option<i64>,
) -> (String, Vec<Value>) {
    let mut sql = String::from("1");
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(id) = &selection.message_id {
        and("message_id =", Value::Blob(id_bytes(id).to_vec()));
    }
    if let Some(product) = &selection.product {
        and("product =", Value::Text(product.to_string()));
    }
    if let Some(rule) = &selection.rule {
        and("rule =", Value::Text(rule.to_string()));
    }
    if let Some(topic) = &selection.topic {
        and("topic =", Value::Text(topic.to_string()));
    }
    if let Some(subscription) = &selection.subscription {
        and("subscription =", Value::Text(subscription.to_string()));
    }
    if let Some(since) = selection.since {
        and("at >=", Value::Integer(since.as_millis()));
    }
    if let Some(until) = selection.until {
        and("at <", Value::Integer(until.as_millis()));
    }
    if !text.is_empty() {
        let escaped = text
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        and("reason LIKE", Value::Text(format!("%{escaped}%")));
        sql.push_str(" ESCAPE '\\'");
    }
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(before) = before {
        and("id <", Value::Integer(before));
    }
    (sql, values)
}

fn select(
    conn: &Connection,
    selection: &Selection,
    text: &str,
    before: Option<i64>,
    limit: usize,
) -> rusqlite::Result<Vec<Result<KeptDeadLetter, String>>> {
    let (conditions, values) = conditions(selection, text, before);
    let mut query = conn.prepare_cached(&format!(
        "SELECT id, at, reason, content FROM dead_letters WHERE {conditions} ORDER BY id DESC LIMIT {limit}"
    ))?;
    query
        .query_map(rusqlite::params_from_iter(values), letter)?
        .collect()
}

/// The inner error is a row that cannot be read.
pub(super) fn letter(row: &Row<'_>) -> rusqlite::Result<Result<KeptDeadLetter, String>> {
    let id: i64 = row.get(0)?;
    let content = row.get_ref(3)?.as_str()?;
    let content = match serde_json::from_str(content) {
        Ok(content) => content,
        Err(error) => {
            return Ok(Err(format!(
                "dead letter {id} cannot be read ({error}): was it written by a newer release?"
            )));
        }
    };
    Ok(Ok(KeptDeadLetter {
        id: id.to_string(),
        letter: DeadLetter {
            at: Timestamp::from_millis(row.get(1)?),
            reason: row.get(2)?,
            content,
        },
    }))
}
