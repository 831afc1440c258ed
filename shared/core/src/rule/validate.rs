//! The one place where a rule is validated.

use super::pattern::reduce_arn;
use super::{
    Clause, DEFAULT_EVENT_TYPE, DEFAULT_RESOURCE, DEFAULT_RULE, Endpoint, EndpointKind,
    EndpointSpec, EventTypePattern, EventTypes, Fault, Limits, MatchRuleSpec, ResourcePattern,
    Resources, Rule, RuleName, RuleSpec, overlap,
};
use crate::event::{Product, Timestamp};

/// Longest `Name`, `Prefix` or `Suffix`, in bytes. Ours: nearly twice what a bucket (63) and a key (1 024) can be.
pub const MAX_PATTERN: usize = 2048;

impl Rule {
    /// Validates a rule within [`Limits::default`].
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn from_spec(spec: RuleSpec) -> Result<Rule, Vec<Fault>> {
        Self::from_spec_within(spec, &Limits::default())
    }

    /// Validates a rule within the limits given (of which `rules` is the book's to hold).
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn from_spec_within(spec: RuleSpec, limits: &Limits) -> Result<Rule, Vec<Fault>> {
        let mut faults = Faults {
            rule: spec.rule_name.clone(),
            list: Vec::new(),
        };
        let product = product(&mut faults, &spec.product_name);
        let name = faults.take(
            "RuleName",
            &spec.rule_name,
            RuleName::parse(&spec.rule_name),
        );
        let (event_types, resources) = if name.as_ref().is_some_and(RuleName::is_default) {
            default_rule(&mut faults, &spec);
            (EventTypes::default(), Resources::All)
        } else {
            let types = event_types(&mut faults, &spec.event_types);
            (
                types,
                resources(&mut faults, product.as_ref(), spec.match_rules, limits),
            )
        };
        let endpoints = endpoints(&mut faults, spec.endpoint, spec.endpoints, limits);

        match (product, name) {
            (Some(product), Some(name)) if faults.list.is_empty() => Ok(Rule {
                product,
                name,
                event_types,
                resources,
                endpoints,
                enabled: spec.enabled.unwrap_or(true),
                topic: None,
                created: Timestamp::default(),
            }),
            _ => Err(faults.list),
        }
    }
}

fn product(faults: &mut Faults, text: &str) -> Option<Product> {
    let product = faults.take("ProductName", text, Product::parse(text))?;
    // `OSS` would be a product of the user's own, and its rules would wait for ever.
    if let Product::Own(own) = &product
        && let Some(known) = ["oss", "dm", "viapi"]
            .into_iter()
            .find(|known| own.eq_ignore_ascii_case(known))
    {
        faults.add(
            "ProductName",
            text,
            format!("product names are written small: give {known:?}"),
        );
        return None;
    }
    Some(product)
}

/// The default rule takes no types and no resources but the reserved ones (seed 000, 3.3).
fn default_rule(faults: &mut Faults, spec: &RuleSpec) {
    if spec.event_types.is_empty()
        || spec
            .event_types
            .iter()
            .any(|text| text != DEFAULT_EVENT_TYPE)
    {
        faults.add(
            "EventTypes",
            &json(&spec.event_types),
            format!("the default rule takes every event that no other rule took: give [{DEFAULT_EVENT_TYPE:?}]"),
        );
    }
    let reserved = |rule: &MatchRuleSpec| {
        rule.name.as_deref() == Some(DEFAULT_RESOURCE)
            && rule.prefix.as_deref().is_none_or(str::is_empty)
            && rule.suffix.as_deref().is_none_or(str::is_empty)
            && rule.match_state != Some(false)
    };
    if !spec.match_rules.iter().flatten().flatten().all(reserved) {
        faults.add(
            "MatchRules",
            &json(&spec.match_rules),
            format!(
                "the default rule takes every event that no other rule took: leave MatchRules out, or give \
                 [[{{\"Name\":\"{DEFAULT_RESOURCE}\"}}]]"
            ),
        );
    }
}

fn event_types(faults: &mut Faults, texts: &[String]) -> EventTypes {
    if texts.is_empty() {
        faults.add(
            "EventTypes",
            "[]",
            "name at least one event type, for example \"ObjectCreated:*\"",
        );
    }
    let mut types: Vec<EventTypePattern> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let field = || format!("EventTypes[{index}]");
        if text == DEFAULT_EVENT_TYPE {
            faults.add(
                field(),
                text,
                format!("{DEFAULT_EVENT_TYPE:?} is kept for the default rule, which is named {DEFAULT_RULE:?}"),
            );
            continue;
        }
        if let Some(pattern) = faults.take(field(), text, EventTypePattern::parse(text))
            && !types.contains(&pattern)
        {
            types.push(pattern);
        }
    }
    EventTypes(types)
}

