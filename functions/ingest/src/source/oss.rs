//! Direct publish of OSS events: the body of seed 000 (3.1), `{"events":[...]}`, plain or Base64.
//!
//! An event is passed on as its publisher wrote it, with its members, their order and their spelling; a `ruleId` already
//! there is dropped. `events` may be one object instead of an array (seed 002's second sample), and one event may stand
//! alone, without `events` round it.

use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::Text;
use crate::storage::{Identity, resource};
use carillon_core::event::{Body, Event, EventType, OssBody, Product, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) const KIND: &str = "OSS body";

/// What is needed of an event to judge and to name it; the rest stays text.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Facts<'a> {
    #[serde(borrow)]
    event_name: Text<'a>,
    #[serde(borrow)]
    event_time: Text<'a>,
    #[serde(borrow)]
    oss: Option<Oss<'a>>,
    #[serde(borrow)]
    response_elements: Option<Response<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Oss<'a> {
    #[serde(borrow)]
    bucket: Option<Bucket<'a>>,
    #[serde(borrow)]
    object: Option<Object<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object<'a> {
    #[serde(borrow)]
    key: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow)]
    request_id: Text<'a>,
}

/// Reads one element of `events`; `place` names it in errors (`events[0]`).
pub(crate) fn decode(
    raw: &RawValue,
    place: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let facts: Facts<'_> = serde_json::from_str(raw.get())
        .map_err(|error| DecodeError::json::<Facts<'_>>(KIND, place, raw.get(), &error))?;
    let field = |name: &str| {
        if place.is_empty() {
            name.to_owned()
        } else {
            format!("{place}.{name}")
        }
    };
    let Some(name) = facts.event_name.known() else {
        return Err(DecodeError::missing(
            KIND,
            field("eventName"),
            "a type such as ObjectCreated:PutObject",
        ));
    };
    let event_type = EventType::parse(name)
        .map_err(|error| DecodeError::value(KIND, field("eventName"), &error.value, error.want))?;
    let time = match facts.event_time.known() {
        None => decoder.hint.received,
        Some(text) => Timestamp::parse(text).map_err(|_| {
            DecodeError::value(
                KIND,
                field("eventTime"),
                text,
                "an ISO 8601 time such as 2016-07-05T15:07:59.000Z, or leave it out",
            )
        })?,
    };
    let body = OssBody::from_raw(raw)
        .map_err(|error| DecodeError::value(KIND, field("oss"), &error.reason, "an object"))?;
    let oss = facts.oss.as_ref();
    let bucket = oss
        .and_then(|oss| oss.bucket.as_ref())
        .map_or("", |bucket| bucket.name.as_str());
    // Without it no rule but the widest covers the event: a misspelt member, which its publisher wants to hear of.
    if bucket.is_empty() && event_type.as_str().starts_with("Object") {
        return Err(DecodeError::missing(
            KIND,
            field("oss.bucket.name"),
            "the bucket's name",
        ));
    }
    let key = oss
        .and_then(|oss| oss.object.as_ref())
        .map(|object| object.key.as_str());
    let id = Identity {
        bucket,
        key,
        version_id: None,
        sequencer: None,
        request_id: facts
            .response_elements
            .as_ref()
            .and_then(|response| response.request_id.known()),
        name: event_type.as_str(),
    }
    .finish(|| body.json());
    Ok(Verdict::Event(Box::new(Event {
        product: Product::Oss,
        resource: resource(bucket, key),
        event_type,
        time,
        id,
        body: Body::Oss(body),
    })))
}
