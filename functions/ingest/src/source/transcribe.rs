//! Transcribe's job state changes (Transcribe Developer Guide, "Using Amazon EventBridge with Amazon Transcribe"): batch
//! transcription, call analytics (batch and after a call), medical, vocabulary and language-model jobs, each with names
//! of its own for id and state.

use super::eventbridge::Envelope;
use super::vision::{Ending, Job, Service};
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{Text, shorten};
use carillon_core::event::Timestamp;
use serde::Deserialize;

const KIND: &str = "Transcribe event";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Detail<'a> {
    #[serde(
        borrow,
        rename = "TranscriptionJobName",
        alias = "JobName",
        alias = "CallAnalyticsJobName",
        alias = "MedicalTranscriptionJobName",
        alias = "MedicalScribeJobName",
        alias = "StreamingSessionId",
        alias = "VocabularyName",
        alias = "ModelName"
    )]
    name: Text<'a>,
    #[serde(
        borrow,
        rename = "TranscriptionJobStatus",
        alias = "JobStatus",
        alias = "CallAnalyticsJobStatus",
        alias = "MedicalTranscriptionJobStatus",
        alias = "MedicalScribeJobStatus",
        alias = "PostCallStatus",
        alias = "VocabularyState",
        alias = "ModelStatus"
    )]
    status: Text<'a>,
    #[serde(borrow)]
    failure_reason: Text<'a>,
    #[serde(borrow)]
    transcript: Option<Transcript<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Transcript<'a> {
    #[serde(borrow)]
    transcript_file_uri: Text<'a>,
}

pub(crate) fn decode(
    envelope: &Envelope<'_>,
    text: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let detail: Detail<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Detail<'_>>(KIND, "detail", text, &error))?;
    let Some(name) = detail.name.known() else {
        return Err(DecodeError::missing(
            KIND,
            "detail.TranscriptionJobName",
            "the job's name",
        ));
    };
    let ending = match detail.status.as_str() {
        "COMPLETED" | "READY" => Ending::Success,
        "FAILED" => Ending::Failure,
        "" => {
            return Err(DecodeError::missing(
                KIND,
                "detail.TranscriptionJobStatus",
                "the job's state",
            ));
        }
        other => {
            return Ok(Verdict::Ignored(format!(
                "Transcribe job {} is {}: not an end",
                shorten(name, 64),
                shorten(other, 64)
            )));
        }
    };
    let result = match (ending, &detail.transcript) {
        (Ending::Success, Some(transcript)) => {
            serde_json::json!({"TranscriptUrl": transcript.transcript_file_uri.as_str()})
        }
        (Ending::Success, None) => serde_json::json!({}),
        _ => {
            serde_json::json!({"ErrorCode": "FAILED", "ErrorMessage": detail.failure_reason.as_str()})
        }
    };
    Ok(Job {
        service: Service::Transcribe,
        id: name,
        ending,
        tags: Vec::new(),
        api: "",
        name,
        modality: "",
        own_name: "TranscribeJob",
        time: Timestamp::parse(envelope.time.as_str()).ok(),
        result,
    }
    .verdict(decoder))
}
