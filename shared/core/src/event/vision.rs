//! The vision platform's body: plain JSON `{jobId, result, status}` (seed 000, 4.1).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One job's end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobResult {
    /// Id of the asynchronous job.
    #[serde(rename = "jobId")]
    pub job_id: String,
    /// What the job returned, for example `{"VideoUrl": "..."}`.
    pub result: Box<RawValue>,
    /// State of the job: `PROCESS_SUCCESS`, `PROCESS_FAILED`, ... (VIAPI GetAsyncJobResult).
    pub status: String,
}

/// The event types that seed 000 (4.1) lists, by the names of their APIs (VIAPI services videoenhan, videoseg,
/// videorecog, ocr and imageprocess). An open set, like all types: this list helps tools, and refuses
/// nothing.
pub const EVENT_TYPES: [&str; 12] = [
    "AbstractEcommerceVideo",
    "AbstractFilmVideo",
    "EraseVideoSubtitles",
    "EraseVideoLogo",
    "SuperResolveVideo",
    "AdjustVideoColor",
    "GenerateVideo",
    "SegmentVideoBody",
    "GenerateVideoCover",
    "DetectVideoShot",
    "TrimDocument",
    "DetectCovid19Cad",
];
