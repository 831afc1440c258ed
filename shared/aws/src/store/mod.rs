//! Rules, topics and subscriptions in DynamoDB, under one version.
//!
//! # The table
//!
//! Keys are `pk` and `sk`, both text.
//!
//! | pk | sk | further attributes |
//! |---|---|---|
//! | `version` | `version` | `v`: the version; `by`: token of the commit that made it; `journal`: see below |
//! | `version` | `commit#<version>` | `by`: the same token, for a day: who lost the answer to a commit learns from it whether it stands |
//! | `rules` | `<product>#<name>` | `doc`: the record as JSON; `v`: version it was written at |
//! | `topics` | `<name>` | the same |
//! | `subscriptions` | `<topic>#<name>` | the same |
//! | `journal#<token>` | `0000`, `0001` ... | `doc`: a list of changes as JSON |
//!
//! # Commits
//!
//! A commit is one `TransactWriteItems`: the version item, on the condition that it still has the expected version, its
//! receipt, and one action for each change. DynamoDB takes [`MAX_ACTIONS`] actions and 4 MB in a transaction. A larger commit is
//! first written whole to a journal; the transaction then only moves the version and names the journal, and from that
//! moment the commit stands. Whoever reads lays the journal over what it reads; whoever commits next first writes the
//! journal out to the records, in transactions that each demand that this journal is still the pending one, so that a
//! slow process cannot overwrite what came later.

mod commit;
mod item;
mod load;

use crate::Clients;
use crate::clients::{Lazy, explain};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::ports::{Change, CommitError, Records, RuleStore, StoreError};
use std::collections::HashMap;

/// Most actions of a `TransactWriteItems` (DynamoDB quotas); two of them are the version item and the receipt.
pub const MAX_ACTIONS: usize = 100;

/// The rules table.
#[derive(Clone, Debug)]
pub struct DynamoRules {
    client: Lazy<Client>,
    table: String,
}

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The version item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Head {
    version: u64,
    /// Token of the commit that made this version.
    by: String,
    /// Token of the journal that is not yet written out.
    journal: Option<String>,
}

impl DynamoRules {
    /// The store in this table.
    #[must_use]
    pub fn new(clients: &Clients, table: &str) -> Self {
        DynamoRules {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
        }
    }

    /// Reads the version item, as the newest commit left it.
    async fn head(&self) -> Result<Head, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key("version", "version")))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("reading the version", &explain_dynamo(&error)))?;
        answer
            .item
            .map_or(Ok(Head::default()), |item| item::head(&item))
    }

    fn failed(&self, doing: &str, why: &str) -> StoreError {
        StoreError(format!("table {:?}, {doing}: {why}", self.table))
    }
}

pub(crate) fn explain_dynamo<E, R>(error: &aws_sdk_dynamodb::error::SdkError<E, R>) -> String
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    explain(error)
}

#[async_trait::async_trait]
impl RuleStore for DynamoRules {
    async fn version(&self) -> Result<u64, StoreError> {
        Ok(self.head().await?.version)
    }

    async fn load(&self) -> Result<Records, StoreError> {
        self.read_all().await
    }

    async fn commit(&self, expected: u64, changes: Vec<Change>) -> Result<u64, CommitError> {
        self.write(expected, changes).await
    }
}
