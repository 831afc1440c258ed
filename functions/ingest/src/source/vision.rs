//! Vision and media jobs: `{jobId, result, status}` (seed 000, 4.1), and which event type a job ends as.

use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::Text;
use crate::settings::Invented;
use carillon_core::event::vision::{EVENT_TYPES, JobResult};
use carillon_core::event::{Body, Event, EventType, IdentityHasher, Product, Timestamp};
use serde::Deserialize;

pub(crate) const KIND: &str = "job result";

/// The service that ran a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Amazon Rekognition Video.
    Rekognition,
    /// Amazon Textract.
    Textract,
    /// AWS Elemental MediaConvert.
    MediaConvert,
    /// Amazon Transcribe.
    Transcribe,
    /// Amazon Bedrock Data Automation.
    Bedrock,
}

impl Service {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Service::Rekognition => "rekognition",
            Service::Textract => "textract",
            Service::MediaConvert => "mediaconvert",
            Service::Transcribe => "transcribe",
            Service::Bedrock => "bedrock",
        }
    }
}

/// What of a job a [`Selector`] looks at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobMark {
    /// The job's tag: `JobTag` of Rekognition and Textract, a value of MediaConvert's `userMetadata`.
    Tag(String),
    /// The operation: Rekognition's and Textract's `API`.
    Api(String),
    /// The beginning of the job's name (Transcribe).
    NamePrefix(String),
    /// Bedrock's `semantic_modality`.
    Modality(String),
}

/// One row of the selector table: jobs of `service` with this mark end as `event_type`. As JSON:
/// `{"service": "mediaconvert", "tag": "upscale", "event_type": "SuperResolveVideo"}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Selector {
    /// Whose jobs.
    pub service: Service,
    /// Which of them.
    #[serde(flatten)]
    pub mark: JobMark,
    /// What their end is called in rules.
    pub event_type: EventType,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    Failure,
    Canceled,
}

impl Ending {
    /// VIAPI's words (GetAsyncJobResult, QueryAsyncJobList).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ending::Success => "PROCESS_SUCCESS",
            Ending::Failure => "PROCESS_FAILED",
            Ending::Canceled => "JOB_CANCELED",
        }
    }
}

/// A job that ended, as its service tells it.
pub(crate) struct Job<'a> {
    pub(crate) service: Service,
    pub(crate) id: &'a str,
    pub(crate) ending: Ending,
    pub(crate) tags: Vec<&'a str>,
    pub(crate) api: &'a str,
    pub(crate) name: &'a str,
    pub(crate) modality: &'a str,
    /// What the type would be called if no selector fits and invented names are wanted.
    pub(crate) own_name: &'a str,
    pub(crate) time: Option<Timestamp>,
    pub(crate) result: serde_json::Value,
}

/// Built-in rows: the operations that come nearest to the seed's types.
const NEAREST: &[(Service, &str, &str)] = &[
    (Service::Rekognition, "SEGMENT_DETECTION", "DetectVideoShot"),
    (Service::Textract, "DOCUMENT_ANALYSIS", "TrimDocument"),
    (Service::Bedrock, "VIDEO", "AbstractFilmVideo"),
    (Service::Bedrock, "DOCUMENT", "TrimDocument"),
];

/// A tag with this prefix names its event type outright.
const TAG_PREFIX: &str = "viapi-";

