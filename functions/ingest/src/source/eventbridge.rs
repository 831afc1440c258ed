//! The EventBridge envelope: `source` and `detail-type` say what `detail` is.

use crate::decoder::{Decoder, SourceKind};
use crate::error::DecodeError;
use crate::lenient::{List, Text, shorten};
use crate::source::{bedrock, cloudtrail, eventbridge_s3, mediaconvert, own, ses, transcribe};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) const KIND: &str = "EventBridge event";

/// The envelope (EventBridge User Guide, "Events structure"); `detail` stays text until its source is known.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow, rename = "detail-type")]
    pub(crate) detail_type: Text<'a>,
    #[serde(borrow)]
    pub(crate) source: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) account: Text<'a>,
    #[serde(borrow)]
    pub(crate) time: Text<'a>,
    #[serde(borrow)]
    pub(crate) region: Text<'a>,
    #[serde(borrow)]
    pub(crate) resources: Option<List<Text<'a>>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// `detail-type` of every CloudTrail record, whatever its `source` (EventBridge User Guide, "AWS service events
/// delivered via CloudTrail").
const CLOUDTRAIL: &str = "AWS API Call via CloudTrail";

pub(crate) fn decode(text: &str, decoder: &mut Decoder<'_>) -> Result<(), DecodeError> {
    let envelope: Envelope<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Envelope<'_>>(KIND, "", text, &error))?;
    let Some(detail) = envelope.detail else {
        return Err(DecodeError::missing(
            KIND,
            "detail",
            "the event's own members",
        ));
    };
    let detail = detail.get();
    let alone = || text.to_owned();
    match (envelope.source.as_str(), envelope.detail_type.as_str()) {
        (_, CLOUDTRAIL) => {
            let verdict = cloudtrail::decode(detail, "detail", decoder);
            decoder.take(SourceKind::CloudTrail, verdict, alone);
        }
        ("aws.s3", _) => {
            let verdict = eventbridge_s3::decode(&envelope, detail, decoder);
            decoder.take(SourceKind::EventBridgeS3, verdict, alone);
        }
        ("aws.ses", _) => ses::decode(detail, "detail", Some(&envelope), decoder)?,
        ("aws.mediaconvert", _) => {
            let verdict = mediaconvert::decode(&envelope, detail, decoder);
            decoder.take(SourceKind::MediaConvert, verdict, alone);
        }
        ("aws.transcribe", _) => {
            let verdict = transcribe::decode(&envelope, detail, decoder);
            decoder.take(SourceKind::Transcribe, verdict, alone);
        }
        ("aws.bedrock", _) => {
            let verdict = bedrock::decode(&envelope, detail, decoder);
            decoder.take(SourceKind::Bedrock, verdict, alone);
        }
        (source, detail_type) => match decoder.settings.bus_products.get(source) {
            Some(product) => {
                let verdict = own::of_bus(&envelope, product, detail, decoder);
                decoder.take(SourceKind::Own, verdict, alone);
            }
            None => {
                return Err(DecodeError::UnknownSource {
                    saw: format!(
                        "an EventBridge event with source {:?} and detail-type {:?}",
                        shorten(source, 64),
                        shorten(detail_type, 64)
                    ),
                });
            }
        },
    }
    Ok(())
}
