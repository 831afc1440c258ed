//! ListDeadLetters, GetDeadLetter, RedriveDeadLetters, DeleteDeadLetters.

use crate::actions::deliveries::{attempt, data, not_here, paging, selection};
use crate::error::Refused;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use carillon_core::delivery::DeadLetterContent;
use carillon_core::event::Timestamp;
use carillon_core::ports::{DeadLetterAdmin, KeptDeadLetter, Selection};
use serde_json::{Map, Value, json};

/// Most dead letters named in one request.
const MOST_IDS: usize = 1000;
/// How many are moved at a time when a whole selection is.
const ONCE: usize = 100;

fn store<'a>(call: &Call<'a>) -> Result<&'a dyn DeadLetterAdmin, Refused> {
    call.service
        .ports
        .dead_letters
        .as_deref()
        .ok_or_else(|| not_here("dead letters"))
}

/// Dead letters of a selection, newest first, without their bodies.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let store = store(&call)?;
    let selection = selection(call.params, call.service.now())?;
    let (from, limit) = paging(call.params)?;
    let page = store.list(&selection, from, limit).await?;
    Ok(Some(data(page, |kept| Value::Object(show(kept)))))
}

/// One dead letter, with its body and its attempts.
pub(crate) async fn get(call: Call<'_>) -> Answer {
    let store = store(&call)?;
    let id = call.params.require("Id")?;
    let Some(kept) = store.get(id).await? else {
        return Err(Refused::new(
            404,
            "DeadLetterNotExist",
            format!(
                "Id, value {id:?}: there is no such dead letter; it may have been sent again or deleted"
            ),
        ));
    };
    let mut data = show(&kept);
    match &kept.letter.content {
        DeadLetterContent::Delivery(delivery) => {
            data.insert("Body".into(), json!(delivery.notification.body));
            let attempts = delivery.history.iter().map(|held| {
                let mut data = Map::new();
                attempt(held, &mut data);
                Value::Object(data)
            });
            data.insert("History".into(), attempts.collect());
        }
        DeadLetterContent::Record { body, .. } => {
            data.insert("Body".into(), json!(body));
        }
    }
    Ok(Some(Value::Object(data)))
}

/// Sends dead letters again: those of `Ids`, or all of a selection. `Data` is `{"Redriven": N}`.
pub(crate) async fn redrive(call: Call<'_>) -> Answer {
    let store = store(&call)?;
    let mut count = 0;
    match which(call.params, call.service.now())? {
        Which::Ids(ids) => count += store.redrive(&ids).await?,
        Which::All(selection) => {
            for ids in ids_of(store, &selection).await?.chunks(ONCE) {
                count += store.redrive(ids).await?;
            }
        }
    }
    Ok(Some(json!({ "Redriven": count })))
}

/// Deletes dead letters: those of `Ids`, or all of a selection. `Data` is `{"Deleted": N}`.
pub(crate) async fn delete(call: Call<'_>) -> Answer {
    let store = store(&call)?;
    let mut count = 0;
    match which(call.params, call.service.now())? {
        Which::Ids(ids) => count += store.delete(&ids).await?,
        Which::All(selection) => {
            for ids in ids_of(store, &selection).await?.chunks(ONCE) {
                count += store.delete(ids).await?;
            }
        }
    }
    Ok(Some(json!({ "Deleted": count })))
}

enum Which {
    Ids(Vec<String>),
    All(Selection),
}

fn which(params: &Params, now: Timestamp) -> Result<Which, Refused> {
    let chosen = selection(params, now)?;
    let all = params.flag("All")? == Some(true);
    if let Some(ids) = params.list("Ids")? {
        if chosen != Selection::default() || all {
            return Err(Refused::argument(
                "Ids",
                &ids.join(","),
                "give Ids or a selection, not both",
            ));
        }
        if ids.len() > MOST_IDS {
            return Err(Refused::argument(
                "Ids",
                &ids.len().to_string(),
                format!("give at most {MOST_IDS} in one request"),
            ));
        }
        return Ok(Which::Ids(ids));
    }
    if chosen == Selection::default() && !all {
        // A forgotten parameter must not mean everything.
        return Err(Refused::new(
            400,
            "InvalidArgument",
            "nothing is selected: give Ids, or a selection such as RuleName, or All=true for every dead letter",
        ));
    }
    Ok(Which::All(chosen))
}

/// The ids of a selection as it is now: what fails again while they are sent is not sent once more.
async fn ids_of(
    store: &dyn DeadLetterAdmin,
    selection: &Selection,
) -> Result<Vec<String>, Refused> {
    let mut ids = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let page = store.list(selection, from.as_deref(), ONCE).await?;
        ids.extend(page.items.into_iter().map(|kept| kept.id));
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(ids),
        }
    }
}

fn show(kept: &KeptDeadLetter) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("Id".into(), json!(kept.id));
    data.insert("Time".into(), json!(kept.letter.at.to_iso()));
    data.insert("Reason".into(), json!(kept.letter.reason));
    match &kept.letter.content {
        DeadLetterContent::Delivery(delivery) => {
            let notification = &delivery.notification;
            data.insert("Kind".into(), json!("delivery"));
            data.insert("MessageId".into(), json!(notification.message_id));
            data.insert("ProductName".into(), json!(notification.product));
            data.insert("RuleName".into(), json!(notification.rule));
            data.insert("EventType".into(), json!(notification.event_type));
            data.insert("Resource".into(), json!(notification.resource));
            data.insert("TopicName".into(), json!(delivery.topic));
            data.insert("SubscriptionName".into(), json!(delivery.subscription));
            data.insert("Attempts".into(), json!(delivery.attempts));
            data.insert("PublishTime".into(), json!(notification.published.to_iso()));
        }
        DeadLetterContent::Record { stage, body } => {
            data.insert("Kind".into(), json!("record"));
            data.insert("Stage".into(), json!(stage));
            data.insert("Bytes".into(), json!(body.len()));
        }
    }
    data
}
