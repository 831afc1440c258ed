//! DeleteEventRule: the rule goes, and with it what was made for it.
//!
//! The topic made for the rule goes with its auto-made subscriptions, unless users hung subscriptions of their own on
//! it: then the topic and those stay, as a topic of the users'. Deliveries that wait for a deleted subscription are
//! cancelled when their turn comes.

use crate::error::Refused;
use crate::ledger::View;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use carillon_core::event::{Product, Timestamp};
use carillon_core::ports::Change;
use carillon_core::rule::{Rule, RuleName};
use carillon_core::topic::Topic;

/// Reads which rule is meant.
pub(crate) fn named(params: &Params) -> Result<(Product, RuleName), Refused> {
    Ok((
        params.require_parsed("ProductName", Product::parse)?,
        params.require_parsed("RuleName", RuleName::parse)?,
    ))
}

/// Deletes a rule.
pub(crate) async fn delete(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let (product, name) = named(params)?;
    service
        .ledger
        .change(|view, books| {
            let rule = view.rule_or_refuse(&product, &name)?.clone();
            let mut changes = vec![Change::DeleteRule(product.clone(), name.clone())];
            detach(&rule, view, service.now(), &mut changes);
            books.of(view, &product).remove(&name)?;
            Ok((changes, ()))
        })
        .await?;
    Ok(None)
}

/// Takes away what was made for the rule.
pub(crate) fn detach(rule: &Rule, view: &View, now: Timestamp, changes: &mut Vec<Change>) {
    let Some(topic) = rule.topic.as_ref().and_then(|name| view.topics.get(name)) else {
        return;
    };
    let made_for_it = topic
        .made_for
        .as_ref()
        .is_some_and(|(product, name)| *product == rule.product && *name == rule.name);
    if !made_for_it {
        return;
    }
    let mut others = false;
    for subscription in view.subscriptions_of(&topic.name) {
        if subscription.auto_made {
            changes.push(Change::DeleteSubscription(
                topic.name.clone(),
                subscription.name.clone(),
            ));
        } else {
            others = true;
        }
    }
    changes.push(if others {
        Change::PutTopic(Topic {
            made_for: None,
            modified: now,
            ..Topic::clone(topic)
        })
    } else {
        Change::DeleteTopic(topic.name.clone())
    });
}
