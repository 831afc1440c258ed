//! MediaConvert's job state changes (MediaConvert User Guide, "Job state change events"). The values of `userMetadata`
//! are the job's tags.

use super::eventbridge::Envelope;
use super::vision::{Ending, Job, Service, millis};
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{List, Text, Whole, shorten};
use carillon_core::event::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

const KIND: &str = "MediaConvert event";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow)]
    job_id: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    timestamp: Whole,
    #[serde(borrow)]
    user_metadata: Option<BTreeMap<String, Text<'a>>>,
    #[serde(borrow)]
    error_code: Text<'a>,
    #[serde(borrow)]
    error_message: Text<'a>,
    #[serde(borrow)]
    output_group_details: Option<List<Group<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Group<'a> {
    #[serde(borrow)]
    output_details: Option<List<Output<'a>>>,
    #[serde(borrow)]
    playlist_file_paths: Option<List<Text<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Output<'a> {
    #[serde(borrow)]
    output_file_paths: Option<List<Text<'a>>>,
}

pub(crate) fn decode(
    envelope: &Envelope<'_>,
    text: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let detail: Detail<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Detail<'_>>(KIND, "detail", text, &error))?;
    if detail.job_id.is_empty() {
        return Err(DecodeError::missing(KIND, "detail.jobId", "the job's id"));
    }
    let ending = match detail.status.as_str() {
        "COMPLETE" => Ending::Success,
        "ERROR" => Ending::Failure,
        "CANCELED" => Ending::Canceled,
        "" => {
            return Err(DecodeError::missing(
                KIND,
                "detail.status",
                "the job's state",
            ));
        }
        other => {
            return Ok(Verdict::Ignored(format!(
                "MediaConvert job {} is {}: not an end",
                shorten(detail.job_id.as_str(), 64),
                shorten(other, 64)
            )));
        }
    };
    let result = match ending {
        Ending::Success => match detail.first_output() {
            Some(uri) => serde_json::json!({"VideoUrl": uri}),
            None => serde_json::json!({}),
        },
        Ending::Failure => serde_json::json!({
            "ErrorCode": detail.error_code.as_str(),
            "ErrorMessage": detail.error_message.as_str(),
        }),
        Ending::Canceled => serde_json::json!({}),
    };
    // The metadata that is meant for us comes first, whatever else a job carries.
    let metadata = || detail.user_metadata.iter().flatten();
    let ours = metadata().filter(|(key, _)| *key == "carillon-event-type");
    let others = metadata().filter(|(key, _)| *key != "carillon-event-type");
    Ok(Job {
        service: Service::MediaConvert,
        id: detail.job_id.as_str(),
        ending,
        tags: ours
            .chain(others)
            .filter_map(|(_, value)| value.known())
            .collect(),
        api: "",
        name: "",
        modality: "",
        own_name: "MediaConvertJob",
        time: millis(detail.timestamp.0).or_else(|| Timestamp::parse(envelope.time.as_str()).ok()),
        result,
    }
    .verdict(decoder))
}

impl Detail<'_> {
    fn first_output(&self) -> Option<&str> {
        let groups = || self.output_group_details.iter().flatten();
        let files = groups()
            .flat_map(|group| group.output_details.iter().flatten())
            .flat_map(|output| output.output_file_paths.iter().flatten());
        let playlists = groups().flat_map(|group| group.playlist_file_paths.iter().flatten());
        files.chain(playlists).find_map(Text::known)
    }
}
