//! Create-, Delete-, List-, Get- and SetQueueAttributes.

use crate::actions::page::Paging;
use crate::error::Refused;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::ports::{QueueAttributes, QueueError, UserQueue};
use carillon_core::topic::QueueName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What CreateQueue and its like answer as `Data`.
pub(crate) fn done() -> Value {
    json!({ "Code": 200, "Message": "operation success", "Success": true })
}

/// Creates a queue. One with equal attributes that exists already is a success, as MNS has it.
pub(crate) async fn create(call: Call<'_>) -> Answer {
    let name = call.params.require_parsed("QueueName", QueueName::parse)?;
    if let Some(kind) = call
        .params
        .text("QueueType")
        .filter(|kind| *kind != "normal")
    {
        return Err(Refused::argument(
            "QueueType",
            kind,
            "only queues of type normal are served: leave it out",
        ));
    }
    let attributes = attributes(call.params, QueueAttributes::default(), &name)?;
    make(call.service, &name, attributes).await?;
    Ok(Some(done()))
}

/// Creates a queue within the limits; `false` when it was there with equal attributes.
pub(crate) async fn make(
    service: &Service,
    name: &QueueName,
    attributes: QueueAttributes,
) -> Result<bool, Refused> {
    check(service, name, &attributes).await?;
    let limit = service.settings.limits.queues;
    match service.ports.queues.get(name).await {
        Ok(_) => {}
        Err(QueueError::NotExist(_)) => {
            let held = service.ports.queues.list("").await?.len();
            if held >= limit {
                return Err(Refused::new(
                    400,
                    "QueueExceedLimit",
                    format!(
                        "queues: there would be {}, the limit is {limit}; delete one, or raise the limit",
                        held + 1
                    ),
                ));
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(service.ports.queues.create(name, attributes).await?)
}

/// Changes the attributes that are given, and keeps the others.
pub(crate) async fn set(call: Call<'_>) -> Answer {
    let name = call.params.require_parsed("QueueName", QueueName::parse)?;
    let held = call.service.ports.queues.get(&name).await?;
    let attributes = attributes(call.params, held.attributes, &name)?;
    check(call.service, &name, &attributes).await?;
    call.service
        .ports
        .queues
        .set_attributes(&name, attributes)
        .await?;
    Ok(Some(done()))
}

/// Checks what lies outside the attributes: a queue for dead letters must exist, and be another.
pub(crate) async fn check(
    service: &Service,
    name: &QueueName,
    attributes: &QueueAttributes,
) -> Result<(), Refused> {
    let Some(target) = &attributes.dead_letter_queue else {
        return Ok(());
    };
    if target == name {
        return Err(Refused::argument(
            "DlqPolicy.DeadLetterTargetQueue",
            target.as_str(),
            "a queue cannot take its own dead letters: name another",
        ));
    }
    service.ports.queues.get(target).await?;
    Ok(())
}

/// Deletes a queue with its messages. One that is not there is refused: a misspelled name should be noticed.
pub(crate) async fn delete(call: Call<'_>) -> Answer {
    let name = call.params.require_parsed("QueueName", QueueName::parse)?;
    if !call.service.ports.queues.delete(&name).await? {
        return Err(Refused::no_queue(name.as_str()));
    }
    Ok(Some(done()))
}

/// One queue.
pub(crate) async fn get(call: Call<'_>) -> Answer {
    let name = call.params.require_parsed("QueueName", QueueName::parse)?;
    Ok(Some(show(&call.service.ports.queues.get(&name).await?)))
}

/// Queues, in ascending order of name; `QueueName` filters by containing.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let paging = Paging::read(call.params)?;
    let name = call.params.text("QueueName").unwrap_or_default();
    let queues = call.service.ports.queues.list("").await?;
    let wanted = queues
        .iter()
        .filter(|queue| queue.name.as_str().contains(name));
    Ok(Some(
        paging
            .cut(wanted, |queue| queue.name.as_str())
            .into_data(show),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DlqPolicy {
    enabled: bool,
    dead_letter_target_queue: Option<String>,
    max_receive_count: Option<u32>,
}

impl Default for DlqPolicy {
    fn default() -> Self {
        DlqPolicy {
            enabled: true,
            dead_letter_target_queue: None,
            max_receive_count: None,
        }
    }
}

/// Receptions after which a message becomes a dead letter, where the policy names none (the vendor's console).
const DEFAULT_RECEIVES: u32 = 16;

fn attributes(
    params: &Params,
    held: QueueAttributes,
    name: &QueueName,
) -> Result<QueueAttributes, Refused> {
    let mut new = held;
    // Bounds: MNS limits.
    if let Some(seconds) = params.number32("DelaySeconds", 0..=604_800)? {
        new.delay_seconds = seconds;
    }
    if let Some(bytes) = params.number32("MaximumMessageSize", 1_024..=65_536)? {
        new.maximum_message_size = bytes;
    }
    if let Some(seconds) = params.number32("MessageRetentionPeriod", 60..=604_800)? {
        new.message_retention_period = seconds;
    }
    if let Some(seconds) = params.number32("VisibilityTimeout", 1..=43_200)? {
        new.visibility_timeout = seconds;
    }
    if let Some(seconds) = params.number32("PollingWaitSeconds", 0..=30)? {
        new.polling_wait_seconds = seconds;
    }
    if let Some(flag) = params.flag("EnableLogging")? {
        new.logging_enabled = flag;
    }
    let form = r#"{"Enabled": true, "DeadLetterTargetQueue": "name", "MaxReceiveCount": 3}"#;
    if let Some(policy) = params.json::<DlqPolicy>("DlqPolicy", form)? {
        if policy.enabled {
            let target = policy.dead_letter_target_queue.unwrap_or_default();
            let field = "DlqPolicy.DeadLetterTargetQueue";
            let parsed = QueueName::from_endpoint(&target);
            new.dead_letter_queue =
                Some(parsed.map_err(|error| Refused::argument(field, &target, error))?);
            let count = policy.max_receive_count.unwrap_or(DEFAULT_RECEIVES);
            if !(1..=1000).contains(&count) {
                let cure = format!(
                    "give a whole number from 1 to 1000 (queue {:?})",
                    name.as_str()
                );
                return Err(Refused::argument(
                    "DlqPolicy.MaxReceiveCount",
                    &count.to_string(),
                    cure,
                ));
            }
            new.max_receive_count = Some(count);
        } else {
            new.dead_letter_queue = None;
            new.max_receive_count = None;
        }
    }
    Ok(new)
}

fn show(queue: &UserQueue) -> Value {
    let UserQueue {
        name,
        attributes,
        created,
        modified,
        statistics,
    } = queue;
    let mut data = Map::new();
    data.insert("QueueName".into(), json!(name));
    data.insert("QueueType".into(), json!("normal"));
    data.insert(
        "CreateTime".into(),
        json!(created.as_millis().div_euclid(1000)),
    );
    data.insert(
        "LastModifyTime".into(),
        json!(modified.as_millis().div_euclid(1000)),
    );
    data.insert("DelaySeconds".into(), json!(attributes.delay_seconds));
    data.insert(
        "MaximumMessageSize".into(),
        json!(attributes.maximum_message_size),
    );
    data.insert(
        "MessageRetentionPeriod".into(),
        json!(attributes.message_retention_period),
    );
    data.insert(
        "VisibilityTimeout".into(),
        json!(attributes.visibility_timeout),
    );
    data.insert(
        "PollingWaitSeconds".into(),
        json!(attributes.polling_wait_seconds),
    );
    data.insert("LoggingEnabled".into(), json!(attributes.logging_enabled));
    data.insert("ActiveMessages".into(), json!(statistics.active));
    data.insert("InactiveMessages".into(), json!(statistics.inactive));
    data.insert("DelayMessages".into(), json!(statistics.delayed));
    let mut policy = Map::new();
    policy.insert(
        "Enabled".into(),
        json!(attributes.dead_letter_queue.is_some()),
    );
    if let Some(target) = &attributes.dead_letter_queue {
        policy.insert("DeadLetterTargetQueue".into(), json!(target));
        policy.insert(
            "MaxReceiveCount".into(),
            json!(attributes.max_receive_count),
        );
    }
    data.insert("DlqPolicy".into(), Value::Object(policy));
    data.insert("TenantRateLimitPolicy".into(), json!({ "Enabled": false }));
    data.insert("EncryptionEnabled".into(), json!(false));
    data.insert("EnableSSE".into(), json!(false));
    data.insert("Tags".into(), json!([]));
    Value::Object(data)
}
