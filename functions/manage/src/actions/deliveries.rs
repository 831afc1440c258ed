//! ListDeliveries: the attempts of deliveries, newest first. FollowDeliveries: the attempts as they come.

use crate::error::Refused;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use carillon_core::delivery::{Attempt, OutcomeClass};
use carillon_core::event::{MessageId, Product, Timestamp, parse_span};
use carillon_core::ports::{AttemptRecord, Page, Selection};
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Attempts of a selection. `MaxResults` (1 to 100, default 50) and `NextToken` page.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let Some(log) = &call.service.ports.attempts else {
        return Err(not_here("attempt log"));
    };
    let selection = selection(call.params, call.service.now())?;
    let (from, limit) = paging(call.params)?;
    let page = log.attempts(&selection, from, limit).await?;
    Ok(Some(data(page, show)))
}

/// Longest wait of [`follow`], in seconds: as the queue interface's long poll (MNS limits).
const LONGEST_WAIT: u32 = 30;

/// Attempts of a selection as they come, oldest first: those recorded after `NextToken`, or after now. Waits up to
/// `WaitSeconds` (0 to 30, default 20) for the first; the answer always has the `NextToken` to go on with, which stays
/// sound over restarts of the service.
pub(crate) async fn follow(call: Call<'_>) -> Answer {
    let Some(log) = &call.service.ports.attempts else {
        return Err(not_here("attempt log"));
    };
    let selection = selection(call.params, call.service.now())?;
    let (after, limit) = paging(call.params)?;
    let wait = call.params.number32("WaitSeconds", 0..=LONGEST_WAIT)?;
    let wait = Duration::from_secs(u64::from(wait.unwrap_or(20)));
    let followed = log.follow(&selection, after, limit, wait).await?;
    let followed = followed.ok_or_else(|| not_here("attempt log that can be followed"))?;
    let page = Page {
        items: followed.items,
        next: Some(followed.next),
    };
    Ok(Some(data(page, show)))
}

pub(crate) fn not_here(what: &str) -> Refused {
    Refused::new(
        400,
        "UnsupportedOperation",
        format!("this service keeps no {what}: nothing can be shown"),
    )
}

/// Which deliveries are meant: the parameters of every action that selects some.
pub(crate) fn selection(params: &Params, now: Timestamp) -> Result<Selection, Refused> {
    let moment = |text: &str| moment(text, now);
    Ok(Selection {
        message_id: params.parsed("MessageId", str::parse::<MessageId>)?,
        product: params.parsed("ProductName", Product::parse)?,
        rule: params.parsed("RuleName", RuleName::parse)?,
        topic: params.parsed("TopicName", TopicName::parse)?,
        subscription: params.parsed("SubscriptionName", SubscriptionName::parse)?,
        class: params.parsed("Outcome", class)?,
        status: params
            .number32("StatusCode", 100..=999)?
            .map(|status| u16::try_from(status).expect("at most 999")),
        since: params.parsed("Since", moment)?,
        until: params.parsed("Until", moment)?,
    })
}

fn class(text: &str) -> Result<OutcomeClass, &'static str> {
    match text {
        "success" => Ok(OutcomeClass::Success),
        "retry" => Ok(OutcomeClass::Retry),
        "hopeless" => Ok(OutcomeClass::Hopeless),
        _ => Err("give success, retry or hopeless"),
    }
}

/// ISO 8601, epoch milliseconds, or how long ago: `90s`, `15m`, `24h`, `7d`.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    match parse_span(text) {
        Ok(ago) if text != "0" => Ok(before(now, ago)),
        _ => time(text).map_err(|error| format!("{error}, or say how long ago: 15m, 24h, 7d")),
    }
}

pub(crate) fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(ago))
}

/// ISO 8601, or epoch milliseconds.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(millis) = text.parse() {
        return Ok(Timestamp::from_millis(millis));
    }
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// `NextToken` and `MaxResults` of lists that are read piece by piece.
pub(crate) fn paging(params: &Params) -> Result<(Option<&str>, usize), Refused> {
    let limit = params.number32("MaxResults", 1..=100)?.unwrap_or(50);
    let Some(token) = params.text("NextToken") else {
        return Ok((None, limit as usize));
    };
    let inner = unseal(token).ok_or_else(|| {
        Refused::argument(
            "NextToken",
            token,
            "give the NextToken of the page before, unchanged",
        )
    })?;
    Ok((Some(inner), limit as usize))
}

/// A store's own token as a caller is given it: with a checksum before it, so that a spoiled one is the caller's fault and
/// not the store's.
pub(crate) fn seal(inner: &str) -> String {
    format!("{}.{inner}", checksum(inner))
}

/// What [`seal`] was given; none of anything else.
pub(crate) fn unseal(token: &str) -> Option<&str> {
    let (sum, inner) = token.split_once('.')?;
    (sum == checksum(inner)).then_some(inner)
}

fn checksum(inner: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(inner.as_bytes());
    format!(
        "{:02x}{:02x}{:02x}{:02x}",
        digest[0], digest[1], digest[2], digest[3]
    )
}

/// A page as `Data`.
pub(crate) fn data<T>(page: Page<T>, show: impl Fn(&T) -> Value) -> Value {
    let mut data = Map::new();
    data.insert("PageData".into(), page.items.iter().map(show).collect());
    data.insert("Size".into(), json!(page.items.len()));
    if let Some(next) = page.next {
        data.insert("NextToken".into(), json!(seal(&next)));
    }
    Value::Object(data)
}

fn show(record: &AttemptRecord) -> Value {
    let mut data = Map::new();
    data.insert("MessageId".into(), json!(record.message_id));
    data.insert("ProductName".into(), json!(record.product));
    data.insert("RuleName".into(), json!(record.rule));
    data.insert("TopicName".into(), json!(record.topic));
    data.insert("SubscriptionName".into(), json!(record.subscription));
    data.insert("Number".into(), json!(record.number));
    attempt(&record.attempt, &mut data);
    Value::Object(data)
}

/// The members of an attempt.
pub(crate) fn attempt(attempt: &Attempt, data: &mut Map<String, Value>) {
    data.insert("Time".into(), json!(attempt.at.to_iso()));
    data.insert("TookMilliseconds".into(), json!(attempt.took_ms));
    data.insert("Outcome".into(), json!(attempt.outcome.class));
    if let Some(status) = attempt.outcome.status {
        data.insert("StatusCode".into(), json!(status));
    }
    if !attempt.outcome.detail.is_empty() {
        data.insert("Detail".into(), json!(attempt.outcome.detail));
    }
}
