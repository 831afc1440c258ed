//! The attempt log.

use crate::letters::{id_bytes, read_cursor};
use crate::store::{Care, FromOutage as _, Job, Ledger, Outage, Store};
use carillon_core::delivery::{Attempt, Outcome, OutcomeClass};
use carillon_core::event::{MessageId, Product, Timestamp};
use carillon_core::ports::{
    AttemptLog, AttemptQuery, AttemptRecord, Followed, Page, Selection, StoreError,
};
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Largest page.
const LARGEST_PAGE: usize = 1_000;

#[async_trait::async_trait]
impl AttemptLog for Store {
    async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        let kept = self.worth_keeping(attempts);
        if kept.is_empty() {
            return Ok(());
        }
        let bytes = kept
            .iter()
            .map(|kept| 128 + kept.attempt.outcome.detail.len())
            .sum();
        self.write_with(Care::Lazy, bytes, move |ledger| {
            for attempt in &kept {
                ledger.insert_attempt(attempt)?;
            }
            Ok(Ok(()))
        })
        .await
    }
}

impl Store {
    /// As `record`, for those who do not wait.
    pub(crate) fn log_attempts(&self, attempts: Vec<AttemptRecord>) {
        let kept = self.worth_keeping(attempts);
        if kept.is_empty() {
            return;
        }
        self.inner.shared.inbox.push_now(Job::Write {
            care: Care::Lazy,
            run: Box::new(move |ledger| {
                let logged: Result<(), Outage> = ledger.alone(|ledger| {
                    for attempt in &kept {
                        ledger.insert_attempt(attempt)?;
                    }
                    Ok(Ok(()))
                });
                Box::new(move |fate| {
                    if let Some(outage) = fate.err().or(logged.as_ref().err()) {
                        tracing::warn!(reason = %outage, "attempts are missing from the log");
                    }
                })
            }),
        });
    }

    fn worth_keeping(&self, attempts: Vec<AttemptRecord>) -> Vec<AttemptRecord> {
        let shared = &self.inner.shared;
        shared.attempt_counts.count(&attempts);
        let successes = attempts
            .iter()
            .filter(|attempt| attempt.attempt.outcome.class == OutcomeClass::Success)
            .count();
        let share = shared.successes.share(
            successes,
            shared.settings.clock.now(),
            shared.settings.most_successes_a_second,
        );
        let sample = shared.settings.sample_successes.saturating_mul(share);
        attempts
            .into_iter()
            .filter(|attempt| is_kept(attempt, sample))
            .collect()
    }
}

/// How many successes come, so that a flood of them is sampled.
#[derive(Debug, Default)]
pub(crate) struct Successes(Mutex<Seconds>);

#[derive(Debug, Default)]
struct Seconds {
    second: i64,
    count: u32,
    /// One in so many is kept this second.
    share: u32,
}

impl Successes {
    /// Counts `more`, and says that one in so many is to be kept: by what came in the second before, and at once when this
    /// one brings more than that.
    fn share(&self, more: usize, now: Timestamp, most: u32) -> u32 {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let most = most.max(1);
        let second = now.as_millis() / 1000;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.second != second {
            let before = if held.second + 1 == second {
                held.count
            } else {
                0
            };
            *held = Seconds {
                second,
                count: 0,
                share: before.div_ceil(most).max(1),
            };
        }
        held.count = held.count.saturating_add(more);
        held.share = held.share.max(held.count.div_ceil(most));
        held.share
    }
}

/// Message ids are digests, so their last bits are as good as drawn: a message is in the sample or not, all its attempts
/// alike.
fn is_kept(attempt: &AttemptRecord, sample: u32) -> bool {
    if attempt.attempt.outcome.class != OutcomeClass::Success {
        return true;
    }
    let id = u128::from_be_bytes(id_bytes(&attempt.message_id));
    sample != 0 && id.is_multiple_of(u128::from(sample))
}

