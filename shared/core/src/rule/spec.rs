//! The wire form of a rule (the parameters of SMQ's CreateEventRule, and the elements of a rule file), and the one
//! place where it is validated.

use super::{
    Clause, DEFAULT_EVENT_TYPE, DEFAULT_RESOURCE, Endpoint, EndpointKind, EventTypePattern,
    EventTypes, ResourcePattern, Resources, Rule, RuleName,
};
use crate::event::{Product, Timestamp};
use serde::{Deserialize, Serialize};

/// Parameters of CreateEventRule (version 2022-01-19), same names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RuleSpec {
    /// `oss`, `dm`, `viapi` or a product of the user's own.
    pub product_name: String,
    /// Name of the rule.
    pub rule_name: String,
    /// Names and `Group:*`.
    pub event_types: Vec<String>,
    /// OR of ANDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_rules: Option<Vec<Vec<MatchRuleSpec>>>,
    /// The vendor's current form: one endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointSpec>,
    /// The older form: several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<EndpointSpec>>,
}

/// EventMatchRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MatchRuleSpec {
    /// `false` negates; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_state: Option<bool>,
    /// Full name; excludes the other two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// End.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}

/// Endpoint as CreateEventRule writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSpec {
    /// `http`, `queue` or `topic`.
    pub endpoint_type: String,
    /// URL or name.
    pub endpoint_value: String,
}

/// One thing wrong with a rule: which rule, which field, which value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("rule {rule:?}, field {field}, value {value:?}: {message}")]
pub struct Fault {
    /// Name of the rule as given.
    pub rule: String,
    /// Field, for example `MatchRules[0][1].Prefix`.
    pub field: String,
    /// The value as given, shortened.
    pub value: String,
    /// What is wrong with it and what would do.
    pub message: String,
}

impl Rule {
    /// Validates a rule.
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn from_spec(spec: RuleSpec) -> Result<Rule, Vec<Fault>> {
        let mut faults = Faults {
            rule: spec.rule_name.clone(),
            list: Vec::new(),
        };
        let product = faults.take(
            "ProductName",
            &spec.product_name,
            Product::parse(&spec.product_name),
        );
        let name = faults.take(
            "RuleName",
            &spec.rule_name,
            RuleName::parse(&spec.rule_name),
        );
        let is_default = name.as_ref().is_some_and(RuleName::is_default);

        let mut event_types = Vec::new();
        let mut resources = Resources::All;
        if is_default {
            if spec
                .event_types
                .iter()
                .any(|text| text != DEFAULT_EVENT_TYPE)
            {
                faults.add(
                    "EventTypes",
                    &spec.event_types.join(","),
                    "the default rule takes [\"Default\"]",
                );
            }
            let reserved = |rules: &Vec<Vec<MatchRuleSpec>>| {
                rules
                    .iter()
                    .flatten()
                    .all(|rule| rule.name.as_deref() == Some(DEFAULT_RESOURCE))
            };
            if !spec.match_rules.as_ref().is_none_or(reserved) {
                faults.add(
                    "MatchRules",
                    "",
                    "the default rule takes none, or [[{\"Name\":\"mns-en-reserved-default\"}]]",
                );
            }
        } else {
            if spec.event_types.is_empty() {
                faults.add(
                    "EventTypes",
                    "[]",
                    "name at least one event type, for example \"ObjectCreated:*\"",
                );
            }
            for (index, text) in spec.event_types.iter().enumerate() {
                event_types.extend(faults.take(
                    &format!("EventTypes[{index}]"),
                    text,
                    EventTypePattern::parse(text),
                ));
            }
            if let Some(rules) = &spec.match_rules {
                resources = Resources::AnyOf(
                    rules
                        .iter()
                        .map(|all| all.iter().map(clause).collect())
                        .collect(),
                );
            }
        }

        let listed = spec.endpoints.into_iter().flatten().chain(spec.endpoint);
        let mut endpoints = Vec::new();
        for (index, endpoint) in listed.enumerate() {
            let kind = match endpoint.endpoint_type.as_str() {
                "http" => EndpointKind::Http,
                "queue" => EndpointKind::Queue,
                "topic" => EndpointKind::Topic,
                other => {
                    faults.add(
                        &format!("Endpoints[{index}].EndpointType"),
                        other,
                        "give http, queue or topic",
                    );
                    continue;
                }
            };
            endpoints.push(Endpoint {
                kind,
                value: endpoint.endpoint_value,
            });
        }
        if endpoints.is_empty() {
            faults.add("Endpoints", "[]", "name at least one endpoint");
        }

        match (product, name) {
            (Some(product), Some(name)) if faults.list.is_empty() => Ok(Rule {
                product,
                name,
                event_types: EventTypes(event_types),
                resources,
                endpoints,
                enabled: true,
                topic: None,
                created: Timestamp::default(),
            }),
            _ => Err(faults.list),
        }
    }
}

fn clause(spec: &MatchRuleSpec) -> Clause {
    let pattern = match &spec.name {
        Some(name) => ResourcePattern::Name(name.clone()),
        None => ResourcePattern::Ends {
            prefix: spec.prefix.clone().unwrap_or_default(),
            suffix: spec.suffix.clone().unwrap_or_default(),
        },
    };
    Clause {
        negated: spec.match_state == Some(false),
        pattern,
    }
}

struct Faults {
    rule: String,
    list: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, field: &str, value: &str, message: &str) {
        self.list.push(Fault {
            rule: self.rule.clone(),
            field: field.to_owned(),
            value: value.chars().take(128).collect(),
            message: message.to_owned(),
        });
    }

    fn take<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        value: &str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, value, &error.to_string());
                None
            }
        }
    }
}
