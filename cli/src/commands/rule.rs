//! `carillon rule`: what is told to whom.

use super::{all_pages, read_input};
use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{GOOD, plain, print_json, print_table, say};
use carillon_core::rule::{Limits, RuleFile};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Create, change, list and explain rules.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: RuleCommand,
}

#[derive(Debug, Subcommand)]
enum RuleCommand {
    /// Create a rule.
    Create(Definition),
    /// Replace a rule, in one step: at no moment do neither or both hold.
    Update(Definition),
    Apply(super::apply::Apply),
    /// Print the service's rules as a rule file, fit for `rule apply`.
    Export {
        /// Only rules of this product.
        #[arg(long, value_name = "PRODUCT")]
        product: Option<String>,
    },
    /// Delete a rule, with the topic and subscriptions that were made for it.
    Delete(Named),
    /// List rules.
    List {
        /// Product whose rules to list.
        #[arg(long, default_value = "oss")]
        product: String,
        /// Only rules whose name contains this.
        #[arg(long, value_name = "TEXT")]
        containing: Option<String>,
    },
    /// Show one rule.
    Show(Named),
    /// Let a disabled rule cover events again.
    Enable(Named),
    /// Let a rule cover nothing for a while; its events fall to the default rule.
    Disable(Named),
    /// Tell why each rule does or does not cover an event.
    Explain {
        /// File with one event (an element of the seeds' `events` array, or a whole body), - for standard input, or the
        /// JSON itself.
        event: PathBuf,
        /// Product of the event.
        #[arg(long, default_value = "oss")]
        product: String,
    },
    /// Show which events a rule would take, and from which rule, before it is created.
    Preview {
        #[command(flatten)]
        definition: Definition,
        /// File of events, one a line; without it, the recent history of the service.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "until", "limit"])]
        events: Option<PathBuf>,
        #[command(flatten)]
        recent: Recent,
    },
}

/// Which part of the service's history.
#[derive(Debug, Args)]
struct Recent {
    /// Look at events accepted since then: a time (ISO 8601), or how long ago (90s, 15m, 24h, 7d); by default an hour.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Look at events accepted before then.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Look at no more than this many events, 1 to 100 000; by default 10 000.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

impl Recent {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| limit.to_string());
        let named = [
            ("Since", self.since.clone()),
            ("Until", self.until.clone()),
            ("MaxEvents", limit),
        ];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

#[derive(Debug, Args)]
struct Named {
    /// Name of the rule.
    name: String,
    /// Its product.
    #[arg(long, default_value = "oss")]
    product: String,
}

/// A rule by options, or from a file of one rule object.
#[derive(Debug, Args)]
struct Definition {
    /// Name of the rule; DefaultEnRule is the default rule.
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// Read the rule from a file instead: one object of a rule file, or an array of them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "event_types", "full_names", "prefixes", "suffixes", "both", "queues", "https", "topic"])]
    file: Option<PathBuf>,
    /// Its product.
    #[arg(long, default_value = "oss")]
    product: String,
    /// Event type, for example ObjectCreated:PutObject or ObjectCreated:*; may be repeated.
    #[arg(long = "event-type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// Resource by full name, bucket/key; a bucket alone covers all of it; may be repeated.
    #[arg(long = "full-name", value_name = "NAME")]
    full_names: Vec<String>,
    /// Resources that begin so; may be repeated.
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// Resources that end so; may be repeated.
    #[arg(long = "suffix", value_name = "SUFFIX")]
    suffixes: Vec<String>,
    /// Resources that begin and end so; may be repeated.
    #[arg(long = "prefix-suffix", num_args = 2, value_names = ["PREFIX", "SUFFIX"])]
    both: Vec<String>,
    /// Queue to tell; may be repeated.
    #[arg(long = "queue", value_name = "QUEUE")]
    queues: Vec<String>,
    /// HTTP endpoint to tell; may be repeated.
    #[arg(long = "http", value_name = "URL")]
    https: Vec<String>,
    /// Topic to publish to; excludes the other endpoints.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

impl RuleArgs {
    pub(crate) fn run(&self) -> Outcome {
        let client = self.service.client()?;
        match &self.command {
            RuleCommand::Create(definition) => {
                self.put(&client, "CreateEventRule", definition, "created")
            }
            RuleCommand::Update(definition) => {
                self.put(&client, "UpdateEventRule", definition, "replaced")
            }
            RuleCommand::Apply(apply) => apply.run(&self.service),
            RuleCommand::Export { product } => export(&client, product.as_deref()),
            RuleCommand::Delete(named) => self.act(&client, "DeleteEventRule", named, "deleted"),
            RuleCommand::Enable(named) => self.act(&client, "EnableEventRule", named, "enabled"),
            RuleCommand::Disable(named) => self.act(&client, "DisableEventRule", named, "disabled"),
            RuleCommand::List {
                product,
                containing,
            } => self.list(&client, product, containing.as_deref()),
            RuleCommand::Show(named) => {
                let rule = client.action("GetEventRule", &named.parameters())?;
                self.show(&rule)
            }
            RuleCommand::Explain { event, product } => self.explain(&client, event, product),
            RuleCommand::Preview {
                definition,
                events,
                recent,
            } => self.preview(&client, definition, events.as_ref(), recent),
        }
    }

