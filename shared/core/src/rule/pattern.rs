//! Which resources a rule covers: patterns over `bucket/key`.

use serde::{Deserialize, Serialize};

/// A resource pattern of seed 000 (3.2): full name, prefix, suffix, or prefix and suffix, over the joined string
/// `bucket/key`. Comparison is by bytes, and case counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResourcePattern {
    /// A full name. Without a slash it names a bucket, and covers the bucket and all its objects: the tutorial of seed
    /// 000 (3.2) uses it so.
    Name(String),
    /// Starts with `prefix` and ends with `suffix`; two independent tests, so the two may share bytes of a short name.
    /// An empty one always holds.
    Ends {
        /// What the resource must begin with.
        prefix: String,
        /// What it must end with.
        suffix: String,
    },
}

impl ResourcePattern {
    /// Whether the pattern matches the resource.
    #[must_use]
    pub fn matches(&self, resource: &str) -> bool {
        match self {
            ResourcePattern::Name(name) if name.contains('/') => name == resource,
            ResourcePattern::Name(bucket) => resource
                .strip_prefix(bucket.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            ResourcePattern::Ends { prefix, suffix } => {
                resource.starts_with(prefix.as_str()) && resource.ends_with(suffix.as_str())
            }
        }
    }
}

/// One clause: a pattern, or with `negated` its opposite (`MatchState: false`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Clause {
    /// Whether the pattern must *not* match.
    pub negated: bool,
    /// The pattern.
    pub pattern: ResourcePattern,
}

impl Clause {
    /// Whether the clause holds for the resource.
    #[must_use]
    pub fn holds(&self, resource: &str) -> bool {
        self.pattern.matches(resource) != self.negated
    }
}

/// The resource description of a rule: an OR of ANDs of clauses (`MatchRules`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resources {
    /// Every resource: for products without resource descriptions, and for the default rule.
    All,
    /// Any of these, each holding in all its clauses.
    AnyOf(Vec<Vec<Clause>>),
}

impl Resources {
    /// Whether any alternative holds for the resource.
    #[must_use]
    pub fn cover(&self, resource: &str) -> bool {
        match self {
            Resources::All => true,
            Resources::AnyOf(alternatives) => alternatives
                .iter()
                .any(|clauses| clauses.iter().all(|clause| clause.holds(resource))),
        }
    }
}