fn class_number(class: OutcomeClass) -> i64 {
    match class {
        OutcomeClass::Success => 0,
        OutcomeClass::Retry => 1,
        OutcomeClass::Hopeless => 2,
    }
}

impl Ledger {
    fn insert_attempt(&mut self, record: &AttemptRecord) -> rusqlite::Result<()> {
        self.effects.attempts = true;
        let names = (
            record.product.as_str(),
            record.rule.as_str(),
            record.topic.as_str(),
            record.subscription.as_str(),
        );
        let route = |ledger: &Ledger| -> rusqlite::Result<Option<i64>> {
            use rusqlite::OptionalExtension as _;
            ledger
                .conn
                .prepare_cached(
                    "SELECT id FROM routes WHERE product = ?1 AND rule = ?2 AND topic = ?3 AND subscription = ?4",
                )?
                .query_row(names, |row| row.get(0))
                .optional()
        };
        let route = match route(self)? {
            Some(route) => route,
            None => {
                self.run(
                    "INSERT INTO routes (product, rule, topic, subscription) VALUES (?1, ?2, ?3, ?4)",
                    names,
                )?;
                self.conn.last_insert_rowid()
            }
        };
        let Attempt {
            at,
            took_ms,
            outcome,
        } = &record.attempt;
        let retry_after = outcome
            .retry_after
            .map(|wish| i64::try_from(wish.as_millis()).unwrap_or(i64::MAX));
        self.run(
            "INSERT INTO attempts (route, message_id, number, at, took_ms, class, status, detail, retry_after_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                route,
                id_bytes(&record.message_id),
                record.number,
                at.as_millis(),
                took_ms,
                class_number(outcome.class),
                outcome.status,
                &outcome.detail,
                retry_after,
            ),
        )
        .map(drop)
    }
}

#[async_trait::async_trait]
impl AttemptQuery for Store {
    async fn attempts(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<AttemptRecord>, StoreError> {
        let before = from.map(read_cursor).transpose()?;
        let selection = selection.clone();
        let limit = limit.clamp(1, LARGEST_PAGE);
        let read =
            self.read(move |conn| select(conn, &selection, Range::Before(before), limit + 1));
        let mut rows = read.await.map_err(StoreError::from_outage)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Page {
            next: rows.last().filter(|_| more).map(|(id, _)| id.to_string()),
            items: rows.into_iter().map(|(_, record)| record).collect(),
        })
    }

    async fn follow(
        &self,
        selection: &Selection,
        after: Option<&str>,
        limit: usize,
        wait: Duration,
    ) -> Result<Option<Followed>, StoreError> {
        let limit = limit.clamp(1, LARGEST_PAGE);
        // By real time, also under a clock that stands still: a follower waits for a person.
        let end = tokio::time::sleep(wait);
        tokio::pin!(end);
        // Subscribed before the first look: what is recorded from now on is noticed.
        let mut moved = self.inner.shared.attempts.subscribe();
        let mut after = after.map(read_start).transpose()?;
        loop {
            moved.mark_unchanged();
            let wanted = selection.clone();
            let read = self
                .read(move |conn| newer(conn, &wanted, after, limit))
                .await;
            let (items, last) = read.map_err(StoreError::from_outage)?;
            after = Some(last);
            if !items.is_empty() || end.is_elapsed() {
                return Ok(Some(Followed {
                    items,
                    next: last.to_string(),
                }));
            }
            tokio::select! {
                _ = moved.changed() => {}
                () = &mut end => {}
            }
        }
    }
}

