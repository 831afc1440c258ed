//! ExplainEvent: why an event goes where it goes; and reading the events that an action is given.

use crate::error::Refused;
use crate::ledger::View;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::event::{Event, EventId, EventType, Product, Timestamp};
use carillon_core::ruleset::{Explanation, RuleSet};
use serde_json::{Value, json};

/// Form of an event, for errors.
const EVENT: &str = r#"{"eventName": "ObjectCreated:PutObject", "oss": {"bucket": {"name": "b"}, "object": {"key": "k"}}}"#;

/// What judging needs of an event.
pub(crate) struct Judged {
    pub(crate) product: Product,
    pub(crate) event_type: String,
    pub(crate) resource: String,
    /// When it happened, and its id: of an event that was decoded.
    pub(crate) known: Option<(Timestamp, EventId)>,
}

impl From<Event> for Judged {
    fn from(event: Event) -> Self {
        Judged {
            product: event.product,
            event_type: event.event_type.as_str().to_owned(),
            resource: event.resource,
            known: Some((event.time, event.id)),
        }
    }
}

/// Explains one event: `Event`, or `EventType` and `Resource`. `MaxOthers` (default 10) bounds how many of the rules that
/// do not cover it are named.
pub(crate) async fn explain(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let product = product(params)?;
    let most = params.number32("MaxOthers", 0..=1000)?.unwrap_or(10) as usize;
    let mut more = 0;
    let event = match params.text("Event") {
        Some(text) => {
            let events = read(service, &product, text, "Event")?;
            more = events.len().saturating_sub(1);
            events.into_iter().next().ok_or_else(|| {
                Refused::argument(
                    "Event",
                    text,
                    format!("there is no event in it: give one of this form: {EVENT}"),
                )
            })?
        }
        None => {
            let event_type = params
                .require_parsed("EventType", EventType::parse)?
                .as_str()
                .to_owned();
            Judged {
                product,
                event_type,
                resource: params.text("Resource").unwrap_or_default().to_owned(),
                known: None,
            }
        }
    };
    let (set, version) = service
        .ledger
        .read(|view| (rule_set(view, &event.product), view.version))
        .await?;
    let explanation = set.explain(&event.event_type, &event.resource, most);
    let mut data = shown(&explanation);
    if more > 0 {
        data["MoreEvents"] = json!(more);
        data["Text"] = json!(format!(
            "{explanation}  of its further events ({more}) nothing is said here: give each by itself\n"
        ));
    }
    data["ProductName"] = json!(event.product);
    data["Version"] = json!(version);
    Ok(Some(data))
}

fn product(params: &Params) -> Result<Product, Refused> {
    Ok(params
        .parsed("ProductName", Product::parse)?
        .unwrap_or(Product::Oss))
}

fn rule_set(view: &View, product: &Product) -> RuleSet {
    let rules = view
        .rules
        .get(product)
        .into_iter()
        .flat_map(|rules| rules.values());
    RuleSet::build(rules.cloned().collect())
}

/// Reads events: one object, an array, a body with `events`, or one a line. What is none of OSS's own goes to the host's
/// decoder, if there is one.
pub(crate) fn read(
    service: &Service,
    product: &Product,
    text: &str,
    field: &str,
) -> Result<Vec<Judged>, Refused> {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return events_of(service, product, value, field);
    }
    let mut events = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let field = format!("{field}, line {}", number + 1);
        match serde_json::from_str::<Value>(line) {
            Ok(value) => events.extend(events_of(service, product, value, &field)?),
            // A mail body is no JSON at all.
            Err(error) => match foreign(service, product, text) {
                Some(read) => {
                    return read.map_err(|reason| Refused::argument(&field, text, reason));
                }
                None => {
                    return Err(Refused::argument(
                        &field,
                        line,
                        format!("{error}; give events of this form: {EVENT}"),
                    ));
                }
            },
        }
    }
    Ok(events)
}

fn events_of(
    service: &Service,
    product: &Product,
    value: Value,
    field: &str,
) -> Result<Vec<Judged>, Refused> {
    let items = match value {
        Value::Array(items) => items,
        Value::Object(mut body) if body.get("events").is_some_and(Value::is_array) => {
            match body.remove("events") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        other => vec![other],
    };
    let mut events = Vec::with_capacity(items.len());
    for item in items {
        if let Some(event) = plain(product, &item) {
            events.push(event);
            continue;
        }
        let text = item.to_string();
        match foreign(service, product, &text) {
            Some(Ok(read)) => events.extend(read),
            Some(Err(reason)) => return Err(Refused::argument(field, &text, reason)),
            None => {
                return Err(Refused::argument(
                    field,
                    &text,
                    format!("give events of this form: {EVENT}"),
                ));
            }
        }
    }
    Ok(events)
}

/// An element of the seeds' `events` array, or `{"eventName", "resource"}`.
fn plain(product: &Product, item: &Value) -> Option<Judged> {
    let event_type = EventType::parse(item.get("eventName")?.as_str()?)
        .ok()?
        .as_str()
        .to_owned();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let bucket = item
        .pointer("/oss/bucket/name")
        .and_then(Value::as_str)
        .filter(|bucket| !bucket.is_empty());
    let resource = match (bucket, item.pointer("/oss/object")) {
        (None, _) => item.get("resource").and_then(text)?,
        (Some(bucket), None | Some(Value::Null)) => bucket.to_owned(),
        // An object without a name is an object all the same, as ingest has it. A name that is no text it has to judge.
        (Some(bucket), Some(object)) => match object.as_object()?.get("key") {
            None | Some(Value::Null) => format!("{bucket}/"),
            Some(key) => format!("{bucket}/{}", key.as_str()?),
        },
    };
    Some(Judged {
        product: product.clone(),
        event_type,
        resource,
        known: None,
    })
}

/// What the host's decoder makes of a body; none when there is no decoder.
fn foreign(
    service: &Service,
    product: &Product,
    text: &str,
) -> Option<Result<Vec<Judged>, String>> {
    let decode = service.decode.as_ref()?;
    Some(
        decode(text.as_bytes(), product.as_str())
            .map(|events| events.into_iter().map(Judged::from).collect()),
    )
}

fn shown(explanation: &Explanation) -> Value {
    let others = explanation
        .others
        .iter()
        .map(|miss| json!({ "RuleName": miss.rule, "Field": miss.field, "Message": miss.message }));
    json!({
        "EventType": explanation.event_type,
        "Resource": explanation.resource,
        "CoveredBy": explanation.covered_by,
        "Default": explanation.default.is_some(),
        "Others": others.collect::<Vec<_>>(),
        "Unlisted": explanation.unlisted,
        "Text": explanation.to_string(),
    })
}
