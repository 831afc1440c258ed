//! Bedrock Data Automation's job events (Bedrock User Guide, "Using Amazon EventBridge with Bedrock Data Automation").

use super::eventbridge::Envelope;
use super::vision::{Ending, Job, Service};
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{Text, shorten};
use carillon_core::event::Timestamp;
use serde::Deserialize;

const KIND: &str = "Bedrock event";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail<'a> {
    #[serde(borrow)]
    job_id: Text<'a>,
    #[serde(borrow)]
    job_status: Text<'a>,
    #[serde(borrow)]
    semantic_modality: Text<'a>,
    #[serde(borrow)]
    error_message: Text<'a>,
    #[serde(borrow)]
    output_s3_location: Option<Place<'a>>,
    /// Of batch inference.
    #[serde(borrow, rename = "batchJobArn")]
    batch_job_arn: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow)]
    s3_bucket: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
}

pub(crate) fn decode(
    envelope: &Envelope<'_>,
    text: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let detail: Detail<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Detail<'_>>(KIND, "detail", text, &error))?;
    let Some(id) = detail.job_id.known().or(detail.batch_job_arn.known()) else {
        return Err(DecodeError::missing(KIND, "detail.job_id", "the job's id"));
    };
    let batch = detail.job_id.is_empty();
    let state = if batch {
        detail.status.as_str()
    } else {
        detail.job_status.as_str()
    };
    let kind = envelope.detail_type.as_str();
    // The state's words are documented by example only; the kind of event says it too.
    let ending = match state.to_ascii_uppercase().as_str() {
        "SUCCESS" | "SUCCEEDED" | "COMPLETED" => Ending::Success,
        "STOPPED" => Ending::Canceled,
        "" | "CREATED" | "IN_PROGRESS" | "INPROGRESS" | "SUBMITTED" | "VALIDATING"
        | "SCHEDULED" | "STOPPING"
            if !kind.contains("Failed") && !kind.contains("Succeeded") =>
        {
            return Ok(Verdict::Ignored(format!(
                "Bedrock job {} is {state:?}: not an end",
                shorten(id, 64)
            )));
        }
        _ if kind.contains("Succeeded") => Ending::Success,
        _ => Ending::Failure,
    };
    let result = match (ending, &detail.output_s3_location) {
        (Ending::Success, Some(place)) => serde_json::json!({
            "S3Bucket": place.s3_bucket.as_str(),
            "S3ObjectName": place.name.as_str(),
        }),
        (Ending::Failure, _) => serde_json::json!({
            "ErrorCode": state,
            "ErrorMessage": detail.error_message.as_str(),
        }),
        _ => serde_json::json!({}),
    };
    Ok(Job {
        service: Service::Bedrock,
        id,
        ending,
        tags: Vec::new(),
        api: "",
        name: "",
        modality: detail.semantic_modality.as_str(),
        own_name: if batch {
            "BedrockBatchInference"
        } else {
            "BedrockDataAutomation"
        },
        time: Timestamp::parse(envelope.time.as_str()).ok(),
        result,
    }
    .verdict(decoder))
}
