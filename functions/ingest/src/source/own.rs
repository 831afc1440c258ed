//! Products of the user's own.
//!
//! ```json
//! {"product": "billing", "type": "Invoice:Paid", "resource": "customers/42", "time": "2026-11-20T08:00:00Z",
//!  "id": "inv-7", "body": {"amount": 12}, "encoding": "plain"}
//! ```
//!
//! `product` and `type` are needed; several events stand in `events`, below one `product`. `body` is any JSON, published
//! as it stands, or a text, published as that text; `encoding` is `plain` (default) or `base64` (published as Base64 of
//! it). `id` is the publisher's identity of the event; without one, the event's whole text decides.
//!
//! A bare body of any form does as well when headers say the rest: `x-carillon-product`, `x-carillon-event-type` (or
//! `ce-type`), `x-carillon-resource` (or `ce-subject`).

use super::eventbridge::Envelope;
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::Text;
use carillon_core::event::{Body, Event, EventId, EventType, IdentityHasher, Product, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(crate) const KIND: &str = "event of an own product";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Published<'a> {
    #[serde(borrow, rename = "type", alias = "eventType")]
    event_type: Text<'a>,
    #[serde(borrow)]
    resource: Text<'a>,
    #[serde(borrow)]
    time: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    encoding: Text<'a>,
}

/// Reads the name of a product; `oss`, `dm` and `viapi` have bodies of their own and are not for this form.
pub(crate) fn product(name: &str) -> Result<Product, DecodeError> {
    Product::parse(name)
        .map_err(|error| DecodeError::value(KIND, "product", &error.value, error.want))
}

/// One event of `product`; `place` is empty or `events[0]`.
pub(crate) fn decode(
    text: &str,
    place: &str,
    product: &Product,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let published: Published<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Published<'_>>(KIND, place, text, &error))?;
    let field = |name: &str| {
        if place.is_empty() {
            name.to_owned()
        } else {
            format!("{place}.{name}")
        }
    };
    let Some(name) = published
        .event_type
        .known()
        .or(decoder.event_type_of_headers())
    else {
        return Err(DecodeError::missing(
            KIND,
            field("type"),
            "an event type such as Invoice:Paid",
        ));
    };
    let event_type = EventType::parse(name)
        .map_err(|error| DecodeError::value(KIND, field("type"), &error.value, error.want))?;
    let time = match published.time.known() {
        None => decoder.time_of_headers().unwrap_or(decoder.hint.received),
        Some(text) => Timestamp::parse(text).map_err(|_| {
            DecodeError::value(
                KIND,
                field("time"),
                text,
                "an ISO 8601 time such as 2026-11-20T08:00:00Z",
            )
        })?,
    };
    let Some(body) = published.body else {
        return Err(DecodeError::missing(
            KIND,
            field("body"),
            "what is to be published: any JSON, or a text",
        ));
    };
    let body: Cow<'_, str> = if body.get().starts_with('"') {
        Cow::Owned(
            serde_json::from_str(body.get())
                .map_err(|error| DecodeError::syntax(body.get(), &error))?,
        )
    } else {
        Cow::Borrowed(body.get())
    };
    let body = match published.encoding.as_str() {
        "" | "plain" => Body::Plain(body.into_owned()),
        "base64" => Body::Base64(body.into_owned()),
        other => {
            return Err(DecodeError::value(
                KIND,
                field("encoding"),
                other,
                "`plain` or `base64`",
            ));
        }
    };
    Ok(Verdict::Event(Box::new(Event {
        id: identity(product, &event_type, published.id.known(), text),
        product: product.clone(),
        event_type,
        resource: published.resource.0.into_owned(),
        time,
        body,
    })))
}

/// A body of any form whose headers say what it is.
pub(crate) fn bare(
    text: &str,
    product: &Product,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let Some(name) = decoder.event_type_of_headers() else {
        return Err(DecodeError::missing(
            KIND,
            "type",
            "an event type such as Invoice:Paid, as a member beside `body`, or in the header x-carillon-event-type",
        ));
    };
    let event_type = EventType::parse(name).map_err(|error| {
        DecodeError::value(KIND, "x-carillon-event-type", &error.value, error.want)
    })?;
    let id = match (decoder.attribute("ce-source"), decoder.attribute("ce-id")) {
        // CloudEvents 1.0: source and id together are unique.
        (source, Some(id)) => Some(format!("{} {id}", source.unwrap_or_default())),
        _ => None,
    };
    Ok(Verdict::Event(Box::new(Event {
        id: identity(product, &event_type, id.as_deref(), text),
        product: product.clone(),
        event_type,
        resource: decoder
            .attribute("x-carillon-resource")
            .or(decoder.attribute("ce-subject"))
            .unwrap_or_default()
            .to_owned(),
        time: decoder.time_of_headers().unwrap_or(decoder.hint.received),
        body: Body::Plain(text.to_owned()),
    })))
}

/// An event of the user's on EventBridge, whose `source` the settings give to a product: `detail-type` is the event
/// type, the first resource the resource, `detail` the body.
pub(crate) fn of_bus(
    envelope: &Envelope<'_>,
    product_name: &str,
    detail: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let product = product(product_name)?;
    let event_type = EventType::parse(envelope.detail_type.as_str())
        .map_err(|error| DecodeError::value(KIND, "detail-type", &error.value, error.want))?;
    Ok(Verdict::Event(Box::new(Event {
        id: identity(&product, &event_type, envelope.id.known(), detail),
        product,
        event_type,
        resource: envelope
            .resources
            .iter()
            .flatten()
            .next()
            .map(|resource| resource.as_str().to_owned())
            .unwrap_or_default(),
        time: Timestamp::parse(envelope.time.as_str()).unwrap_or(decoder.hint.received),
        body: Body::Plain(detail.to_owned()),
    })))
}

fn identity(product: &Product, event_type: &EventType, id: Option<&str>, text: &str) -> EventId {
    let hasher = IdentityHasher::new("own")
        .part(product.as_str())
        .part(event_type.as_str());
    match id {
        Some(id) => hasher.part("id").part(id),
        None => hasher.part("text").part(text),
    }
    .finish()
}
