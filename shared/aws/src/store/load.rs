//! Reading everything at one version.

use super::item::{RULES, SUBSCRIPTIONS, TOPICS, Write, text};
use super::{DynamoRules, explain_dynamo};
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::ports::{Records, StoreError};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a load begins again because a commit came in between.
const TRIES: u32 = 8;

/// The records of one kind: key to JSON.
type Docs = BTreeMap<String, String>;

impl DynamoRules {
    /// Reads all records between two looks at the version item that show the same version.
    pub(super) async fn read_all(&self) -> Result<Records, StoreError> {
        for attempt in 0..TRIES {
            let before = self.head().await?;
            let journal = match &before.journal {
                None => Vec::new(),
                Some(token) => self.journal(token).await?,
            };
            let (rules, topics, subscriptions) = tokio::try_join!(
                self.docs(RULES),
                self.docs(TOPICS),
                self.docs(SUBSCRIPTIONS)
            )?;
            if self.head().await?.version == before.version {
                let mut kinds = [
                    (RULES, rules),
                    (TOPICS, topics),
                    (SUBSCRIPTIONS, subscriptions),
                ];
                for write in journal {
                    for (_, docs) in kinds.iter_mut().filter(|(pk, _)| *pk == write.pk) {
                        match &write.doc {
                            Some(doc) => docs.insert(write.sk.clone(), doc.clone()),
                            None => docs.remove(&write.sk),
                        };
                    }
                }
                let [(_, rules), (_, topics), (_, subscriptions)] = kinds;
                return Ok(Records {
                    version: before.version,
                    rules: parse(RULES, &rules)?,
                    topics: parse(TOPICS, &topics)?,
                    subscriptions: parse(SUBSCRIPTIONS, &subscriptions)?,
                });
            }
            tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
        }
        Err(self.failed(
            "reading all rules",
            "they changed during each of eight tries: try again when fewer changes are made",
        ))
    }

    /// The writes of a journal, in order. A journal that is written out meanwhile is read in part; the caller then
    /// finds the pending journal gone or its records in place, since each write is the record's final state.
    pub(super) async fn journal(&self, token: &str) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::new();
        for (_, doc) in self.docs(&format!("journal#{token}")).await? {
            let part: Vec<Write> = serde_json::from_str(&doc)
                .map_err(|error| self.failed("reading a journal", &error.to_string()))?;
            writes.extend(part);
        }
        Ok(writes)
    }

    async fn docs(&self, pk: &str) -> Result<Docs, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut docs = Docs::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                self.failed(&format!("reading {pk:?}"), &explain_dynamo(&error))
            })?;
            for item in page.items.unwrap_or_default() {
                if let (Some(sk), Some(doc)) = (text(&item, "sk"), text(&item, "doc")) {
                    docs.insert(sk.to_owned(), doc.to_owned());
                }
            }
        }
        Ok(docs)
    }
}

fn parse<T: DeserializeOwned>(kind: &str, docs: &Docs) -> Result<Vec<T>, StoreError> {
    docs.iter()
        .map(|(sk, doc)| {
            serde_json::from_str(doc)
                .map_err(|error| StoreError(format!("{kind} item {sk:?} cannot be read: {error}")))
        })
        .collect()
}
