//! PreviewEventRule: which events a rule that is not stored would take, and from whom.

use crate::actions::explain::{Judged, read};
use crate::actions::history::{History, Window};
use crate::actions::rule_create::{read_spec, validate};
use crate::error::Refused;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::rule::{EndpointSpec, Rule, RuleSpec};
use carillon_core::ruleset::{Holder, Moved, Preview, preview as look_ahead};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// How far back the recent history goes, unless `Since` says otherwise.
const RECENT: Duration = Duration::from_secs(3600);
/// Time after which no further page of the history is read.
const BUDGET: Duration = Duration::from_secs(5);
/// Packs that are read at a time.
const ONCE: usize = 128;

/// Previews a rule that is not stored, or a change of one that is: CreateEventRule's parameters, and `Events`, a JSON
/// array or one event a line; without them, the recent history of the service: see [`Window::read`] (default: the last
/// hour), of which at most `MaxEvents` (1 to 100 000, default 10 000) are looked at, oldest first. Endpoints may be left
/// out. `MaxExamples` (default 20) bounds the lists.
pub(crate) async fn preview(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let mut spec: RuleSpec = read_spec(params)?;
    if spec.endpoint.is_none() && spec.endpoints.as_ref().is_none_or(Vec::is_empty) {
        // Who is told makes no difference to what is taken.
        spec.endpoints = None;
        spec.endpoint = Some(EndpointSpec {
            endpoint_type: "queue".to_owned(),
            endpoint_value: "preview".to_owned(),
        });
    }
    let rule = validate(service, spec)?;
    let most = params.number32("MaxExamples", 0..=1000)?.unwrap_or(20) as usize;
    let (mut events, seen) = match params.text("Events") {
        Some(text) => (read(service, &rule.product, text, "Events")?, Seen::Given),
        None => recent(service, params, &rule).await?,
    };
    events.retain(|event| event.product == rule.product);
    let snapshot = service.snapshots.current().await?;
    let pairs = events
        .iter()
        .map(|event| (event.event_type.as_str(), event.resource.as_str()));
    let preview = look_ahead(snapshot.rule_set(&rule.product), &rule, pairs, most);
    Ok(Some(shown(&rule, &preview, &events, &seen)))
}

/// Where the events come from.
enum Seen {
    /// The request.
    Given,
    /// The history: members for the answer, and a line for a person.
    Recent(Map<String, Value>, String),
}

async fn recent(
    service: &Service,
    params: &Params,
    rule: &Rule,
) -> Result<(Vec<Judged>, Seen), Refused> {
    if service.archive.is_none() {
        return Err(Refused::new(
            400,
            "InvalidArgument",
            "Events is missing: give events, as a JSON array or one a line; the service keeps no history of them",
        ));
    }
    let window = Window::read(params, service.now(), Some(RECENT))?;
    let most = params.number32("MaxEvents", 1..=100_000)?.unwrap_or(10_000) as usize;
    let (since, until) = (window.since, window.until);
    let mut history = History::of(service, window)?;
    let began = service.now();
    let mut events = Vec::new();
    while !history.ended() && events.len() < most && service.now().since(began) < BUDGET {
        let page = history.page(ONCE).await?;
        let of_product = page
            .into_iter()
            .flat_map(|past| past.pack.events)
            .filter(|event| event.product == rule.product);
        events.extend(of_product.map(Judged::from));
    }
    let complete = history.ended() && events.len() <= most;
    events.truncate(most);
    let mut text = format!(
        "looked at the {} events of product {} accepted from {since} to {}\n",
        events.len(),
        rule.product,
        history.reached()
    );
    let mut data = Map::new();
    data.insert("Since".into(), json!(since.to_iso()));
    data.insert("Until".into(), json!(until.to_iso()));
    data.insert("Reached".into(), json!(history.reached().to_iso()));
    data.insert("Complete".into(), json!(complete));
    if !complete {
        let _ = writeln!(
            text,
            "there are more up to {until}: raise MaxEvents, or choose Since and Until closer together"
        );
    }
    Ok((events, Seen::Recent(data, text)))
}

fn holder(from: &Holder, data: &mut Value) {
    match from {
        Holder::Rule(name) => {
            data["From"] = json!("rule");
            data["FromRule"] = json!(name);
        }
        Holder::Nobody => data["From"] = json!("nobody"),
        Holder::Default => data["From"] = json!("default"),
        Holder::Itself => data["From"] = json!("itself"),
    }
}

fn moved(moved: &Moved, events: &[Judged]) -> Value {
    let mut data =
        json!({ "Event": moved.event, "EventType": moved.event_type, "Resource": moved.resource });
    if let Some((time, id)) = events.get(moved.event).and_then(|event| event.known) {
        data["Time"] = json!(time.to_iso());
        data["Id"] = json!(id);
    }
    holder(&moved.from, &mut data);
    data
}

fn shown(rule: &Rule, preview: &Preview, events: &[Judged], seen: &Seen) -> Value {
    let name = rule.name.as_str();
    let text = preview.text(name, |moved| {
        let known = events.get(moved.event).and_then(|event| event.known);
        known.map_or_else(String::new, |(time, id)| format!(" at {time} ({id})"))
    });
    let conflicts = preview.conflicts.iter().map(|conflict| {
        let witness = &conflict.witness;
        json!({ "RuleName": conflict.other, "EventType": witness.event_type, "Resource": witness.resource })
    });
    let from = preview.taken.iter().map(|(from, count)| {
        let mut data = json!({});
        holder(from, &mut data);
        data["Events"] = json!(count);
        data
    });
    let list = |examples: &[Moved]| -> Vec<Value> {
        examples
            .iter()
            .map(|example| moved(example, events))
            .collect()
    };
    let mut data = json!({
        "RuleName": name,
        "Events": preview.events,
        "Taken": preview.taken_count(),
        "TakenFrom": from.collect::<Vec<_>>(),
        "Lost": preview.lost,
        "TakenExamples": list(&preview.taken_examples),
        "LostExamples": list(&preview.lost_examples),
        "Conflicts": conflicts.collect::<Vec<_>>(),
    });
    let head = match seen {
        Seen::Given => "",
        Seen::Recent(members, line) => {
            for (member, value) in members {
                data[member] = value.clone();
            }
            line
        }
    };
    data["Text"] = json!(format!("{head}{text}"));
    data
}
