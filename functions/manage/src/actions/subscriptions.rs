//! Subscribe, Unsubscribe, Get- and SetSubscriptionAttributes, ListSubscriptionByTopic.

use crate::actions::keys::show_webhooks_of;
use crate::actions::page::Paging;
use crate::actions::queues::done;
use crate::actions::rule_create::{check_sns, check_url};
use crate::error::Refused;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::{Role, Service};
use carillon_core::event::Timestamp;
use carillon_core::ports::Change;
use carillon_core::topic::{
    ContentFormat, NotifyStrategy, QueueName, SnsTopic, Subscription, SubscriptionName, Target,
    TopicName,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Subscribes. A subscription of that name with equal attributes is a success, as MNS has it.
pub(crate) async fn create(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let (topic, name) = named(params)?;
    let target = target(service, params).await?;
    let mut new = Subscription::new(topic.clone(), name.clone(), target, Timestamp::default());
    new.format = params
        .parsed("NotifyContentFormat", format)?
        .unwrap_or_default();
    new.filter_tag = params.parsed("MessageTag", tag)?;
    changeable(service, params, &mut new).await?;
    let limit = service.settings.limits.subscriptions_per_topic;
    service
        .ledger
        .change(|view, _| {
            view.topic(&topic)?;
            let held = view.subscriptions.get(&topic);
            if let Some(held) = held.and_then(|held| held.get(&name)) {
                let same = Subscription {
                    created: held.created,
                    modified: held.modified,
                    auto_made: held.auto_made,
                    webhook_keys: held.webhook_keys.clone(),
                    ..new.clone()
                };
                if same == **held {
                    return Ok((Vec::new(), ()));
                }
                let message = format!(
                    "topic {:?} has a subscription {:?} already, with other attributes: unsubscribe it first, or \
                     choose another SubscriptionName",
                    topic.as_str(),
                    name.as_str()
                );
                return Err(Refused::new(409, "SubscriptionAlreadyExist", message));
            }
            let count = held.map_or(0, |held| held.len());
            if count >= limit {
                let message = format!(
                    "subscriptions of topic {:?}: there would be {}, the limit is {limit}; unsubscribe one, or raise \
                     the limit",
                    topic.as_str(),
                    count + 1
                );
                return Err(Refused::new(400, "SubscriptionExceedLimit", message));
            }
            let now = service.now();
            let new = Subscription { created: now, modified: now, ..new.clone() };
            Ok((vec![Change::PutSubscription(new)], ()))
        })
        .await?;
    Ok(Some(json!(name)))
}

/// Changes what is given of `NotifyStrategy`, `DlqPolicy`, `TenantRateLimitPolicy`, and `TimeoutSeconds` (ours).
pub(crate) async fn set(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let (topic, name) = named(params)?;
    let held = service
        .ledger
        .read(|view| view.subscription(&topic, &name).cloned())
        .await??;
    // Read once over what is held, so that a fault is told before anything is queued up.
    changeable(service, params, &mut Subscription::clone(&held)).await?;
    service
        .ledger
        .change(|view, _| {
            let mut new = Subscription::clone(view.subscription(&topic, &name)?);
            apply(params, &mut new)?;
            new.modified = service.now();
            Ok((vec![Change::PutSubscription(new)], ()))
        })
        .await?;
    Ok(Some(done()))
}

/// Unsubscribes. What waits for the subscription is cancelled when its turn comes.
pub(crate) async fn delete(call: Call<'_>) -> Answer {
    let (topic, name) = named(call.params)?;
    call.service
        .ledger
        .change(|view, _| {
            view.subscription(&topic, &name)?;
            Ok((
                vec![Change::DeleteSubscription(topic.clone(), name.clone())],
                (),
            ))
        })
        .await?;
    Ok(Some(done()))
}

/// One subscription; for a key with the admin role its secrets too.
pub(crate) async fn get(call: Call<'_>) -> Answer {
    let (topic, name) = named(call.params)?;
    let held = call
        .service
        .ledger
        .read(|view| view.subscription(&topic, &name).cloned())
        .await??;
    let mut data = show(call.service, &held);
    if call.request.role == Role::Admin {
        show_webhooks_of(call.service, &held, &mut data).await?;
    }
    Ok(Some(Value::Object(data)))
}

/// Subscriptions of a topic, in ascending order of name; `SubscriptionName` filters by containing, `EndpointType` and
/// `EndpointValue` by endpoint.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let topic = params.require_parsed("TopicName", TopicName::parse)?;
    let paging = Paging::read(params)?;
    let name = params.text("SubscriptionName").unwrap_or_default();
    let kind = params.text("EndpointType");
    let value = params.text("EndpointValue");
    let wanted = |held: &Subscription| {
        let (own_kind, own_value) = match &held.target {
            Target::Http(url) => ("http", url.as_str()),
            Target::Queue(queue) => ("queue", queue.as_str()),
            Target::Sns(topic) => ("topic", topic.as_str()),
        };
        held.name.as_str().contains(name)
            && kind.is_none_or(|kind| kind == own_kind)
            && value.is_none_or(|value| value == own_value)
    };
    let data = service
        .ledger
        .read(|view| {
            view.topic(&topic)?;
            let held = view.subscriptions_of(&topic).filter(|held| wanted(held));
            let cut = paging.cut(held, |held| held.name.as_str());
            Ok::<_, Refused>(cut.into_data(|held| Value::Object(show(service, held))))
        })
        .await??;
    Ok(Some(data))
}

