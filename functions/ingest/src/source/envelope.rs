//! Envelopes that are taken off: SNS, CloudEvents in structured form, and a Lambda event as the `events/` folder and the
//! SAM tools write them.

use crate::decoder::Decoder;
use crate::error::DecodeError;
use crate::lenient::Text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;

/// SNS without raw message delivery (SNS Developer Guide, "Parsing Amazon SNS message formats").
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Sns<'a> {
    #[serde(borrow, rename = "Type")]
    kind: Text<'a>,
    #[serde(borrow)]
    topic_arn: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow, rename = "SubscribeURL")]
    subscribe_url: Text<'a>,
}

pub(crate) fn sns(text: &str, decoder: &mut Decoder<'_>, depth: usize) -> Result<(), DecodeError> {
    const KIND: &str = "SNS envelope";
    let sns: Sns<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Sns<'_>>(KIND, "", text, &error))?;
    match sns.kind.as_str() {
        "SubscriptionConfirmation" => {
            return Err(DecodeError::Unfit(format!(
                "SNS asks to confirm the subscription of this address to {:?}: open {} once, nothing else is sent before",
                sns.topic_arn.as_str(),
                sns.subscribe_url.as_str()
            )));
        }
        "UnsubscribeConfirmation" => {
            return Err(DecodeError::Unfit(format!(
                "SNS tells that the subscription to {:?} has ended",
                sns.topic_arn.as_str()
            )));
        }
        _ => {}
    }
    if sns.message.is_empty() {
        return Err(DecodeError::missing(
            KIND,
            "Message",
            "the message that was published",
        ));
    }
    // `arn:aws:sns:region:account:topic`: what the message itself may not say.
    let region = sns
        .topic_arn
        .as_str()
        .split(':')
        .nth(3)
        .filter(|region| !region.is_empty());
    let before = std::mem::replace(&mut decoder.context.region, region.map(str::to_owned));
    let result = decoder.text(sns.message.as_str(), depth + 1);
    decoder.context.region = before;
    result
}

/// CloudEvents 1.0 in structured JSON form.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CloudEvent<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    #[serde(borrow)]
    source: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    time: Text<'a>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Text<'a>,
}

pub(crate) fn cloud_event(
    text: &str,
    decoder: &mut Decoder<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    const KIND: &str = "CloudEvent";
    let event: CloudEvent<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<CloudEvent<'_>>(KIND, "", text, &error))?;
    let attributes = [
        ("ce-type", &event.event_type),
        ("ce-source", &event.source),
        ("ce-id", &event.id),
        ("ce-subject", &event.subject),
        ("ce-time", &event.time),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.known()?.to_owned())))
    .collect();
    let before = std::mem::replace(&mut decoder.context.attributes, attributes);
    let result = match (event.data, event.data_base64.known()) {
        (Some(data), _) if data.get().starts_with('"') => {
            serde_json::from_str::<String>(data.get())
                .map_err(|error| DecodeError::syntax(data.get(), &error))
                .and_then(|data| decoder.text(&data, depth + 1))
        }
        (Some(data), _) => decoder.text(data.get(), depth + 1),
        (None, Some(data)) => BASE64
            .decode(data)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| DecodeError::value(KIND, "data_base64", data, "Base64 of UTF-8 text"))
            .and_then(|data| decoder.text(&data, depth + 1)),
        (None, None) => Err(DecodeError::missing(KIND, "data", "the event itself")),
    };
    decoder.context.attributes = before;
    result
}

/// One record of an SQS Lambda event: its body is what arrived.
pub(crate) fn sqs_record(
    text: &str,
    decoder: &mut Decoder<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    const KIND: &str = "SQS record";
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Record<'a> {
        #[serde(borrow)]
        body: Text<'a>,
    }
    let record: Record<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Record<'_>>(KIND, "", text, &error))?;
    match record.body.known() {
        Some(body) => decoder.text(body, depth + 1),
        None => Err(DecodeError::missing(
            KIND,
            "body",
            "what was sent to the queue",
        )),
    }
}

/// One record of an SNS Lambda event: `Sns` is the envelope.
pub(crate) fn sns_record(
    text: &str,
    decoder: &mut Decoder<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    const KIND: &str = "SNS record";
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Record<'a> {
        #[serde(borrow, rename = "Sns")]
        sns: Option<&'a RawValue>,
    }
    let record: Record<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Record<'_>>(KIND, "", text, &error))?;
    match record.sns {
        Some(envelope) => sns(envelope.get(), decoder, depth),
        None => Err(DecodeError::missing(KIND, "Sns", "the SNS envelope")),
    }
}