    fn put(&self, client: &Client, action: &str, definition: &Definition, done: &str) -> Outcome {
        let rules = definition.rules()?;
        warn(&rules);
        for rule in rules {
            client.action(action, &parameters(&rule))?;
            let name = plain(&rule["RuleName"]);
            if self.service.json {
                print_json(&json!({"RuleName": name, "Done": done}));
            } else {
                say!("{GOOD}{done}{GOOD:#} rule {name}");
            }
        }
        Ok(())
    }

    fn act(&self, client: &Client, action: &str, named: &Named, done: &str) -> Outcome {
        client.action(action, &named.parameters())?;
        if self.service.json {
            print_json(&json!({"RuleName": named.name, "Done": done}));
        } else {
            say!("{GOOD}{done}{GOOD:#} rule {}", named.name);
        }
        Ok(())
    }

    fn list(&self, client: &Client, product: &str, containing: Option<&str>) -> Outcome {
        let mut parameters = vec![("ProductName", product.to_owned())];
        parameters.extend(containing.map(|text| ("RuleName", text.to_owned())));
        let rules = all_pages(client, "ListEventRules", &parameters)?;
        if self.service.json {
            print_json(&Value::from(rules));
            return Ok(());
        }
        let rows = rules
            .iter()
            .map(|rule| {
                vec![
                    plain(&rule["RuleName"]),
                    state(rule).to_owned(),
                    list_of(&rule["EventTypes"], plain),
                    resources(&rule["MatchRules"]),
                    list_of(&rule["Subscriptions"], endpoint),
                ]
            })
            .collect();
        print_table(
            &["rule", "state", "event types", "resources", "endpoints"],
            rows,
        );
        Ok(())
    }

    fn show(&self, rule: &Value) -> Outcome {
        if self.service.json {
            print_json(rule);
            return Ok(());
        }
        let rows = [
            ("rule", plain(&rule["RuleName"])),
            ("state", state(rule).to_owned()),
            ("event types", list_of(&rule["EventTypes"], plain)),
            ("resources", resources(&rule["MatchRules"])),
            ("endpoints", list_of(&rule["Subscriptions"], endpoint)),
            ("topic", plain(&rule["TopicName"])),
        ];
        for (name, value) in rows {
            say!("{name:<12} {value}");
        }
        Ok(())
    }

    fn explain(&self, client: &Client, event: &std::path::Path, product: &str) -> Outcome {
        let event = match event.to_str() {
            Some(text) if text.trim_start().starts_with(['{', '[']) => text.to_owned(),
            _ => String::from_utf8(read_input(event)?)
                .map_err(|_| Failure::Unusable("the event is not UTF-8".into()))?,
        };
        let answer = client.action(
            "ExplainEvent",
            &[("ProductName", product.to_owned()), ("Event", event)],
        )?;
        match answer["Text"].as_str() {
            Some(text) if !self.service.json => say!("{}", text.trim_end()),
            _ => print_json(&answer),
        }
        Ok(())
    }

    fn preview(
        &self,
        client: &Client,
        definition: &Definition,
        events: Option<&PathBuf>,
        recent: &Recent,
    ) -> Outcome {
        for rule in definition.rules()? {
            let mut parameters = parameters(&rule);
            parameters.extend(recent.parameters());
            if let Some(path) = events {
                let text = String::from_utf8(read_input(path)?)
                    .map_err(|_| Failure::Unusable(format!("{} is not UTF-8", path.display())))?;
                parameters.push(("Events", text));
            }
            let answer = client.action("PreviewEventRule", &parameters)?;
            match answer["Text"].as_str() {
                Some(text) if !self.service.json => say!("{}", text.trim_end()),
                _ => print_json(&answer),
            }
        }
        Ok(())
    }
}

/// The rules as a file: what [`super::apply`] takes. An empty file's plan holds every rule in full.
fn export(client: &Client, product: Option<&str>) -> Outcome {
    let mut parameters = vec![("Rules", "[]".to_owned()), ("DryRun", "true".to_owned())];
    parameters.extend(product.map(|product| ("ProductName", product.to_owned())));
    let plan = client.action("ApplyEventRules", &parameters)?;
    let steps = plan["Steps"].as_array().into_iter().flatten();
    let rules = steps.map(|step| {
        let mut rule = json!({"ProductName": step["ProductName"], "RuleName": step["RuleName"]});
        for difference in step["Differences"].as_array().into_iter().flatten() {
            if !difference["From"].is_null() {
                rule[plain(&difference["Field"])] = difference["From"].clone();
            }
        }
        rule
    });
    print_json(&rules.collect());
    Ok(())
}

impl Named {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ProductName", self.product.clone()),
            ("RuleName", self.name.clone()),
        ]
    }
}

