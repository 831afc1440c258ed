//! Keys of HTTP pushes, turned over: ListSigningKeys, RotateSigningKey, RetireSigningKey for the service's own,
//! RotateWebhookSecret and RetireWebhookSecret for those of one subscription. All of them are ours: SMQ rotates its keys
//! itself.

use crate::actions::queues::done;
use crate::actions::subscriptions::named;
use crate::error::Refused;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Change, KeyError, SigningKey, SigningKeyKind, SigningKeys, WebhookKeySet,
};
use carillon_core::topic::{Subscription, WebhookGenerations};
use serde_json::{Map, Value, json};

impl From<KeyError> for Refused {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotExist(_) => Refused::new(404, "SigningKeyNotExist", error.to_string()),
            KeyError::InUse(_) => Refused::new(409, "SigningKeyInUse", error.to_string()),
            KeyError::Raced => Refused::new(409, "SigningKeyConflict", error.to_string()),
            KeyError::Store(error) => Refused::internal(error),
        }
    }
}

fn keys(service: &Service) -> Result<&dyn SigningKeys, Refused> {
    service.signing_keys.as_deref().ok_or_else(|| {
        Refused::new(
            400,
            "UnsupportedOperation",
            "this service has no signing keys: it was started without signatures",
        )
    })
}

/// All keys, by kind, newest first. Nothing secret is shown.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let held = keys(call.service)?.list().await?;
    let shown: Vec<Value> = held.iter().map(show).collect();
    Ok(Some(json!({ "Keys": shown })))
}

/// Makes a successor of the keys of `KeyType`: `mns` (the default), or `webhooks`, of which every receiver must be told.
pub(crate) async fn rotate(call: Call<'_>) -> Answer {
    let kind = call.params.parsed("KeyType", |text| {
        SigningKeyKind::parse(text).ok_or("give mns or webhooks")
    })?;
    let kind = kind.unwrap_or(SigningKeyKind::Mns);
    let made = keys(call.service)?.rotate(kind).await?;
    tracing::info!(key = made.name, "a signing key was rotated");
    Ok(Some(show(&made)))
}

/// Ends the key `KeyName` before its overlap is over.
pub(crate) async fn retire(call: Call<'_>) -> Answer {
    let name = call.params.require("KeyName")?;
    keys(call.service)?.retire(name).await?;
    tracing::info!(key = name, "a signing key was retired");
    Ok(Some(done()))
}

/// New Standard Webhooks keys for one subscription; the ones before sign beside them for a week.
pub(crate) async fn rotate_webhook(call: Call<'_>) -> Answer {
    turn_over(call, WebhookGenerations::rotated).await
}

/// The newest keys of one subscription alone, from now on.
pub(crate) async fn retire_webhook(call: Call<'_>) -> Answer {
    turn_over(call, |held, _| held.newest_alone()).await
}

async fn turn_over(
    call: Call<'_>,
    turn: impl Fn(&WebhookGenerations, Timestamp) -> WebhookGenerations,
) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let keys = keys(service)?;
    let (topic, name) = named(params)?;
    let changed = service
        .ledger
        .change(|view, _| {
            let held = view.subscription(&topic, &name)?;
            let now = service.now();
            let new = Subscription {
                webhook_keys: turn(&held.webhook_keys, now),
                modified: now,
                ..Subscription::clone(held)
            };
            Ok((vec![Change::PutSubscription(new.clone())], new))
        })
        .await?;
    let set = keys.webhook_keys(&changed).await?;
    let mut data = Map::new();
    data.insert("TopicName".into(), json!(topic));
    data.insert("SubscriptionName".into(), json!(name));
    show_webhooks(&mut data, &set.unwrap_or_default());
    Ok(Some(Value::Object(data)))
}

/// The keys of a subscription for a key with the admin role: the newest by itself, as receivers are given it, and all
/// that sign now, newest first.
pub(crate) async fn show_webhooks_of(
    service: &Service,
    held: &Subscription,
    data: &mut Map<String, Value>,
) -> Result<(), Refused> {
    if let Some(keys) = &service.signing_keys {
        if let Some(set) = keys.webhook_keys(held).await? {
            show_webhooks(data, &set);
        }
    } else if let Some(secrets) = service
        .ports
        .webhook_secrets
        .as_ref()
        .and_then(|secrets| secrets(held))
    {
        data.insert("WebhookSecret".into(), json!(secrets.secret));
        data.insert("WebhookPublicKey".into(), json!(secrets.public_key));
    }
    Ok(())
}

fn show_webhooks(data: &mut Map<String, Value>, set: &WebhookKeySet) {
    if let (Some(secret), Some(public)) = (set.secrets.first(), set.public_keys.first()) {
        data.insert("WebhookSecret".into(), json!(secret));
        data.insert("WebhookPublicKey".into(), json!(public));
        data.insert("WebhookSecrets".into(), json!(set.secrets));
        data.insert("WebhookPublicKeys".into(), json!(set.public_keys));
    }
}

fn show(key: &SigningKey) -> Value {
    let seconds = |at: Timestamp| at.as_millis().div_euclid(1_000);
    let mut data = Map::new();
    data.insert("KeyName".into(), json!(key.name));
    data.insert("KeyType".into(), json!(key.kind.as_str()));
    data.insert("State".into(), json!(key.state.as_str()));
    data.insert("SignsFrom".into(), json!(seconds(key.signs_from)));
    if let Some(until) = key.until {
        data.insert("OverlapsUntil".into(), json!(seconds(until)));
    }
    if let Some(url) = &key.certificate_url {
        data.insert("CertificateUrl".into(), json!(url));
    }
    Value::Object(data)
}
