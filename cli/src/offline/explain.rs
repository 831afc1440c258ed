//! `carillon explain`: why an event goes where it goes.

use super::line::Line;
use super::rules::load;
use crate::failure::{Failure, Outcome};
use crate::output::{print_json, say};
use carillon_core::event::Product;
use carillon_core::ruleset::{Explanation, Overlap, RuleSet};
use clap::Args;
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Say why each rule does or does not cover an event, without a service.
///
/// Rules that claim one event are no error here: all of them are named.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Rule file: a JSON array of objects with the parameters of CreateEventRule.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// The event: a file, - for standard input, or the JSON itself. One element of the `events` array, or the whole
    /// array with its frame.
    event: String,
    /// How many of the rules that do not cover the event to name, nearest first.
    #[arg(long, default_value_t = 10, value_name = "N")]
    others: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    pub(crate) fn run(&self) -> Outcome {
        let sets = load(&self.rules, Overlap::Allow)?;
        let none = RuleSet::default();
        let mut printed = Vec::new();
        for event in events(&self.event)? {
            let mut resource = String::new();
            let line = Line::read(event.as_bytes(), &mut resource).map_err(Failure::Unusable)?;
            let set = sets
                .get(line.product.as_ref().unwrap_or(&Product::Oss))
                .unwrap_or(&none);
            let explanation = set.explain(&line.event_type, &resource, self.others);
            if self.json {
                printed.push(as_json(&explanation));
            } else {
                say!("{}", explanation.to_string().trim_end());
            }
        }
        match printed.len() {
            0 => {}
            1 => print_json(&printed[0]),
            _ => print_json(&Value::Array(printed)),
        }
        Ok(())
    }
}

/// The events of the argument, each as JSON text.
fn events(argument: &str) -> Result<Vec<String>, Failure> {
    let text = if argument.trim_start().starts_with(['{', '[']) {
        argument.to_owned()
    } else if argument == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::file(Path::new("standard input"), &error))?;
        text
    } else {
        std::fs::read_to_string(argument)
            .map_err(|error| Failure::file(Path::new(argument), &error))?
    };
    let value: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            Failure::Unusable(format!(
                "the event is not JSON ({error}): give one element of the `events` array"
            ))
        })?;
    let elements = match value {
        Value::Array(elements) => elements,
        Value::Object(mut members) if !members.contains_key("eventName") => {
            match members.remove("events") {
                Some(Value::Array(elements)) => elements,
                _ => vec![Value::Object(members)],
            }
        }
        other => vec![other],
    };
    if elements.is_empty() {
        return Err(Failure::Unusable(
            "the `events` array is empty: give at least one event".to_owned(),
        ));
    }
    Ok(elements.iter().map(Value::to_string).collect())
}

fn as_json(explanation: &Explanation) -> Value {
    let names = |names: &[carillon_core::rule::RuleName]| {
        names
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let others: Vec<Value> = explanation
        .others
        .iter()
        .map(|miss| json!({ "rule": miss.rule.as_str(), "field": miss.field, "message": miss.message }))
        .collect();
    json!({
        "eventName": explanation.event_type,
        "resource": explanation.resource,
        "rules": names(&explanation.covered_by),
        "default": explanation.default.is_some(),
        "others": others,
        "unlisted": explanation.unlisted,
    })
}