/// Attempts after an id, oldest first, and the id to go on from. Without an id: none yet, and the newest there is.
fn newer(
    conn: &Connection,
    selection: &Selection,
    after: Option<i64>,
    limit: usize,
) -> rusqlite::Result<(Vec<AttemptRecord>, i64)> {
    // A reader's whole work is one look at the file: what is recorded between the two questions is in neither.
    // The sequence and not the greatest id: the log may have been swept empty.
    let newest = conn
        .prepare_cached(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'attempts'",
        )?
        .query_row([], |row| row.get(0))?;
    let Some(after) = after else {
        return Ok((Vec::new(), newest));
    };
    let rows = select(conn, selection, Range::After(after), limit)?;
    let last = match rows.last() {
        Some((id, _)) if rows.len() == limit => *id,
        _ => newest.max(after),
    };
    Ok((rows.into_iter().map(|(_, record)| record).collect(), last))
}

/// Where to go on: an id, or 0 of a log that was still empty.
fn read_start(text: &str) -> Result<i64, StoreError> {
    match text {
        "0" => Ok(0),
        other => read_cursor(other),
    }
}

/// Which part of the log, and in which order.
enum Range {
    /// Before an id, newest first.
    Before(Option<i64>),
    /// After an id, oldest first.
    After(i64),
}

fn select(
    conn: &Connection,
    selection: &Selection,
    range: Range,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, AttemptRecord)>> {
    let mut sql = String::from(
        "SELECT a.id, a.message_id, r.product, r.rule, r.topic, r.subscription, a.number, a.at, a.took_ms, a.class, \
         a.status, a.detail, a.retry_after_ms FROM attempts a JOIN routes r ON r.id = a.route WHERE 1",
    );
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(id) = &selection.message_id {
        and("a.message_id =", Value::Blob(id_bytes(id).to_vec()));
    }
    if let Some(product) = &selection.product {
        and("r.product =", Value::Text(product.to_string()));
    }
    if let Some(rule) = &selection.rule {
        and("r.rule =", Value::Text(rule.to_string()));
    }
    if let Some(topic) = &selection.topic {
        and("r.topic =", Value::Text(topic.to_string()));
    }
    if let Some(subscription) = &selection.subscription {
        and("r.subscription =", Value::Text(subscription.to_string()));
    }
    if let Some(class) = selection.class {
        and("a.class =", Value::Integer(class_number(class)));
    }
    if let Some(status) = selection.status {
        and("a.status =", Value::Integer(i64::from(status)));
    }
    if let Some(since) = selection.since {
        and("a.at >=", Value::Integer(since.as_millis()));
    }
    if let Some(until) = selection.until {
        and("a.at <", Value::Integer(until.as_millis()));
    }
    let order = match range {
        Range::Before(None) => "DESC",
        Range::Before(Some(before)) => {
            and("a.id <", Value::Integer(before));
            "DESC"
        }
        Range::After(after) => {
            and("a.id >", Value::Integer(after));
            "ASC"
        }
    };
    sql.push_str(&format!(" ORDER BY a.id {order} LIMIT {limit}"));
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_map(rusqlite::params_from_iter(values), |row| {
            Ok((row.get(0)?, record(row)?))
        })?
        .collect()
}

fn record(row: &Row<'_>) -> rusqlite::Result<AttemptRecord> {
    let class = match row.get(9)? {
        0 => OutcomeClass::Success,
        1 => OutcomeClass::Retry,
        _ => OutcomeClass::Hopeless,
    };
    Ok(AttemptRecord {
        message_id: MessageId::from_bits(u128::from_be_bytes(row.get(1)?)),
        product: name(row, 2, Product::parse)?,
        rule: name(row, 3, RuleName::parse)?,
        topic: name(row, 4, TopicName::parse)?,
        subscription: name(row, 5, SubscriptionName::parse)?,
        number: row.get(6)?,
        attempt: Attempt {
            at: Timestamp::from_millis(row.get(7)?),
            took_ms: row.get(8)?,
            outcome: Outcome {
                class,
                status: row.get(10)?,
                detail: row.get(11)?,
                retry_after: row.get::<_, Option<u64>>(12)?.map(Duration::from_millis),
            },
        },
    })
}

fn name<T, E: std::error::Error + Send + Sync + 'static>(
    row: &Row<'_>,
    column: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
