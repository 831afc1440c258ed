//! The wire form of a rule: the parameters of SMQ's CreateEventRule, and the elements of a rule file.

use super::{
    Clause, DEFAULT_EVENT_TYPE, DEFAULT_RESOURCE, Endpoint, EventTypePattern, ResourcePattern,
    Resources, Rule,
};
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
    /// Beyond SMQ: `false` stores the rule disabled; default true.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient_bool"
    )]
    pub enabled: Option<bool>,
}

/// EventMatchRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MatchRuleSpec {
    /// `false` negates; default true. As text (`"False"`, as query strings of the Python SDK have it) in any case.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient_bool"
    )]
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
#[error("rule {rule:?}{}, value {value:?}: {message}", shown(.field))]
pub struct Fault {
    /// Name of the rule as given; `[n]`, its place in the file counted from 0, when it has none.
    pub rule: String,
    /// Field, for example `MatchRules[0][1].Prefix`.
    pub field: String,
    /// The value as given, shortened.
    pub value: String,
    /// What is wrong with it and what would do.
    pub message: String,
}

/// Where the element itself is at fault there is no field to name.
fn shown(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!(", field {field}")
    }
}

impl Fault {
    /// A fault; a long value is shortened to 128 characters.
    #[must_use]
    pub fn new(
        rule: &str,
        field: impl Into<String>,
        value: &str,
        message: impl Into<String>,
    ) -> Self {
        let mut shown: String = value.chars().take(128).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Fault {
            rule: rule.to_owned(),
            field: field.into(),
            value: shown,
            message: message.into(),
        }
    }
}

/// `true`, `false`, or either as text in any case.
pub(super) fn read_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn lenient_bool<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Bool(bool),
        Text(String),
    }
    match Option::<Either>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Bool(state)) => Ok(Some(state)),
        Some(Either::Text(text)) => match read_bool(&text) {
            Some(state) => Ok(Some(state)),
            None => Err(serde::de::Error::custom(format!(
                "{text:?} is neither true nor false"
            ))),
        },
    }
}

impl Rule {
    /// The wire form of the rule, canonical: reading it again gives an equal rule (but for what the wire form does not
    /// carry: `topic` and `created`).
    #[must_use]
    pub fn to_spec(&self) -> RuleSpec {
        let (event_types, match_rules) = if self.is_default() {
            let reserved = MatchRuleSpec {
                name: Some(DEFAULT_RESOURCE.to_owned()),
                ..MatchRuleSpec::default()
            };
            (
                vec![DEFAULT_EVENT_TYPE.to_owned()],
                Some(vec![vec![reserved]]),
            )
        } else {
            let match_rules = match &self.resources {
                Resources::All => None,
                Resources::AnyOf(alternatives) => Some(
                    alternatives
                        .iter()
                        .map(|clauses| clauses.iter().map(MatchRuleSpec::from).collect())
                        .collect(),
                ),
            };
            (
                self.event_types
                    .0
                    .iter()
                    .map(EventTypePattern::to_string)
                    .collect(),
                match_rules,
            )
        };
        RuleSpec {
            product_name: self.product.as_str().to_owned(),
            rule_name: self.name.as_str().to_owned(),
            event_types,
            match_rules,
            endpoint: None,
            endpoints: Some(self.endpoints.iter().map(EndpointSpec::from).collect()),
            // Said only where it is not the ordinary case.
            enabled: (!self.enabled).then_some(false),
        }
    }
}

impl From<&Clause> for MatchRuleSpec {
    fn from(clause: &Clause) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut spec = match &clause.pattern {
            ResourcePattern::Name(name) => MatchRuleSpec {
                name: Some(name.clone()),
                ..MatchRuleSpec::default()
            },
            // Everything is written as an empty prefix: a clause with no member at all is refused.
            ResourcePattern::Ends { prefix, suffix } if prefix.is_empty() && suffix.is_empty() => {
                MatchRuleSpec {
                    prefix: Some(String::new()),
                    ..MatchRuleSpec::default()
                }
            }
            ResourcePattern::Ends { prefix, suffix } => MatchRuleSpec {
                prefix: text(prefix),
                suffix: text(suffix),
                ..MatchRuleSpec::default()
            },
        };
        spec.match_state = Some(!clause.negated);
        spec
    }
}

impl From<&Endpoint> for EndpointSpec {
    fn from(endpoint: &Endpoint) -> Self {
        EndpointSpec {
            endpoint_type: endpoint.kind.as_str().to_owned(),
            endpoint_value: endpoint.value.clone(),
        }
    }
}
