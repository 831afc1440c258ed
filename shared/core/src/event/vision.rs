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
