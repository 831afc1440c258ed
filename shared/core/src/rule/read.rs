//! Reading rules that people wrote: as much as can be read is, and everything wrong is named.

use super::document::{self, Element};
use super::spec::read_bool;
use super::{EndpointSpec, Fault, Limits, MatchRuleSpec, Rule, RuleSpec};
use serde_json::Value;
use std::collections::HashMap;

/// What a rule file holds.
#[derive(Clone, Debug, Default)]
pub struct RuleFile {
    /// The sound rules, in file order; of several with one name, the first.
    pub rules: Vec<Rule>,
    /// Everything wrong with the others.
    pub faults: Vec<Fault>,
    /// What is sound, but hardly meant.
    pub warnings: Vec<Fault>,
}

/// A text that is no rule file at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not JSON.
    #[error("the rule file is not JSON ({0}): it must be a JSON array of rules")]
    NotJson(String),
    /// JSON, but not an array.
    #[error("the rule file is {0}, not a JSON array: put the rules between `[` and `]`")]
    NotArray(&'static str),
}

impl RuleFile {
    /// Reads a rule file: a JSON array of objects with the parameters of CreateEventRule.
    ///
    /// # Errors
    /// [`Unusable`] when it is no JSON array. All else is in [`RuleFile::faults`].
    pub fn read(text: &[u8], limits: &Limits) -> Result<RuleFile, Unusable> {
        // Editors of some systems begin a file with this mark.
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let elements = document::read(text)
            .map_err(|error| Unusable::NotJson(error.to_string()))?
            .map_err(|value| Unusable::NotArray(kind(&value)))?;

        let mut file = RuleFile::default();
        let mut seen: HashMap<(String, String), usize, foldhash::fast::FixedState> =
            HashMap::default();
        let mut per_product: HashMap<String, usize, foldhash::fast::FixedState> =
            HashMap::default();
        for (index, element) in elements.iter().enumerate() {
            let Element { value, repeated } = element;
            let mut reading = Reading::of(value, &format!("[{index}]"));
            for (field, value) in repeated {
                reading.repeated(field, value);
            }
            file.warnings.extend(reading.warnings);
            let label = reading.label;
            let spec = reading.spec;
            let mut faults = reading.faults;
            let key = (spec.product_name.clone(), spec.rule_name.clone());
            if !key.1.is_empty() {
                if let Some(first) = seen.get(&key) {
                    faults.push(Fault::new(
                        &label,
                        "RuleName",
                        &key.1,
                        format!("element [{first}] of the file has this name already: rename one of the two"),
                    ));
                } else {
                    seen.insert(key, index);
                }
            }
            *per_product.entry(spec.product_name.clone()).or_default() += 1;
            match Rule::from_spec_within(spec, limits) {
                Ok(rule) if faults.is_empty() => file.rules.push(rule),
                Ok(_) => {}
                // Where a member could not be read, what follows from its absence is no fault of its own.
                Err(more) => {
                    let unread = faults.clone();
                    faults.extend(
                        more.into_iter()
                            .filter(|fault| !follows(fault, &unread))
                            .map(|mut fault| {
                                fault.rule.clone_from(&label);
                                fault
                            }),
                    );
                }
            }
            file.faults.extend(faults);
        }
        let mut over: Vec<_> = per_product
            .into_iter()
            .filter(|(_, count)| *count > limits.rules)
            .collect();
        over.sort();
        for (product, count) in over {
            file.faults.push(Fault::new(
                "",
                "ProductName",
                &product,
                format!("the file has {count} rules of this product, the limit is {}: raise it or drop some", limits.rules),
            ));
        }
        Ok(file)
    }
}

/// Every member of a rule that has an effect.
const KNOWN: [&str; 13] = [
    "ProductName",
    "RuleName",
    "EventTypes",
    "MatchRules",
    "Endpoint",
    "Endpoints",
    "Enabled",
    "MatchState",
    "Name",
    "Prefix",
    "Suffix",
    "EndpointType",
    "EndpointValue",
];

/// Whether the fault only tells again of a member that could not be read in the first place: such a member is read as
/// if it were empty.
fn follows(fault: &Fault, unread: &[Fault]) -> bool {
    unread.iter().any(|first| {
        let within = fault.field.starts_with(&first.field);
        let around = fault.field.contains('[') && first.field.starts_with(&fault.field);
        within || around
    })
}

/// One rule as far as it could be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// How faults name the rule: its name, or the label given.
    pub label: String,
    /// What could be read; the rest is as if it were absent.
    pub spec: RuleSpec,
    /// Members of a wrong type.
    pub faults: Vec<Fault>,
    /// Unknown members.
    pub warnings: Vec<Fault>,
}

