//! ExplainEvent and PreviewEventRule: why an event goes where it goes, and what a rule would change about that.

use crate::actions::rule_create::{read_spec, validate};
use crate::error::Refused;
use crate::ledger::View;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::event::{EventType, Product};
use carillon_core::rule::{EndpointSpec, RuleSpec};
use carillon_core::ruleset::{Explanation, Holder, Moved, Preview, RuleSet, preview as look_ahead};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Form of an event, for errors.
const EVENT: &str = r#"{"eventName": "ObjectCreated:PutObject", "oss": {"bucket": {"name": "b"}, "object": {"key": "k"}}}"#;

/// What judging needs of an event.
struct Judged {
    product: Product,
    event_type: String,
    resource: String,
}

/// Explains one event: `Event`, or `EventType` and `Resource`. `MaxOthers` (default 10) bounds how many of the rules that
/// do not cover it are named.
pub(crate) async fn explain(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let product = product(params)?;
    let most = params.number32("MaxOthers", 0..=1000)?.unwrap_or(10) as usize;
    let event = match params.text("Event") {
        Some(text) => read(service, &product, text, "Event")?
            .into_iter()
            .next()
            .ok_or_else(|| {
                Refused::argument(
                    "Event",
                    text,
                    format!("there is no event in it: give one of this form: {EVENT}"),
                )
            })?,
        None => {
            let event_type = params
                .require_parsed("EventType", EventType::parse)?
                .as_str()
                .to_owned();
            Judged {
                product,
                event_type,
                resource: params.text("Resource").unwrap_or_default().to_owned(),
            }
        }
    };
    let (set, version) = service
        .ledger
        .read(|view| (rule_set(view, &event.product), view.version))
        .await?;
    let explanation = set.explain(&event.event_type, &event.resource, most);
    let mut data = shown(&explanation);
    data["ProductName"] = json!(event.product);
    data["Version"] = json!(version);
    Ok(Some(data))
}

/// Previews a rule that is not stored, or a change of one that is: CreateEventRule's parameters, and `Events`, a JSON
/// array or one event a line. Endpoints may be left out. `MaxExamples` (default 20) bounds the lists.
pub(crate) async fn preview(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let mut spec: RuleSpec = read_spec(params)?;
    if spec.endpoint.is_none() && spec.endpoints.is_none() {
        // Who is told makes no difference to what is taken.
        spec.endpoint = Some(EndpointSpec {
            endpoint_type: "queue".to_owned(),
            endpoint_value: "preview".to_owned(),
        });
    }
    let rule = validate(service, spec)?;
    let most = params.number32("MaxExamples", 0..=1000)?.unwrap_or(20) as usize;
    let Some(text) = params.text("Events") else {
        return Err(Refused::new(
            400,
            "InvalidArgument",
            "Events is missing: give events, as a JSON array or one a line; the service keeps no history of them",
        ));
    };
    let events = read(service, &rule.product, text, "Events")?;
    let set = service
        .ledger
        .read(|view| rule_set(view, &rule.product))
        .await?;
    let of_product = events.iter().filter(|event| event.product == rule.product);
    let pairs = of_product.map(|event| (event.event_type.as_str(), event.resource.as_str()));
    let seen = look_ahead(&set, &rule, pairs, most);
    Ok(Some(preview_shown(rule.name.as_str(), &seen)))
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
fn read(
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
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let bucket = text(item.pointer("/oss/bucket/name"));
    let key = text(item.pointer("/oss/object/key")).filter(|key| !key.is_empty());
    let resource = match (bucket, key) {
        (Some(bucket), Some(key)) => format!("{bucket}/{key}"),
        (Some(bucket), None) => bucket,
        (None, _) => text(item.get("resource"))?,
    };
    Some(Judged {
        product: product.clone(),
        event_type,
        resource,
    })
}

/// What the host's decoder makes of a body; none when there is no decoder.
fn foreign(
    service: &Service,
    product: &Product,
    text: &str,
) -> Option<Result<Vec<Judged>, String>> {
    let decode = service.decode.as_ref()?;
    Some(decode(text.as_bytes(), product.as_str()).map(|events| {
        let judged = events.into_iter().map(|event| Judged {
            product: event.product,
            event_type: event.event_type.as_str().to_owned(),
            resource: event.resource,
        });
        judged.collect()
    }))
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

fn holder(from: &Holder) -> String {
    match from {
        Holder::Nobody => "nobody".to_owned(),
        Holder::Default => "the default rule".to_owned(),
        Holder::Itself => "the stored rule of its name".to_owned(),
        Holder::Rule(name) => format!("rule {:?}", name.as_str()),
    }
}

fn moved(moved: &Moved) -> Value {
    let mut data =
        json!({ "Event": moved.event, "EventType": moved.event_type, "Resource": moved.resource });
    match &moved.from {
        Holder::Rule(name) => {
            data["From"] = json!("rule");
            data["FromRule"] = json!(name);
        }
        Holder::Nobody => data["From"] = json!("nobody"),
        Holder::Default => data["From"] = json!("default"),
        Holder::Itself => data["From"] = json!("itself"),
    }
    data
}

fn preview_shown(name: &str, seen: &Preview) -> Value {
    let mut text = format!(
        "rule {name:?} would take {} of {} events\n",
        seen.taken_count(),
        seen.events
    );
    for (from, count) in &seen.taken {
        let _ = writeln!(text, "  {count} from {}", holder(from));
    }
    for example in &seen.taken_examples {
        let from = holder(&example.from);
        let _ = writeln!(
            text,
            "  takes {} on {:?} from {from}",
            example.event_type, example.resource
        );
    }
    if seen.lost > 0 {
        let _ = writeln!(
            text,
            "it would no longer take {} that the stored rule of its name takes",
            seen.lost
        );
    }
    for example in &seen.lost_examples {
        let _ = writeln!(
            text,
            "  loses {} on {:?}",
            example.event_type, example.resource
        );
    }
    for conflict in &seen.conflicts {
        let _ = writeln!(text, "refused as it stands: {conflict}");
    }
    let conflicts = seen.conflicts.iter().map(|conflict| {
        let witness = &conflict.witness;
        json!({ "RuleName": conflict.other, "EventType": witness.event_type, "Resource": witness.resource })
    });
    json!({
        "RuleName": name,
        "Events": seen.events,
        "Taken": seen.taken_count(),
        "Lost": seen.lost,
        "TakenExamples": seen.taken_examples.iter().map(moved).collect::<Vec<_>>(),
        "LostExamples": seen.lost_examples.iter().map(moved).collect::<Vec<_>>(),
        "Conflicts": conflicts.collect::<Vec<_>>(),
        "Text": text,
    })
}