pub(crate) fn named(params: &Params) -> Result<(TopicName, SubscriptionName), Refused> {
    Ok((
        params.require_parsed("TopicName", TopicName::parse)?,
        params.require_parsed("SubscriptionName", SubscriptionName::parse)?,
    ))
}

/// `PushType` and `Endpoint`.
async fn target(service: &Service, params: &Params) -> Result<Target, Refused> {
    let endpoint = params.require("Endpoint")?;
    let kind = match params.text("PushType") {
        Some(kind) => kind,
        // The queue interface of MNS knows no PushType: the endpoint's form tells.
        None if endpoint.starts_with("http://") || endpoint.starts_with("https://") => "http",
        None if SnsTopic::is_meant_by(endpoint) => "topic",
        None => "queue",
    };
    match kind {
        "http" => {
            check_url(service, "Endpoint", endpoint)?;
            Ok(Target::Http(endpoint.to_owned()))
        }
        "queue" => {
            let queue = QueueName::from_endpoint(endpoint)
                .map_err(|error| Refused::argument("Endpoint", endpoint, error))?;
            service.ports.queues.get(&queue).await?;
            Ok(Target::Queue(queue))
        }
        // Ours: a topic of SNS brings its mail, SMS, mobile and Lambda subscribers.
        "topic" => {
            let topic = SnsTopic::parse(endpoint)
                .map_err(|error| Refused::argument("Endpoint", endpoint, error))?;
            check_sns(service, "Endpoint", &topic).await?;
            Ok(Target::Sns(topic))
        }
        other => Err(Refused::argument(
            "PushType",
            other,
            "give http or queue, or topic with the ARN of a topic of SNS: no other kind is served",
        )),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DlqPolicy {
    #[serde(default = "yes")]
    enabled: bool,
    dead_letter_target_queue: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RatePolicy {
    #[serde(default = "yes")]
    enabled: bool,
    max_receives_per_second: Option<u32>,
}

fn yes() -> bool {
    true
}

/// Reads what may be changed, and checks that the queue for dead letters exists.
async fn changeable(
    service: &Service,
    params: &Params,
    new: &mut Subscription,
) -> Result<(), Refused> {
    apply(params, new)?;
    if let Some(queue) = &new.dead_letter_queue {
        service.ports.queues.get(queue).await?;
    }
    Ok(())
}

fn apply(params: &Params, new: &mut Subscription) -> Result<(), Refused> {
    if let Some(strategy) = params.parsed("NotifyStrategy", strategy)? {
        new.strategy = strategy;
    }
    let form = r#"{"Enabled": true, "DeadLetterTargetQueue": "name"}"#;
    if let Some(policy) = params.json::<DlqPolicy>("DlqPolicy", form)? {
        new.dead_letter_queue = match (policy.enabled, policy.dead_letter_target_queue) {
            (false, _) => None,
            (true, target) => {
                let target = target.unwrap_or_default();
                let field = "DlqPolicy.DeadLetterTargetQueue";
                let queue = QueueName::from_endpoint(&target)
                    .map_err(|e| Refused::argument(field, &target, e))?;
                if matches!(&new.target, Target::Queue(own) if *own == queue) {
                    let cure = "this is the queue the subscription pushes to; name another for its dead letters";
                    return Err(Refused::argument(field, &target, cure));
                }
                Some(queue)
            }
        };
    }
    let form = r#"{"Enabled": true, "MaxReceivesPerSecond": 100}"#;
    if let Some(policy) = params.json::<RatePolicy>("TenantRateLimitPolicy", form)? {
        new.max_per_second = match (policy.enabled, policy.max_receives_per_second) {
            (false, _) => None,
            (true, Some(rate)) if rate > 0 => Some(rate),
            (true, rate) => {
                let field = "TenantRateLimitPolicy.MaxReceivesPerSecond";
                return Err(Refused::argument(
                    field,
                    &rate.unwrap_or(0).to_string(),
                    "give a whole number from 1",
                ));
            }
        };
    }
    if let Some(seconds) = params.number32("TimeoutSeconds", 1..=30)? {
        new.timeout_seconds = u8::try_from(seconds).expect("at most 30");
    }
    Ok(())
}

fn strategy(text: &str) -> Result<NotifyStrategy, &'static str> {
    [
        NotifyStrategy::BackoffRetry,
        NotifyStrategy::ExponentialDecayRetry,
    ]
    .into_iter()
    .find(|strategy| strategy.as_str() == text)
    .ok_or("give BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY")
}

fn format(text: &str) -> Result<ContentFormat, &'static str> {
    [
        ContentFormat::Xml,
        ContentFormat::Json,
        ContentFormat::Simplified,
    ]
    .into_iter()
    .find(|format| format.as_str() == text)
    .ok_or("give XML, JSON or SIMPLIFIED")
}

fn tag(text: &str) -> Result<String, String> {
    if text.chars().count() <= Subscription::MAX_TAG {
        Ok(text.to_owned())
    } else {
        Err(format!("give at most {} characters", Subscription::MAX_TAG))
    }
}

fn show(service: &Service, held: &Subscription) -> Map<String, Value> {
    let settings = &service.settings;
    let (kind, endpoint) = match &held.target {
        Target::Http(url) => ("http", url.clone()),
        Target::Queue(queue) => (
            "queue",
            format!(
                "acs:mns:{}:{}:queues/{queue}",
                settings.region, settings.account_id
            ),
        ),
        Target::Sns(topic) => ("topic", topic.as_str().to_owned()),
    };
    let mut policy = Map::new();
    policy.insert("Enabled".into(), json!(held.dead_letter_queue.is_some()));
    if let Some(queue) = &held.dead_letter_queue {
        policy.insert("DeadLetterTargetQueue".into(), json!(queue));
    }
    let mut rate = Map::new();
    rate.insert("Enabled".into(), json!(held.max_per_second.is_some()));
    if let Some(most) = held.max_per_second {
        rate.insert("MaxReceivesPerSecond".into(), json!(most));
    }
    let mut data = Map::new();
    data.insert("TopicOwner".into(), json!(settings.account_id));
    data.insert("TopicName".into(), json!(held.topic));
    data.insert("SubscriptionName".into(), json!(held.name));
    data.insert("PushType".into(), json!(kind));
    data.insert("Endpoint".into(), json!(endpoint));
    if let Some(tag) = &held.filter_tag {
        data.insert("FilterTag".into(), json!(tag));
    }
    data.insert("NotifyStrategy".into(), json!(held.strategy.as_str()));
    data.insert("NotifyContentFormat".into(), json!(held.format.as_str()));
    data.insert("DlqPolicy".into(), Value::Object(policy));
    data.insert("TenantRateLimitPolicy".into(), Value::Object(rate));
    data.insert("TimeoutSeconds".into(), json!(held.timeout_seconds));
    data.insert("AutoMade".into(), json!(held.auto_made));
    data.insert(
        "CreateTime".into(),
        json!(held.created.as_millis().div_euclid(1000)),
    );
    data.insert(
        "LastModifyTime".into(),
        json!(held.modified.as_millis().div_euclid(1000)),
    );
    data
}