fn resources(
    faults: &mut Faults,
    product: Option<&Product>,
    rules: Option<Vec<Vec<MatchRuleSpec>>>,
    limits: &Limits,
) -> Resources {
    let has_resources = product.is_none_or(Product::has_resources);
    let Some(rules) = rules.filter(|rules| has_resources || !rules.is_empty()) else {
        if product == Some(&Product::Oss) {
            faults.add(
                "MatchRules",
                "",
                "describe at least one resource, for example [[{\"Prefix\":\"bucket/\"}]] for all objects of a bucket",
            );
        }
        return Resources::All;
    };
    if !has_resources {
        faults.add(
            "MatchRules",
            &json(&rules),
            "events of this product have no resources: leave MatchRules out, and choose by EventTypes alone",
        );
        return Resources::All;
    }
    if rules.is_empty() {
        faults.add(
            "MatchRules",
            "[]",
            "an empty list covers nothing: describe at least one resource",
        );
    }
    if rules.len() > limits.patterns {
        faults.add(
            "MatchRules",
            &rules.len().to_string(),
            format!(
                "a rule has at most {} resource descriptions: share them among several rules",
                limits.patterns
            ),
        );
    }
    let mut alternatives = Vec::with_capacity(rules.len());
    for (outer, all) in rules.iter().enumerate() {
        if all.is_empty() {
            faults.add(
                format!("MatchRules[{outer}]"),
                "[]",
                "give at least one clause with Name, Prefix or Suffix",
            );
        }
        if all.len() > limits.patterns {
            faults.add(
                format!("MatchRules[{outer}]"),
                &all.len().to_string(),
                format!(
                    "at most {} clauses may have to hold together: drop some",
                    limits.patterns
                ),
            );
        }
        let before = faults.list.len();
        let clauses: Vec<Clause> = all
            .iter()
            .enumerate()
            .filter_map(|(inner, spec)| {
                clause(
                    faults,
                    product,
                    &format!("MatchRules[{outer}][{inner}]"),
                    spec,
                )
            })
            .collect();
        if faults.list.len() == before && !clauses.is_empty() {
            alternatives.push((outer, clauses));
        }
    }
    disjoint(faults, &alternatives);
    Resources::AnyOf(
        alternatives
            .into_iter()
            .map(|(_, clauses)| clauses)
            .collect(),
    )
}

/// Within one rule no two resource descriptions may intersect (seed 000, 3.2, console).
fn disjoint(faults: &mut Faults, alternatives: &[(usize, Vec<Clause>)]) {
    for (at, (later, clauses)) in alternatives.iter().enumerate() {
        let clash = alternatives[..at].iter().find_map(|(earlier, others)| {
            overlap::common(others, clauses).map(|witness| (earlier, others, witness))
        });
        if let Some((earlier, others, witness)) = clash {
            let how = if overlap::within(clauses, others) {
                format!(
                    "MatchRules[{later}] lies within MatchRules[{earlier}] ({})",
                    show(others)
                )
            } else if overlap::within(others, clauses) {
                format!(
                    "MatchRules[{earlier}] ({}) lies within MatchRules[{later}]",
                    show(others)
                )
            } else {
                format!(
                    "MatchRules[{later}] and MatchRules[{earlier}] ({}) overlap",
                    show(others)
                )
            };
            faults.add(
                "MatchRules",
                &show(clauses),
                format!(
                    "{how}, both cover {witness:?}: resource descriptions of one rule may not overlap, so narrow one of \
                     them or drop it"
                ),
            );
        }
    }
}

