//! The domain of Carillon: *when something happens to a resource, the rule that covers it decides who is told.*
//!
//! ```
//! use carillon_core::rule::{Rule, RuleSpec};
//! use carillon_core::ruleset::{Hits, RuleSet};
//!
//! let spec: RuleSpec = serde_json::from_str(r#"{
//!     "ProductName": "oss", "RuleName": "thumbnails", "EventTypes": ["ObjectCreated:*"],
//!     "MatchRules": [[{"Prefix": "photos/", "Suffix": ".jpg"}]],
//!     "Endpoints": [{"EndpointType": "queue", "EndpointValue": "resize"}]}"#).unwrap();
//! let rule = Rule::from_spec(spec).unwrap();
//! let rules = RuleSet::build(vec![rule.into()]);
//!
//! let mut hits = Hits::new();
//! rules.covering("ObjectCreated:PutObject", "photos/cat.jpg", &mut hits);
//! assert_eq!(hits.len(), 1);
//! ```
//!
//! # The rooms, in the order an event visits them
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | what happened: product, type, resource, time, derived identity, and the three wire bodies |
//! | [`rule`] | a rule: event types x resource patterns -> endpoints; validation; overlap with a witness |
//! | [`ruleset`] | a versioned snapshot of all rules: the match index, the default rules, `explain` |
//! | [`topic`] | topics, subscriptions, the two retry strategies |
//! | [`delivery`] | one notification on its way to one subscription: a pure state machine |
//! | [`push`] | bytes on the wire of an HTTP push |
//! | [`envelope`] | packing events and deliveries into queue messages of at most 64 KiB |
//! | [`ports`] | what the handlers ask of the world: stores, queues, clock, random, HTTP |
//!
//! # Exact rules
//!
//! * An event is covered by a rule when one of the rule's event types and one of its resource patterns match it.
//! * No two rules may claim one event (unless overlaps are allowed by setting); what no rule claims goes to the
//!   product's default rule.
//! * Every identity is derived from what the source says, never drawn: a duplicate carries the id of its original.
//!
//! # What this crate will not do
//!
//! It does no I/O, reads no clock, no random numbers and no environment, and knows neither tokio nor AWS. The linter
//! holds it to that (`clippy.toml` beside this crate names each ban and its reason).

pub mod delivery;
pub mod envelope;
pub mod event;
pub mod ports;
pub mod push;
pub mod rule;
pub mod ruleset;
pub mod topic;
