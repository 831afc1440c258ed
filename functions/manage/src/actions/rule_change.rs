//! UpdateEventRule, EnableEventRule, DisableEventRule: beyond SMQ, which knows only create and delete.

use crate::actions::rule_create::{attach, check_endpoints, read_spec, subscribe, validate};
use crate::actions::rule_delete::{detach, named};
use crate::error::Refused;
use crate::ledger::View;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::event::Timestamp;
use carillon_core::ports::Change;
use carillon_core::rule::{Endpoint, EndpointKind, Rule};
use carillon_core::topic::{Subscription, Target, TopicName, auto_names};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;

/// Replaces a rule by the one given, in one transaction: no event meets neither or both. Takes CreateEventRule's
/// parameters. Whether it is enabled stays as it was, unless `Enabled` says it; so do the subscriptions of endpoints that stay, with all that waits
/// for them.
pub(crate) async fn update(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let spec = read_spec(params)?;
    let switched = spec.enabled;
    let fresh = validate(service, spec)?;
    check_endpoints(service, &fresh.endpoints).await?;
    let draw = service.ports.random.draw();
    service
        .ledger
        .change(|view, books| {
            let old = view.rule_or_refuse(&fresh.product, &fresh.name)?;
            let now = service.now();
            let mut changes = Vec::new();
            let mut new = Rule {
                enabled: switched.unwrap_or(old.enabled),
                created: old.created,
                topic: None,
                ..fresh.clone()
            };
            new.topic = Some(reattach(service, old, &new, view, now, draw, &mut changes)?);
            // Last, since what the book holds must be committed.
            books
                .of(view, &new.product)
                .replace(Arc::new(new.clone()))?;
            changes.push(Change::PutRule(new));
            Ok((changes, ()))
        })
        .await?;
    Ok(Some(json!(fresh.name)))
}

/// Lets a disabled rule cover events again. Never refused: a disabled rule keeps its place.
pub(crate) async fn enable(call: Call<'_>) -> Answer {
    switch(call, true).await
}

/// Lets a rule cover nothing; its events fall to the default rule.
pub(crate) async fn disable(call: Call<'_>) -> Answer {
    switch(call, false).await
}

async fn switch(call: Call<'_>, enabled: bool) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let (product, name) = named(params)?;
    service
        .ledger
        .change(|view, books| {
            let old = view.rule_or_refuse(&product, &name)?;
            if old.enabled == enabled {
                return Ok((Vec::new(), ()));
            }
            let new = Rule {
                enabled,
                ..Rule::clone(old)
            };
            books.of(view, &product).set_enabled(&name, enabled)?;
            Ok((vec![Change::PutRule(new)], ()))
        })
        .await?;
    Ok(None)
}

/// Gives the new rule its topic: the old one's own, where both have one made for them.
pub(crate) fn reattach(
    service: &Service,
    old: &Rule,
    new: &Rule,
    view: &View,
    now: Timestamp,
    draw: u64,
    changes: &mut Vec<Change>,
) -> Result<TopicName, Refused> {
    let is_topic = |rule: &Rule| rule.endpoints.iter().any(Endpoint::is_own_topic);
    let kept = old
        .topic
        .as_ref()
        .filter(|topic| view.topics.contains_key(topic));
    let (Some(topic), false, false) = (kept, is_topic(old), is_topic(new)) else {
        let given = attach(service, new, view, now, draw, changes)?;
        if old.topic.as_ref() != Some(&given) {
            detach(old, view, now, changes);
        }
        return Ok(given);
    };
    let held: Vec<&Arc<Subscription>> = view
        .subscriptions_of(topic)
        .filter(|subscription| subscription.auto_made)
        .collect();
    let mut stays = HashSet::new();
    let mut missing: Vec<(usize, &Endpoint)> = Vec::new();
    for (index, endpoint) in new.endpoints.iter().enumerate() {
        match held.iter().find(|held| leads_to(&held.target, endpoint)) {
            Some(held) => {
                stays.insert(held.name.clone());
            }
            None => missing.push((index, endpoint)),
        }
    }
    for gone in held.iter().filter(|held| !stays.contains(&held.name)) {
        changes.push(Change::DeleteSubscription(topic.clone(), gone.name.clone()));
    }
    // Fresh digits: a name that is given up now must not be taken again, since what waits for it is cancelled by name.
    let names = auto_names(&new.product, &new.name, now, draw);
    for (index, endpoint) in missing {
        changes.extend(subscribe(topic, &names, index, endpoint, now)?);
    }
    Ok(topic.clone())
}

fn leads_to(target: &Target, endpoint: &Endpoint) -> bool {
    match target {
        Target::Http(url) => endpoint.kind == EndpointKind::Http && *url == endpoint.value,
        Target::Queue(queue) => {
            endpoint.kind == EndpointKind::Queue
                && carillon_core::topic::QueueName::from_endpoint(&endpoint.value)
                    .is_ok_and(|named| named == *queue)
        }
        Target::Sns(topic) => endpoint.sns().as_ref() == Some(topic),
    }
}
