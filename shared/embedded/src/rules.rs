//! The rules table.

use crate::store::{FromOutage as _, Ledger, Outcome, Store};
use carillon_core::ports::{Change, CommitError, Records, RuleStore, StoreError};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[async_trait::async_trait]
impl RuleStore for Store {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(self.rules_version())
    }

    async fn load(&self) -> Result<Records, StoreError> {
        match self.read(load).await {
            Ok(loaded) => loaded,
            Err(outage) => Err(StoreError::from_outage(outage)),
        }
    }

    async fn commit(&self, expected: u64, changes: Vec<Change>) -> Result<u64, CommitError> {
        self.write(0, move |ledger| ledger.commit_rules(expected, &changes))
            .await
    }
}

fn load(conn: &Connection) -> rusqlite::Result<Result<Records, StoreError>> {
    let version: i64 = conn
        .prepare_cached("SELECT coalesce((SELECT value FROM meta WHERE key = 'rules'), 0)")?
        .query_row([], |row| row.get(0))?;
    let rules = all(
        conn,
        "rule",
        "SELECT product || '/' || name, json FROM rules ORDER BY product, name",
    )?;
    let topics = all(conn, "topic", "SELECT name, json FROM topics ORDER BY name")?;
    let subscriptions = all(
        conn,
        "subscription",
        "SELECT topic || '/' || name, json FROM subscriptions ORDER BY topic, name",
    )?;
    Ok((|| {
        Ok(Records {
            version: u64::try_from(version).unwrap_or(0),
            rules: rules?,
            topics: topics?,
            subscriptions: subscriptions?,
        })
    })())
}

fn all<T: DeserializeOwned>(
    conn: &Connection,
    what: &str,
    sql: &str,
) -> rusqlite::Result<Result<Vec<T>, StoreError>> {
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query([])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let json = row.get_ref(1)?.as_str()?;
        match serde_json::from_str(json) {
            Ok(item) => items.push(item),
            Err(error) => {
                let name: String = row.get(0)?;
                return Ok(Err(StoreError(format!(
                    "the stored {what} {name:?} cannot be read ({error}): was it written by a newer release?"
                ))));
            }
        }
    }
    Ok(Ok(items))
}

fn json(item: &impl Serialize) -> String {
    serde_json::to_string(item)
        .expect("rules, topics and subscriptions have only string keys and finite numbers")
}

impl Ledger {
    fn commit_rules(&mut self, expected: u64, changes: &[Change]) -> Outcome<u64, CommitError> {
        let held: i64 = self
            .conn
            .prepare_cached("SELECT coalesce((SELECT value FROM meta WHERE key = 'rules'), 0)")?
            .query_row([], |row| row.get(0))?;
        let version = u64::try_from(held).unwrap_or(0);
        if version != expected {
            return Ok(Err(CommitError::Moved(version)));
        }
        for change in changes {
            match change {
                Change::PutRule(rule) => self.run(
                    "INSERT OR REPLACE INTO rules (product, name, json) VALUES (?1, ?2, ?3)",
                    (rule.product.as_str(), rule.name.as_str(), json(rule)),
                )?,
                Change::DeleteRule(product, name) => self.run(
                    "DELETE FROM rules WHERE product = ?1 AND name = ?2",
                    (product.as_str(), name.as_str()),
                )?,
                Change::PutTopic(topic) => self.run(
                    "INSERT OR REPLACE INTO topics (name, json) VALUES (?1, ?2)",
                    (topic.name.as_str(), json(topic)),
                )?,
                Change::DeleteTopic(name) => {
                    self.run("DELETE FROM topics WHERE name = ?1", [name.as_str()])?
                }
                Change::PutSubscription(subscription) => self.run(
                    "INSERT OR REPLACE INTO subscriptions (topic, name, json) VALUES (?1, ?2, ?3)",
                    (
                        subscription.topic.as_str(),
                        subscription.name.as_str(),
                        json(subscription),
                    ),
                )?,
                Change::DeleteSubscription(topic, name) => self.run(
                    "DELETE FROM subscriptions WHERE topic = ?1 AND name = ?2",
                    (topic.as_str(), name.as_str()),
                )?,
            };
        }
        self.run(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('rules', ?1)",
            [held + 1],
        )?;
        self.effects.rules_version = Some(version + 1);
        Ok(Ok(version + 1))
    }
}
