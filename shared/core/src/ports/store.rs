//! The rules table: rules, topics and subscriptions under one version.

use crate::event::Product;
use crate::rule::{Rule, RuleName};
use crate::topic::{Subscription, SubscriptionName, Topic, TopicName};

/// All that is stored, at one version.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The version; moves with every commit.
    pub version: u64,
    /// All rules of all products.
    pub rules: Vec<Rule>,
    /// All topics.
    pub topics: Vec<Topic>,
    /// All subscriptions.
    pub subscriptions: Vec<Subscription>,
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores a rule, new or changed.
    PutRule(Rule),
    /// Deletes a rule.
    DeleteRule(Product, RuleName),
    /// Stores a topic.
    PutTopic(Topic),
    /// Deletes a topic; its subscriptions are deleted by changes of their own.
    DeleteTopic(TopicName),
    /// Stores a subscription.
    PutSubscription(Subscription),
    /// Deletes a subscription.
    DeleteSubscription(TopicName, SubscriptionName),
}

/// The store did not answer, or holds what cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule store failed: {0}")]
pub struct StoreError(pub String);

/// Why a commit did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody else committed since: judge again on the new version.
    #[error("the rules have moved to version {0}")]
    Moved(u64),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rules table.
#[async_trait::async_trait]
pub trait RuleStore: Send + Sync {
    /// The present version; 0 of an empty store. Cheap: asked for every batch.
    async fn version(&self) -> Result<u64, StoreError>;

    /// Everything, at one version.
    async fn load(&self) -> Result<Records, StoreError>;

    /// Applies all changes in one transaction, if the version is still `expected`. Gives the new version. Two racing
    /// commits on one version cannot both succeed.
    async fn commit(&self, expected: u64, changes: Vec<Change>) -> Result<u64, CommitError>;
}