fn show(clauses: &[Clause]) -> String {
    clauses
        .iter()
        .map(Clause::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

fn clause(
    faults: &mut Faults,
    product: Option<&Product>,
    field: &str,
    spec: &MatchRuleSpec,
) -> Option<Clause> {
    let negated = spec.match_state == Some(false);
    // Clients that always write all members send the unused ones empty.
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&spec.name) && (given(&spec.prefix) || given(&spec.suffix)) {
        faults.add(
            field,
            &json(spec),
            "Name excludes Prefix and Suffix: keep the one or the others",
        );
        return None;
    }
    let mut part = |member: &str, text: &Option<String>| -> Option<String> {
        let text = text.as_deref().unwrap_or_default();
        let field = format!("{field}.{member}");
        if text == DEFAULT_RESOURCE {
            faults.add(
                field,
                text,
                format!("this name is kept for the default rule, which is named {DEFAULT_RULE:?}"),
            );
            return None;
        }
        if text.len() > MAX_PATTERN {
            faults.add(
                field,
                text,
                format!("it is {} bytes long, the limit is {MAX_PATTERN}: no resource is as long, shorten it", text.len()),
            );
            return None;
        }
        if member == "Suffix" {
            return Some(text.to_owned());
        }
        match reduce_arn(product, text) {
            Ok(reduced) => Some(reduced.into_owned()),
            Err(message) => {
                faults.add(field, text, message);
                None
            }
        }
    };
    let pattern = if given(&spec.name) {
        ResourcePattern::Name(part("Name", &spec.name)?)
    } else if spec.prefix.is_none() && spec.suffix.is_none() {
        let message = "give Name, Prefix or Suffix (an empty Prefix stands for every resource)";
        if let Some(name) = &spec.name {
            faults.add(format!("{field}.Name"), name, message);
        } else {
            faults.add(field, &json(spec), message);
        }
        return None;
    } else {
        let (prefix, suffix) = (part("Prefix", &spec.prefix), part("Suffix", &spec.suffix));
        ResourcePattern::Ends {
            prefix: prefix?,
            suffix: suffix?,
        }
    };
    Some(Clause { negated, pattern })
}

fn endpoints(
    faults: &mut Faults,
    one: Option<EndpointSpec>,
    several: Option<Vec<EndpointSpec>>,
    limits: &Limits,
) -> Vec<Endpoint> {
    let several = several.unwrap_or_default();
    // Clients that write both forms repeat the one in the other.
    let one = one.filter(|one| !several.contains(one));
    let listed = (several
        .iter()
        .enumerate()
        .map(|(index, spec)| (format!("Endpoints[{index}]"), spec)))
    .chain(one.as_ref().map(|spec| ("Endpoint".to_owned(), spec)));

    let mut endpoints: Vec<(String, Endpoint)> = Vec::new();
    let mut count = 0;
    for (field, spec) in listed {
        count += 1;
        let Some(kind) = EndpointKind::parse(&spec.endpoint_type) else {
            faults.add(
                format!("{field}.EndpointType"),
                &spec.endpoint_type,
                "give http, queue or topic",
            );
            continue;
        };
        let value = format!("{field}.EndpointValue");
        let Some(endpoint) = faults.take(
            &value,
            &spec.endpoint_value,
            Endpoint::parse(kind, &spec.endpoint_value),
        ) else {
            continue;
        };
        match endpoints.iter().find(|(_, held)| *held == endpoint) {
            Some((first, _)) => {
                faults.add(
                    value,
                    &spec.endpoint_value,
                    format!("{first} is the same endpoint: list it once"),
                );
            }
            None => endpoints.push((field, endpoint)),
        }
    }
    if count == 0 {
        faults.add(
            "Endpoints",
            "[]",
            "name at least one endpoint: an http URL, a queue, or a topic",
        );
    }
    if count > limits.endpoints {
        faults.add(
            "Endpoints",
            &count.to_string(),
            format!(
                "a rule has at most {} endpoints: use a topic, and subscribe them to it",
                limits.endpoints
            ),
        );
    }
    let topics = endpoints
        .iter()
        .filter(|(_, endpoint)| endpoint.kind == EndpointKind::Topic)
        .count();
    if topics > 0 && endpoints.len() > 1 {
        let (_, topic) = endpoints
            .iter()
            .find(|(_, endpoint)| endpoint.kind == EndpointKind::Topic)
            .expect("at least one endpoint is a topic");
        faults.add(
            "Endpoints",
            &topic.value,
            "a topic excludes all other endpoints, a second topic too: keep the topic alone and subscribe the others to it",
        );
    }
    endpoints
        .into_iter()
        .map(|(_, endpoint)| endpoint)
        .collect()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("rule specs have only string keys")
}

struct Faults {
    rule: String,
    list: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, field: impl Into<String>, value: &str, message: impl Into<String>) {
        self.list
            .push(Fault::new(&self.rule, field, value, message));
    }

    fn take<T, E: std::fmt::Display>(
        &mut self,
        field: impl Into<String>,
        value: &str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, value, error.to_string());
                None
            }
        }
    }
}
