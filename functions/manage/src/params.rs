//! Parameters of an action: from the query and a form body, merged; each read once, typed, with an error that names it.
//!
//! Structured parameters come as JSON text (the vendor's SDKs) or flattened, with indices from 1
//! (`EventTypes.1=ObjectCreated:*`, `MatchRules.1.1.Prefix=a/`). Booleans come in any case (`True` from Python).

use crate::error::Refused;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// The parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Most parameters of a request; the largest sound one is a rule of 100 patterns, flattened.
    const MOST: usize = 4096;

    /// Parameters of a query and of a form body; the query's come first and win.
    pub(crate) fn read(query: &str, form: Option<&[u8]>) -> Result<Self, Refused> {
        let pairs = form_urlencoded::parse(query.as_bytes())
            .chain(form_urlencoded::parse(form.unwrap_or_default()));
        let list: Vec<_> = pairs
            .take(Self::MOST + 1)
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        if list.len() > Self::MOST {
            return Err(Refused::new(
                400,
                "InvalidArgument",
                "the request has more than 4096 parameters: send fewer",
            ));
        }
        Ok(Params(list))
    }

    /// All of them, as one text: two requests with equal texts ask for the same. `ClientToken` is left out.
    pub(crate) fn canonical(&self) -> String {
        let mut list: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| name != "ClientToken")
            .collect();
        list.sort();
        format!("{list:?}")
    }

    /// A parameter, if it is given and not empty. The vendor's SDKs leave out what is not set; forms send it empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter that must be given.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Refused> {
        self.text(name).ok_or_else(|| Refused::missing(name))
    }

    /// A parameter that `parse` must take.
    pub(crate) fn parsed<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Refused> {
        self.text(name)
            .map(|text| parse(text).map_err(|error| Refused::argument(name, text, error)))
            .transpose()
    }

    /// A parameter that must be given, and that `parse` must take.
    pub(crate) fn require_parsed<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Refused> {
        self.parsed(name, parse)?
            .ok_or_else(|| Refused::missing(name))
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &self,
        name: &str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Refused> {
        self.parsed(name, |text| {
            text.trim()
                .parse()
                .ok()
                .filter(|number| bounds.contains(number))
                .ok_or_else(|| {
                    format!(
                        "give a whole number from {} to {}",
                        bounds.start(),
                        bounds.end()
                    )
                })
        })
    }

    /// As [`number`](Self::number), for bounds that fit 32 bits.
    pub(crate) fn number32(
        &self,
        name: &str,
        bounds: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Refused> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        Ok(self
            .number(name, bounds)?
            .map(|number| u32::try_from(number).expect("the bounds fit 32 bits")))
    }

    /// A boolean, in any case.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        self.parsed(name, |text| flag(text).ok_or("give true or false"))
    }

    /// A structured parameter.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        name: &str,
        form: &str,
    ) -> Result<Option<T>, Refused> {
        let value = match self.text(name) {
            Some(text) => {
                let cure = |error| {
                    Refused::argument(
                        name,
                        text,
                        format!("{error}; give JSON text of this form: {form}"),
                    )
                };
                serde_json::from_str(text).map_err(cure)?
            }
            None => match self.flattened(name)? {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        let shown = value.to_string();
        serde_json::from_value(loosen(value))
            .map(Some)
            .map_err(|error| {
                Refused::argument(
                    name,
                    &shown,
                    format!("{error}; give JSON text of this form: {form}"),
                )
            })
    }

    /// A list of texts: a JSON array, one bare text, or flattened.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<String>>, Refused> {
        match self.text(name) {
            Some(text) if !text.trim_start().starts_with(['[', '{', '"']) => Ok(Some(
                text.split(',').map(|part| part.trim().to_owned()).collect(),
            )),
            _ => self.json(name, r#"["one", "another"]"#),
        }
    }

    /// `Name.1.Key=value` and the like, as a value; texts stay texts.
    fn flattened(&self, name: &str) -> Result<Option<Value>, Refused> {
        let mut root = None;
        for (key, value) in &self.0 {
            let Some(path) = key
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let parts: Vec<&str> = path.split('.').collect();
            if parts.len() > 8 || parts.iter().any(|part| part.is_empty()) {
                return Err(Refused::argument(
                    key,
                    value,
                    "write it like Name.1.Key, with indices from 1",
                ));
            }
            let mut slot = root.get_or_insert_with(|| Value::Object(Map::new()));
            for part in parts {
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                let map = slot.as_object_mut().expect("made an object just above");
                slot = map
                    .entry(part.to_owned())
                    .or_insert_with(|| Value::Object(Map::new()));
            }
            *slot = Value::String(value.clone());
        }
        Ok(root.map(indexed))
    }
}

/// `true` or `false` in any case.
pub(crate) fn flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Objects whose keys are all indices become arrays, in ascending order of index.
fn indexed(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let mut items: Vec<(Option<u32>, String, Value)> = map
        .into_iter()
        .map(|(key, value)| (key.parse().ok(), key, indexed(value)))
        .collect();
    if !items.is_empty() && items.iter().all(|(index, ..)| index.is_some()) {
        items.sort_by_key(|(index, ..)| *index);
        Value::Array(items.into_iter().map(|(.., value)| value).collect())
    } else {
        Value::Object(
            items
                .into_iter()
                .map(|(_, key, value)| (key, value))
                .collect(),
        )
    }
}

/// Members that are booleans or numbers, and that some clients send as texts.
fn loosen(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(loosen).collect()),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let value = match (key.as_str(), value) {
                        ("MatchState" | "Enabled", Value::String(text)) => {
                            flag(&text).map_or(Value::String(text), Value::Bool)
                        }
                        ("MaxReceiveCount" | "MaxReceivesPerSecond", Value::String(text)) => {
                            text.parse::<u64>().map_or(Value::String(text), Value::from)
                        }
                        (_, value) => loosen(value),
                    };
                    (key, value)
                })
                .collect(),
        ),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_core::rule::{EndpointSpec, MatchRuleSpec};

    fn params(query: &str) -> Params {
        Params::read(query, None).unwrap()
    }

    #[test]
    fn structured_parameters_come_as_json_or_flattened() {
        let json = params(
            "MatchRules=%5B%5B%7B%22Prefix%22%3A%22a%2F%22%2C%22MatchState%22%3A%22False%22%7D%5D%5D",
        );
        let flat = params("MatchRules.1.1.Prefix=a/&MatchRules.1.1.MatchState=false");
        for given in [json, flat] {
            let rules: Vec<Vec<MatchRuleSpec>> = given.json("MatchRules", "").unwrap().unwrap();
            assert_eq!(rules[0][0].prefix.as_deref(), Some("a/"));
            assert_eq!(rules[0][0].match_state, Some(false));
        }
        let endpoint: EndpointSpec = params("Endpoint.EndpointType=queue&Endpoint.EndpointValue=q")
            .json("Endpoint", "")
            .unwrap()
            .unwrap();
        assert_eq!(endpoint.endpoint_value, "q");
    }

    #[test]
    fn indices_order_a_list_by_number() {
        let list = params("EventTypes.2=b&EventTypes.10=c&EventTypes.1=a")
            .list("EventTypes")
            .unwrap()
            .unwrap();
        assert_eq!(list, ["a", "b", "c"]);
    }

    #[test]
    fn a_list_may_be_a_bare_text() {
        assert_eq!(
            params("E=ObjectCreated:*").list("E").unwrap().unwrap(),
            ["ObjectCreated:*"]
        );
        assert_eq!(params("E=").list("E").unwrap(), None);
    }

    #[test]
    fn booleans_come_in_any_case() {
        for (text, want) in [("True", true), ("true", true), ("FALSE", false)] {
            assert_eq!(
                params(&format!("EnableLogging={text}"))
                    .flag("EnableLogging")
                    .unwrap(),
                Some(want)
            );
        }
        let refused = params("EnableLogging=yes")
            .flag("EnableLogging")
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "InvalidArgument: EnableLogging, value \"yes\": give true or false"
        );
    }
}