impl Job<'_> {
    /// The tag wins, then the settings' table, then the built-in one.
    fn event_type(&self, decoder: &Decoder<'_>) -> Option<EventType> {
        let selectors = || {
            decoder
                .settings
                .selectors
                .iter()
                .filter(|row| row.service == self.service)
        };
        for tag in &self.tags {
            let by_table =
                selectors().find(|row| matches!(&row.mark, JobMark::Tag(mark) if mark == tag));
            if let Some(row) = by_table {
                return Some(row.event_type.clone());
            }
            let named = match tag.strip_prefix(TAG_PREFIX) {
                Some(named) => Some(named),
                None => EVENT_TYPES.contains(tag).then_some(*tag),
            };
            if let Some(event_type) = named.and_then(|named| EventType::parse(named).ok()) {
                return Some(event_type);
            }
        }
        let by_table = selectors().find(|row| match &row.mark {
            JobMark::Tag(_) => false,
            JobMark::Api(api) => canonical_api(api) == canonical_api(self.api),
            JobMark::NamePrefix(prefix) => {
                !self.name.is_empty() && self.name.starts_with(prefix.as_str())
            }
            JobMark::Modality(modality) => modality.eq_ignore_ascii_case(self.modality),
        });
        if let Some(row) = by_table {
            return Some(row.event_type.clone());
        }
        let mark = match self.service {
            Service::Bedrock => self.modality.to_ascii_uppercase(),
            _ => canonical_api(self.api),
        };
        NEAREST
            .iter()
            .find(|(service, operation, _)| *service == self.service && *operation == mark)
            .and_then(|(_, _, event_type)| EventType::parse(event_type).ok())
    }

    /// The event of this job's end.
    pub(crate) fn verdict(self, decoder: &Decoder<'_>) -> Verdict {
        let event_type = match (self.event_type(decoder), decoder.settings.invented) {
            (Some(event_type), _) => event_type,
            (None, Invented::Emit) => match EventType::parse(self.own_name) {
                Ok(event_type) => event_type,
                Err(error) => return Verdict::Ignored(error.to_string()),
            },
            (None, Invented::Ignore) => {
                let tag = match self.service {
                    Service::Transcribe | Service::Bedrock => "",
                    _ => "tag the job viapi-TYPE (for example viapi-SuperResolveVideo), ",
                };
                return Verdict::Ignored(format!(
                    "{} job {}: nothing says which event type it ends as; {tag}add a selector, or turn on invented \
                     names to receive it as {}",
                    self.service.as_str(),
                    self.id,
                    self.own_name
                ));
            }
        };
        let result = serde_json::value::to_raw_value(&self.result)
            .expect("a JSON value has string keys and finite numbers");
        let status = self.ending.as_str();
        let body = JobResult {
            job_id: self.id.to_owned(),
            result,
            status: status.to_owned(),
        };
        Verdict::Event(Box::new(Event {
            product: Product::Vision,
            id: IdentityHasher::new("job")
                .part(self.service.as_str())
                .part(self.id)
                .part(event_type.as_str())
                .part(status)
                .finish(),
            event_type,
            resource: String::new(),
            time: self.time.unwrap_or(decoder.hint.received),
            body: Body::Plain(
                serde_json::to_string(&body)
                    .expect("a job result has string keys and finite numbers"),
            ),
        }))
    }
}

/// `StartSegmentDetection` and `SEGMENT_DETECTION` are one operation: the services' documents show both spellings.
fn canonical_api(api: &str) -> String {
    let api = api.strip_prefix("Start").unwrap_or(api);
    if api.contains('_') || !api.chars().any(|c| c.is_ascii_lowercase()) {
        return api.to_ascii_uppercase();
    }
    let mut words = String::with_capacity(api.len() + 2);
    for (index, letter) in api.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_uppercase());
    }
    words
}

/// Epoch milliseconds, as the services' `timestamp` members have them.
pub(crate) fn millis(time: Option<i64>) -> Option<Timestamp> {
    time.map(Timestamp::from_millis)
}

/// Direct publish of a job result in the seed's own form. The event type does not stand in it: it comes from a member
/// `eventType`, which is taken out, or from the header `x-carillon-event-type` (or `ce-type`).
pub(crate) fn decode(text: &str, decoder: &Decoder<'_>) -> Result<Verdict, DecodeError> {
    #[derive(Deserialize)]
    struct Facts<'a> {
        #[serde(borrow, default, rename = "jobId")]
        job_id: Text<'a>,
        #[serde(borrow, default)]
        status: Text<'a>,
        #[serde(borrow, default, rename = "eventType")]
        event_type: Text<'a>,
    }
    let facts: Facts<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Facts<'_>>(KIND, "", text, &error))?;
    if facts.job_id.is_empty() {
        return Err(DecodeError::missing(KIND, "jobId", "the job's id"));
    }
    let Some(name) = facts.event_type.known().or(decoder.event_type_of_headers()) else {
        return Err(DecodeError::missing(
            KIND,
            "eventType",
            "the vision event type, such as SuperResolveVideo, as a member or in the header x-carillon-event-type",
        ));
    };
    let event_type = EventType::parse(name)
        .map_err(|error| DecodeError::value(KIND, "eventType", &error.value, error.want))?;
    let body = if facts.event_type.is_empty() {
        text.to_owned()
    } else {
        let mut members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| DecodeError::syntax(text, &error))?;
        members.shift_remove("eventType");
        serde_json::Value::Object(members).to_string()
    };
    Ok(Verdict::Event(Box::new(Event {
        product: Product::Vision,
        id: IdentityHasher::new("job")
            .part("direct")
            .part(facts.job_id.as_str())
            .part(event_type.as_str())
            .part(facts.status.as_str())
            .finish(),
        event_type,
        resource: String::new(),
        time: decoder.time_of_headers().unwrap_or(decoder.hint.received),
        body: Body::Plain(body),
    })))
}
