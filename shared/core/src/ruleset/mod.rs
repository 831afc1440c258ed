//! A versioned snapshot of all rules, topics and subscriptions: what one event is judged by.

mod book;
mod cache;
mod check;
mod conflicts;
mod explain;
mod index;
mod preview;

pub use crate::rule::Witness;
pub use book::{Conflict, Overlap, Refusal, RuleBook};
pub use cache::SnapshotCache;
pub use check::{MAX_COUNTED, MAX_LISTED, Report, check, check_under, lint};
pub use explain::{Explanation, Miss, miss};
pub use preview::{Holder, Moved, Preview, preview};

use crate::event::Product;
use crate::ports::Records;
use crate::rule::{Rule, RuleName};
use crate::topic::{Subscription, SubscriptionName, Topic, TopicName};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

/// Positions, in [`RuleSet::rules`], of the rules that cover an event. Reuse one for many events: judging allocates
/// nothing once it has grown.
pub type Hits = Vec<u32>;

/// The rules of one product, ready to match. Immutable.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    default: Option<Arc<Rule>>,
    index: index::Index,
    names: OnceLock<Names>,
}

/// Positions of the rules by name.
type Names = HashMap<RuleName, u32, foldhash::fast::FixedState>;

impl RuleSet {
    /// Builds the set from rules that are known not to conflict (or may). Disabled rules are kept, and match nothing.
    #[must_use]
    pub fn build(rules: Vec<Arc<Rule>>) -> Self {
        let mut default = None;
        let mut rules = rules;
        if rules.iter().any(|rule| rule.is_default()) {
            let (defaults, ordinary): (Vec<_>, Vec<_>) =
                rules.into_iter().partition(|rule| rule.is_default());
            default = defaults.into_iter().next();
            rules = ordinary;
        }
        RuleSet {
            index: index::build(&rules),
            rules,
            default,
            names: OnceLock::new(),
        }
    }

    /// Ordinary rules, in a stable order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The default rule, if there is one and it is enabled.
    #[must_use]
    pub fn default_rule(&self) -> Option<&Arc<Rule>> {
        self.default.as_ref().filter(|rule| rule.enabled)
    }

    /// One rule by name, the default rule (also a disabled one) included. The first call builds the table of names.
    #[must_use]
    pub fn rule(&self, name: &RuleName) -> Option<&Arc<Rule>> {
        if name.is_default() {
            return self.default.as_ref();
        }
        let names = self.names.get_or_init(|| {
            let mut names = Names::with_capacity_and_hasher(
                self.rules.len(),
                foldhash::fast::FixedState::default(),
            );
            for (rule, number) in self.rules.iter().zip(0..) {
                names.entry(rule.name.clone()).or_insert(number);
            }
            names
        });
        names.get(name).map(|number| &self.rules[*number as usize])
    }

    /// Finds the ordinary rules that cover the event, in ascending order. `hits` is cleared first.
    pub fn covering(&self, event_type: &str, resource: &str, hits: &mut Hits) {
        self.index.covering(&self.rules, event_type, resource, hits);
    }

    /// The same for many events: `each` is called for each in order, with its number and the positions of the rules
    /// that cover it. Faster than one call an event where neighbours share their type.
    pub fn covering_batch<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a str, &'a str)>,
        hits: &mut Hits,
        each: impl FnMut(usize, &[u32]),
    ) {
        self.index.covering_batch(&self.rules, events, hits, each);
    }

    /// Bytes that the match index takes on the heap, the rules themselves not counted.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.index.heap_bytes()
    }

    /// The rules that will be told of the event: those that cover it, else the default rule, else none.
    pub fn judge<'a>(
        &'a self,
        event_type: &str,
        resource: &str,
        hits: &'a mut Hits,
    ) -> impl Iterator<Item = &'a Arc<Rule>> {
        self.covering(event_type, resource, hits);
        let default = if hits.is_empty() {
            self.default_rule()
        } else {
            None
        };
        hits.iter()
            .map(|&index| &self.rules[index as usize])
            .chain(default)
    }
}

/// Everything that judging and delivering needs, at one version.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: u64,
    products: BTreeMap<Product, RuleSet>,
    topics: HashMap<TopicName, Arc<Topic>, foldhash::fast::FixedState>,
    subscriptions: HashMap<TopicName, Vec<Arc<Subscription>>, foldhash::fast::FixedState>,
    none: RuleSet,
}

impl Snapshot {
    /// Builds the snapshot of the stored records.
    #[must_use]
    pub fn build(records: Records) -> Self {
        let mut rules: BTreeMap<Product, Vec<Arc<Rule>>> = BTreeMap::new();
        for rule in records.rules {
            rules
                .entry(rule.product.clone())
                .or_default()
                .push(Arc::new(rule));
        }
        let mut subscriptions: HashMap<TopicName, Vec<Arc<Subscription>>, _> = HashMap::default();
        for subscription in records.subscriptions {
            subscriptions
                .entry(subscription.topic.clone())
                .or_default()
                .push(Arc::new(subscription));
        }
        Snapshot {
            version: records.version,
            products: rules
                .into_iter()
                .map(|(product, rules)| (product, RuleSet::build(rules)))
                .collect(),
            topics: records
                .topics
                .into_iter()
                .map(|topic| (topic.name.clone(), Arc::new(topic)))
                .collect(),
            subscriptions,
            none: RuleSet::default(),
        }
    }

    /// The version all of this is of; deliveries carry it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The rules of a product; an empty set when it has none.
    #[must_use]
    pub fn rule_set(&self, product: &Product) -> &RuleSet {
        self.products.get(product).unwrap_or(&self.none)
    }

    /// Products that have rules.
    pub fn products(&self) -> impl Iterator<Item = (&Product, &RuleSet)> {
        self.products.iter()
    }

    /// One rule, the default rule (also a disabled one) included.
    #[must_use]
    pub fn rule(&self, product: &Product, name: &RuleName) -> Option<&Arc<Rule>> {
        let set = self.rule_set(product);
        set.rules
            .iter()
            .chain(&set.default)
            .find(|rule| &rule.name == name)
    }

    /// One topic.
    #[must_use]
    pub fn topic(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// All topics, in no particular order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The subscriptions of a topic.
    #[must_use]
    pub fn subscriptions(&self, topic: &TopicName) -> &[Arc<Subscription>] {
        self.subscriptions.get(topic).map_or(&[], Vec::as_slice)
    }

    /// One subscription.
    #[must_use]
    pub fn subscription(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Option<&Arc<Subscription>> {
        self.subscriptions(topic)
            .iter()
            .find(|subscription| &subscription.name == name)
    }
}
