//! Rules, topics and subscriptions as this process knows them, kept at the store's version.
//!
//! Reading asks the store for its version (cheap) and loads only when somebody else moved it. Changing is one lane: judge
//! on the present version, commit with that version expected, apply what was committed; a commit that lost a race is
//! judged again on the new version. What this process commits is applied piece by piece, so that the millionth rule does
//! not load the others again.

use crate::error::Refused;
use carillon_core::event::Product;
use carillon_core::ports::{Change, CommitError, Records, RuleStore};
use carillon_core::rule::{Limits, Rule, RuleName};
use carillon_core::ruleset::{Overlap, RuleBook};
use carillon_core::topic::{Subscription, SubscriptionName, Topic, TopicName};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Everything stored, at one version, in ascending order of name.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) version: u64,
    pub(crate) rules: BTreeMap<Product, BTreeMap<RuleName, Arc<Rule>>>,
    pub(crate) topics: BTreeMap<TopicName, Arc<Topic>>,
    pub(crate) subscriptions: BTreeMap<TopicName, BTreeMap<SubscriptionName, Arc<Subscription>>>,
}

impl View {
    fn of(records: Records) -> Self {
        let mut view = View {
            version: records.version,
            ..View::default()
        };
        for rule in records.rules {
            view.put(Change::PutRule(rule));
        }
        for topic in records.topics {
            view.put(Change::PutTopic(topic));
        }
        for subscription in records.subscriptions {
            view.put(Change::PutSubscription(subscription));
        }
        view
    }

    fn put(&mut self, change: Change) {
        match change {
            Change::PutRule(rule) => {
                self.rules
                    .entry(rule.product.clone())
                    .or_default()
                    .insert(rule.name.clone(), Arc::new(rule));
            }
            Change::DeleteRule(product, name) => {
                if let Some(rules) = self.rules.get_mut(&product) {
                    rules.remove(&name);
                    if rules.is_empty() {
                        self.rules.remove(&product);
                    }
                }
            }
            Change::PutTopic(topic) => {
                self.topics.insert(topic.name.clone(), Arc::new(topic));
            }
            Change::DeleteTopic(name) => {
                self.topics.remove(&name);
            }
            Change::PutSubscription(subscription) => {
                self.subscriptions
                    .entry(subscription.topic.clone())
                    .or_default()
                    .insert(subscription.name.clone(), Arc::new(subscription));
            }
            Change::DeleteSubscription(topic, name) => {
                if let Some(subscriptions) = self.subscriptions.get_mut(&topic) {
                    subscriptions.remove(&name);
                    if subscriptions.is_empty() {
                        self.subscriptions.remove(&topic);
                    }
                }
            }
        }
    }

    pub(crate) fn rule(&self, product: &Product, name: &RuleName) -> Option<&Arc<Rule>> {
        self.rules.get(product)?.get(name)
    }

    pub(crate) fn rule_or_refuse(
        &self,
        product: &Product,
        name: &RuleName,
    ) -> Result<&Arc<Rule>, Refused> {
        self.rule(product, name)
            .ok_or_else(|| Refused::no_rule(product.as_str(), name.as_str()))
    }

    pub(crate) fn topic(&self, name: &TopicName) -> Result<&Arc<Topic>, Refused> {
        self.topics
            .get(name)
            .ok_or_else(|| Refused::no_topic(name.as_str()))
    }

    /// The subscriptions of a topic, in ascending order of name.
    pub(crate) fn subscriptions_of(
        &self,
        topic: &TopicName,
    ) -> impl Iterator<Item = &Arc<Subscription>> {
        self.subscriptions
            .get(topic)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    pub(crate) fn subscription(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<&Arc<Subscription>, Refused> {
        self.topic(topic)?;
        self.subscriptions
            .get(topic)
            .and_then(|subscriptions| subscriptions.get(name))
            .ok_or_else(|| Refused::no_subscription(topic.as_str(), name.as_str()))
    }
}

/// The rule books of the products, opened when first needed: they judge limits and conflicts.
pub(crate) struct Books {
    version: u64,
    open: HashMap<Product, RuleBook>,
    limits: Limits,
    overlap: Overlap,
}

impl Books {
    /// Puts a book aside: it is opened again, as the view has it, when it is next needed.
    pub(crate) fn forget(&mut self, product: &Product) {
        self.open.remove(product);
    }

    /// What is done with rules that claim one event.
    pub(crate) fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// The book of a product, at the version of `view`.
    pub(crate) fn of(&mut self, view: &View, product: &Product) -> &mut RuleBook {
        if self.version != view.version {
            self.open.clear();
            self.version = view.version;
        }
        let (limits, overlap) = (self.limits, self.overlap);
        self.open.entry(product.clone()).or_insert_with(|| {
            let rules = view
                .rules
                .get(product)
                .into_iter()
                .flat_map(BTreeMap::values);
            RuleBook::open_with(rules.cloned(), limits, overlap)
        })
    }
}

/// See the module.
pub(crate) struct Ledger {
    store: Arc<dyn RuleStore>,
    view: RwLock<View>,
    /// Held while a change is judged and committed: changes of one process queue up here and not at the store.
    lane: tokio::sync::Mutex<Books>,
}

/// A change that lost this many races in a row gives up; each loss means that somebody else made progress.
const TRIES: usize = 64;

impl Ledger {
    pub(crate) fn new(store: Arc<dyn RuleStore>, limits: Limits, overlap: Overlap) -> Self {
        let books = Books {
            version: 0,
            open: HashMap::new(),
            limits,
            overlap,
        };
        Ledger {
            store,
            view: RwLock::default(),
            lane: tokio::sync::Mutex::new(books),
        }
    }

    fn held(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(&self) -> Result<(), Refused> {
        let version = self.store.version().await?;
        if self.held().version >= version && version > 0 {
            return Ok(());
        }
        let fresh = View::of(self.store.load().await?);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.version <= fresh.version {
            *view = fresh;
        }
        Ok(())
    }

    /// Reads at the store's present version.
    pub(crate) async fn read<T>(&self, look: impl FnOnce(&View) -> T) -> Result<T, Refused> {
        self.refresh().await?;
        Ok(look(&self.held()))
    }

    /// Changes. `judge` looks at the present version and gives the changes to commit, with what to answer; it may be
    /// asked several times. What it put into the books must be what it gives as changes.
    pub(crate) async fn change<T>(
        &self,
        mut judge: impl FnMut(&View, &mut Books) -> Result<(Vec<Change>, T), Refused>,
    ) -> Result<T, Refused> {
        let mut books = self.lane.lock().await;
        for _ in 0..TRIES {
            self.refresh().await?;
            let (expected, changes, answer) = {
                let view = self.held();
                let (changes, answer) = judge(&view, &mut books)?;
                (view.version, changes, answer)
            };
            if changes.is_empty() {
                return Ok(answer);
            }
            // Until the commit is known to stand, the books hold what the store does not: they are put aside, and
            // opened again should it not come to stand.
            let judged = std::mem::take(&mut books.open);
            match self.store.commit(expected, changes.clone()).await {
                Ok(version) => {
                    let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
                    if view.version == expected {
                        for change in changes {
                            view.put(change);
                        }
                        view.version = version;
                        if books.version == expected {
                            books.open = judged;
                            books.version = version;
                        }
                    }
                    return Ok(answer);
                }
                Err(CommitError::Moved(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refused::new(
            503,
            "ServiceUnavailable",
            "the rules are being changed by many at once, and this change came too late each time: try again",
        ))
    }
}