impl Definition {
    /// The rule or rules, as objects of a rule file.
    fn rules(&self) -> Result<Vec<Value>, Failure> {
        if let Some(path) = &self.file {
            let bytes = read_input(path)?;
            // Editors of some systems begin a file with this mark.
            let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
            let value: Value = serde_json::from_slice(text).map_err(|error| {
                Failure::Unusable(format!("{} is not a rule file: {error}", path.display()))
            })?;
            let (rules, text) = match value {
                Value::Array(rules) => (rules, text.to_vec()),
                rule @ Value::Object(_) => (vec![rule], [b"[", text, b"]"].concat()),
                _ => {
                    return Err(Failure::Unusable(format!(
                        "{} is not a rule file: want one rule object, or an array of them",
                        path.display()
                    )));
                }
            };
            sound(path, &text)?;
            return Ok(rules);
        }
        let name = self.name.as_deref().unwrap_or_default();
        let mut rule = json!({"ProductName": self.product, "RuleName": name});
        let types: Vec<&str> = match (name, self.event_types.as_slice()) {
            (carillon_core::rule::DEFAULT_RULE, []) => {
                vec![carillon_core::rule::DEFAULT_EVENT_TYPE]
            }
            (_, types) => types.iter().map(String::as_str).collect(),
        };
        rule["EventTypes"] = types.into();
        let full = self.full_names.iter().map(|name| json!([{"Name": name}]));
        let prefixes = self
            .prefixes
            .iter()
            .map(|prefix| json!([{"Prefix": prefix}]));
        let suffixes = self
            .suffixes
            .iter()
            .map(|suffix| json!([{"Suffix": suffix}]));
        let both = self
            .both
            .chunks(2)
            .map(|ends| json!([{"Prefix": ends[0], "Suffix": ends[1]}]));
        let alternatives: Vec<Value> = full.chain(prefixes).chain(suffixes).chain(both).collect();
        if !alternatives.is_empty() {
            rule["MatchRules"] = alternatives.into();
        }
        let told =
            |kind: &str, value: &String| json!({"EndpointType": kind, "EndpointValue": value});
        let endpoints: Vec<Value> = (self.queues.iter().map(|queue| told("queue", queue)))
            .chain(self.https.iter().map(|url| told("http", url)))
            .chain(self.topic.iter().map(|topic| told("topic", topic)))
            .collect();
        rule["Endpoints"] = endpoints.into();
        Ok(vec![rule])
    }
}

/// Refuses a file with any fault before the first of its rules is created, and tells of all: a reader of JSON would not
/// even notice a member that stands twice.
fn sound(path: &std::path::Path, text: &[u8]) -> Outcome {
    let name = path.display();
    let file = RuleFile::read(text, &Limits::NONE)
        .map_err(|error| Failure::Unusable(format!("{name}: {error}")))?;
    if file.faults.is_empty() {
        return Ok(());
    }
    // A member in the wrong spelling is unknown there and missing here.
    super::apply::warn(&file);
    let faults: Vec<String> = file.faults.iter().map(ToString::to_string).collect();
    Err(Failure::Refused(format!("{name}: {}", faults.join("\n"))))
}

/// Tells what is sound and hardly meant, as `carillon check` does, before the service is asked: it stores such a rule.
/// Faults it tells itself.
fn warn(rules: &[Value]) {
    let text = Value::from(rules).to_string();
    if let Ok(file) = RuleFile::read(text.as_bytes(), &Limits::NONE) {
        super::apply::warn(&file);
    }
}

/// A rule object as parameters of an action: strings as they are, structures as compact JSON.
pub(crate) fn parameters(rule: &Value) -> Vec<(&str, String)> {
    let Value::Object(members) = rule else {
        return Vec::new();
    };
    members
        .iter()
        .map(|(name, value)| (name.as_str(), plain(value)))
        .collect()
}

fn state(rule: &Value) -> &'static str {
    match rule["Enabled"].as_bool() {
        Some(false) => "disabled",
        _ => "enabled",
    }
}

pub(super) fn list_of(value: &Value, print: impl Fn(&Value) -> String) -> String {
    let items = value.as_array().into_iter().flatten().map(print);
    items.collect::<Vec<_>>().join(", ")
}

pub(super) fn endpoint(value: &Value) -> String {
    format!(
        "{}:{}",
        plain(&value["EndpointType"]),
        plain(&value["EndpointValue"])
    )
}

pub(super) fn resources(rules: &Value) -> String {
    let clause = |clause: &Value| {
        let not = if clause["MatchState"] == json!(false) {
            "not "
        } else {
            ""
        };
        match (&clause["Name"], &clause["Prefix"], &clause["Suffix"]) {
            (Value::String(name), _, _) => format!("{not}{name}"),
            (_, prefix, suffix) => format!("{not}{}*{}", plain(prefix), plain(suffix)),
        }
    };
    let alternatives = rules.as_array().into_iter().flatten();
    let all = alternatives.map(|all| {
        let clauses = all.as_array().into_iter().flatten().map(clause);
        clauses.collect::<Vec<_>>().join(" and ")
    });
    all.collect::<Vec<_>>().join(", ")
}
