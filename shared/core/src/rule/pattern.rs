//! Which resources a rule covers: patterns over `bucket/key`.

use crate::event::Product;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

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

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourcePattern::Name(name) => write!(f, "name {name:?}"),
            ResourcePattern::Ends { prefix, suffix } => match (prefix.as_str(), suffix.as_str()) {
                ("", "") => f.write_str("every resource"),
                (prefix, "") => write!(f, "prefix {prefix:?}"),
                ("", suffix) => write!(f, "suffix {suffix:?}"),
                (prefix, suffix) => write!(f, "prefix {prefix:?} with suffix {suffix:?}"),
            },
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

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("not ")?;
        }
        self.pattern.fmt(f)
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

/// Reduces the forms `acs:oss:{region}:{account}:{bucket}[/key]` and `arn:aws:s3:::{bucket}[/key]` to `bucket[/key]`.
/// Only storage has such names; what another product writes is taken as it stands.
///
/// # Errors
/// In words, when the text begins like one of the two and does not go on like it.
pub(super) fn reduce_arn<'a>(
    product: Option<&Product>,
    text: &'a str,
) -> Result<Cow<'a, str>, &'static str> {
    if product.is_some_and(|product| *product != Product::Oss) {
        return Ok(text.into());
    }
    let reduced = if text.starts_with("acs:oss:") {
        // Keys may hold colons: only the first four part the fields.
        text.splitn(5, ':')
            .nth(4)
            .ok_or("an OSS name in full is acs:oss:region:account:bucket/key")?
    } else if text.starts_with("arn:aws") && text.split(':').nth(2) == Some("s3") {
        let mut fields = text.splitn(6, ':').skip(3);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(""), Some(""), Some(name)) => name,
            _ => return Err("an S3 name in full is arn:aws:s3:::bucket/key"),
        }
    } else {
        text
    };
    if reduced.is_empty() && !text.is_empty() {
        return Err("the name in full lacks its bucket: append bucket or bucket/key");
    }
    Ok(reduced.into())
}
