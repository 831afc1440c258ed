//! Create-, Delete-, List-, Get- and SetTopicAttributes.

use crate::actions::page::Paging;
use crate::actions::queues::done;
use crate::error::Refused;
use crate::gate::Admitted;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use carillon_core::ports::Change;
use carillon_core::topic::{Topic, TopicName};
use serde_json::{Value, json};

/// Seconds a topic keeps a message (MNS limits): fixed.
const RETENTION: u32 = 86_400;

/// Creates a topic. One with equal attributes that exists already is a success, as MNS has it.
pub(crate) async fn create(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let name = params.require_parsed("TopicName", TopicName::parse)?;
    if let Some(kind) = params.text("TopicType").filter(|kind| *kind != "normal") {
        return Err(Refused::argument(
            "TopicType",
            kind,
            "only topics of type normal are served: leave it out",
        ));
    }
    let (size, logging) = attributes(params)?;
    let limit = service.settings.limits.topics;
    service
        .ledger
        .change(|view, _| {
            let now = service.now();
            let new = Topic {
                name: name.clone(),
                made_for: None,
                created: now,
                modified: now,
                max_message_size: size.unwrap_or(Topic::MAX_MESSAGE_SIZE),
                logging: logging.unwrap_or(false),
            };
            if let Some(held) = view.topics.get(&name) {
                if held.max_message_size == new.max_message_size && held.logging == new.logging {
                    return Ok((Vec::new(), ()));
                }
                let message = format!(
                    "topic {:?} exists already, with other attributes: change it with SetTopicAttributes, or choose \
                     another TopicName",
                    name.as_str()
                );
                return Err(Refused::new(409, "TopicAlreadyExist", message));
            }
            if view.topics.len() >= limit {
                let message = format!(
                    "topics: there would be {}, the limit is {limit}; delete one, or raise the limit",
                    view.topics.len() + 1
                );
                return Err(Refused::new(400, "TopicExceedLimit", message));
            }
            Ok((vec![Change::PutTopic(new)], ()))
        })
        .await?;
    Ok(Some(done()))
}

/// Changes the attributes that are given, and keeps the others.
pub(crate) async fn set(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let name = params.require_parsed("TopicName", TopicName::parse)?;
    let (size, logging) = attributes(params)?;
    service
        .ledger
        .change(|view, _| {
            let held = view.topic(&name)?;
            let new = Topic {
                max_message_size: size.unwrap_or(held.max_message_size),
                logging: logging.unwrap_or(held.logging),
                modified: service.now(),
                ..Topic::clone(held)
            };
            Ok((vec![Change::PutTopic(new)], ()))
        })
        .await?;
    Ok(Some(done()))
}

/// Deletes a topic with its subscriptions. One that a rule publishes to is refused: the rule's events would go nowhere
/// without a word.
pub(crate) async fn delete(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let name = params.require_parsed("TopicName", TopicName::parse)?;
    service
        .ledger
        .change(|view, _| {
            view.topic(&name)?;
            let user = view.rules.values().flat_map(|rules| rules.values()).find(|rule| rule.topic.as_ref() == Some(&name));
            if let Some(rule) = user {
                return Err(Refused::new(
                    409,
                    "TopicInUse",
                    format!(
                        "topic {:?} is what rule {:?} of product {:?} publishes to: delete or update the rule first",
                        name.as_str(),
                        rule.name.as_str(),
                        rule.product.as_str()
                    ),
                ));
            }
            let mut changes: Vec<Change> = view
                .subscriptions_of(&name)
                .map(|subscription| Change::DeleteSubscription(name.clone(), subscription.name.clone()))
                .collect();
            changes.push(Change::DeleteTopic(name.clone()));
            Ok((changes, ()))
        })
        .await?;
    Ok(None)
}

/// One topic.
pub(crate) async fn get(call: Call<'_>) -> Answer {
    let name = call.params.require_parsed("TopicName", TopicName::parse)?;
    let read = call
        .service
        .ledger
        .read(|view| view.topic(&name).map(|topic| show(topic, call.request)));
    Ok(Some(read.await??))
}

/// Topics, those made for rules included, in ascending order of name; `TopicName` filters by containing.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let paging = Paging::read(call.params)?;
    let name = call.params.text("TopicName").unwrap_or_default();
    let read = call.service.ledger.read(|view| {
        let topics = view
            .topics
            .values()
            .filter(|topic| topic.name.as_str().contains(name));
        let cut = paging.cut(topics, |topic| topic.name.as_str());
        cut.into_data(|topic| show(topic, call.request))
    });
    Ok(Some(read.await?))
}

fn attributes(params: &Params) -> Result<(Option<u32>, Option<bool>), Refused> {
    let size = params.number32("MaxMessageSize", 1_024..=Topic::MAX_MESSAGE_SIZE)?;
    Ok((size, params.flag("EnableLogging")?))
}

fn show(topic: &Topic, request: &Admitted) -> Value {
    let url = format!(
        "http://{}/topics/{}",
        request.header("host").unwrap_or("127.0.0.1"),
        topic.name
    );
    json!({
        "TopicName": topic.name,
        "TopicType": "normal",
        // Nothing waits in a topic: what is published goes to the subscriptions at once.
        "MessageCount": 0,
        "MaxMessageSize": topic.max_message_size,
        "MessageRetentionPeriod": RETENTION,
        "CreateTime": topic.created.as_millis().div_euclid(1000),
        "LastModifyTime": topic.modified.as_millis().div_euclid(1000),
        "LoggingEnabled": topic.logging,
        "TopicUrl": url,
        "TopicInnerUrl": url,
        "EncryptionEnabled": false,
        "EnableSSE": false,
        "Tags": [],
    })
}