impl Reading {
    /// Reads one rule from JSON. Nothing is validated here but types of members; `label` names the rule when it has no
    /// name.
    #[must_use]
    pub fn of(value: &Value, label: &str) -> Self {
        let mut reading = Reading {
            label: label.to_owned(),
            ..Reading::default()
        };
        let Value::Object(members) = value else {
            reading.fault("", value, "a rule is an object with ProductName, RuleName, EventTypes, MatchRules and Endpoints");
            return reading;
        };
        if let Some(Value::String(name)) = members.get("RuleName")
            && !name.is_empty()
        {
            reading.label.clone_from(name);
        }
        for (name, value) in members {
            match name.as_str() {
                "ProductName" => reading.spec.product_name = reading.text(name, value),
                "RuleName" => reading.spec.rule_name = reading.text(name, value),
                "EventTypes" => {
                    reading.spec.event_types =
                        reading.list(name, value, |reading, field, value| {
                            if value.is_null() {
                                reading.fault(field, value, "want a text in quotes");
                            }
                            reading.text(field, value)
                        });
                }
                "MatchRules" => {
                    let rules = reading.list(name, value, |reading, field, value| {
                        reading.list(field, value, Reading::clause)
                    });
                    reading.spec.match_rules = value.is_array().then_some(rules);
                }
                "Endpoint" if value.is_null() => {}
                "Endpoint" => reading.spec.endpoint = Some(reading.endpoint(name, value)),
                "Enabled" => match value {
                    Value::Bool(state) => reading.spec.enabled = Some(*state),
                    Value::Null => {}
                    Value::String(text) if read_bool(text).is_some() => {
                        reading.spec.enabled = read_bool(text);
                    }
                    other => reading.fault(name, other, "want true or false"),
                },
                "Endpoints" => {
                    let endpoints = reading.list(name, value, Reading::endpoint);
                    reading.spec.endpoints = value.is_array().then_some(endpoints);
                }
                // Parameters of the action that say nothing of the rule itself.
                "DeliveryMode" | "ClientToken" => {}
                _ => reading.unknown(
                    name,
                    value,
                    "ProductName, RuleName, EventTypes, MatchRules, Endpoint, Endpoints and Enabled",
                ),
            }
        }
        reading
    }

    fn fault(&mut self, field: &str, value: &Value, message: &str) {
        let message = format!("{message}, have {}", kind(value));
        self.faults
            .push(Fault::new(&self.label, field, &value.to_string(), message));
    }

    /// A member that stands a further time. Of those that are not known it does not matter: people keep remarks in them.
    fn repeated(&mut self, field: &str, value: &Value) {
        let names = || {
            field
                .split('.')
                .map(|name| name.split('[').next().unwrap_or_default())
        };
        if names().all(|name| KNOWN.contains(&name)) {
            let message = "this member stands more than once in one object, and only one could hold: keep one of them";
            self.faults
                .push(Fault::new(&self.label, field, &value.to_string(), message));
        }
    }

    fn unknown(&mut self, field: &str, value: &Value, known: &str) {
        let message =
            format!("this member is not known and has no effect: the known ones are {known}");
        self.warnings
            .push(Fault::new(&self.label, field, &value.to_string(), message));
    }

    fn text(&mut self, field: &str, value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => {
                self.fault(field, other, "want a text in quotes");
                String::new()
            }
        }
    }

    fn optional(&mut self, field: &str, value: &Value) -> Option<String> {
        (!value.is_null()).then(|| self.text(field, value))
    }

    fn list<T>(
        &mut self,
        field: &str,
        value: &Value,
        read: impl Fn(&mut Self, &str, &Value) -> T,
    ) -> Vec<T> {
        let Value::Array(elements) = value else {
            if !value.is_null() || field.contains('[') {
                self.fault(field, value, "want an array in [ ]");
            }
            return Vec::new();
        };
        let read_one = |(index, element)| read(self, &format!("{field}[{index}]"), element);
        elements.iter().enumerate().map(read_one).collect()
    }

    /// Empty when anything in it cannot be read: half a clause would cover more than the whole was meant to.
    fn clause(&mut self, field: &str, value: &Value) -> MatchRuleSpec {
        let Value::Object(members) = value else {
            self.fault(
                field,
                value,
                "want an object with Name, or with Prefix and Suffix",
            );
            return MatchRuleSpec::default();
        };
        let mut spec = MatchRuleSpec::default();
        let before = self.faults.len();
        for (name, value) in members {
            let field = format!("{field}.{name}");
            match name.as_str() {
                "MatchState" => match value {
                    Value::Bool(state) => spec.match_state = Some(*state),
                    Value::Null => {}
                    Value::String(text) if read_bool(text).is_some() => {
                        spec.match_state = read_bool(text)
                    }
                    other => self.fault(&field, other, "want true or false"),
                },
                "Name" => spec.name = self.optional(&field, value),
                "Prefix" => spec.prefix = self.optional(&field, value),
                "Suffix" => spec.suffix = self.optional(&field, value),
                _ => self.unknown(&field, value, "MatchState, Name, Prefix and Suffix"),
            }
        }
        if self.faults.len() == before {
            spec
        } else {
            MatchRuleSpec::default()
        }
    }

    fn endpoint(&mut self, field: &str, value: &Value) -> EndpointSpec {
        let Value::Object(members) = value else {
            self.fault(
                field,
                value,
                "want an object with EndpointType and EndpointValue",
            );
            return EndpointSpec::default();
        };
        let mut spec = EndpointSpec::default();
        for (name, value) in members {
            let field = format!("{field}.{name}");
            match name.as_str() {
                "EndpointType" => spec.endpoint_type = self.text(&field, value),
                "EndpointValue" => spec.endpoint_value = self.text(&field, value),
                _ => self.unknown(&field, value, "EndpointType and EndpointValue"),
            }
        }
        spec
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
