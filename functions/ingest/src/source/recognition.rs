//! Rekognition Video and Textract: the completion notice that they publish to the SNS topic of the job (Rekognition
//! Developer Guide, "Reference: Video analysis results notification"; Textract Developer Guide, "Amazon Textract
//! Results Notification"). The result itself must be asked for; the event points to what was analysed.

use super::vision::{Ending, Job, Service, millis};
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{Text, Whole, shorten};
use serde::Deserialize;

const KIND: &str = "Rekognition or Textract notification";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Notice<'a> {
    #[serde(borrow)]
    job_id: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, rename = "API")]
    api: Text<'a>,
    #[serde(borrow)]
    job_tag: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    timestamp: Whole,
    #[serde(borrow)]
    video: Option<Place<'a>>,
    #[serde(borrow)]
    document_location: Option<Place<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow, rename = "S3Bucket")]
    bucket: Text<'a>,
    #[serde(borrow, rename = "S3ObjectName")]
    name: Text<'a>,
}

pub(crate) fn decode(text: &str, decoder: &Decoder<'_>) -> Result<Verdict, DecodeError> {
    let notice: Notice<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Notice<'_>>(KIND, "", text, &error))?;
    if notice.job_id.is_empty() {
        return Err(DecodeError::missing(KIND, "JobId", "the job's id"));
    }
    let ending = match notice.status.as_str() {
        "SUCCEEDED" | "PARTIAL_SUCCESS" => Ending::Success,
        "FAILED" | "ERROR" => Ending::Failure,
        "IN_PROGRESS" => {
            return Ok(Verdict::Ignored(format!(
                "job {} still runs",
                shorten(notice.job_id.as_str(), 64)
            )));
        }
        other => {
            return Err(DecodeError::value(
                KIND,
                "Status",
                other,
                "SUCCEEDED, PARTIAL_SUCCESS, FAILED, ERROR or IN_PROGRESS",
            ));
        }
    };
    let (service, place) = match (&notice.document_location, &notice.video) {
        (Some(place), _) => (Service::Textract, Some(place)),
        (None, video) => (Service::Rekognition, video.as_ref()),
    };
    let api = notice.api.as_str();
    let result = match ending {
        Ending::Success => serde_json::json!({
            "S3Bucket": place.map_or("", |place| place.bucket.as_str()),
            "S3ObjectName": place.map_or("", |place| place.name.as_str()),
            "API": api,
        }),
        _ => {
            serde_json::json!({"ErrorCode": notice.status.as_str(), "ErrorMessage": notice.message.as_str()})
        }
    };
    Ok(Job {
        service,
        id: notice.job_id.as_str(),
        ending,
        tags: notice.job_tag.known().into_iter().collect(),
        api,
        name: "",
        modality: "",
        own_name: if api.is_empty() {
            service.as_str()
        } else {
            api
        },
        time: millis(notice.timestamp.0),
        result,
    }
    .verdict(decoder))
}
