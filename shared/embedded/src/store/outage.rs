//! Why the store cannot answer, in words for the person who meets it.

use carillon_core::ports::{CommitError, QueueError, StoreError};
use rusqlite::ErrorCode;

/// The store cannot do its work now. It may later: nothing was acknowledged, and nothing is half done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Outage(pub(crate) String);

impl Outage {
    pub(crate) fn closed() -> Self {
        Outage("the store is closed".to_owned())
    }
}

impl From<rusqlite::Error> for Outage {
    fn from(error: rusqlite::Error) -> Self {
        let cure = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                "the disk (or the size set for the store) is full: free some space"
            }
            Some(ErrorCode::ReadOnly) => {
                "the data directory cannot be written: check its permissions and its mount"
            }
            Some(ErrorCode::SystemIoFailure) => "the disk failed: look into the system's log",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                "the database file is damaged: restore it from a copy"
            }
            _ => return Outage(error.to_string()),
        };
        Outage(format!("{cure} ({error})"))
    }
}

/// Errors that can say "the store cannot do its work now".
pub(crate) trait FromOutage {
    fn from_outage(outage: Outage) -> Self;
}

impl FromOutage for Outage {
    fn from_outage(outage: Outage) -> Self {
        outage
    }
}

impl FromOutage for QueueError {
    fn from_outage(outage: Outage) -> Self {
        QueueError::Unavailable(outage.0)
    }
}

impl FromOutage for StoreError {
    fn from_outage(outage: Outage) -> Self {
        StoreError(outage.0)
    }
}

impl FromOutage for CommitError {
    fn from_outage(outage: Outage) -> Self {
        CommitError::Store(StoreError(outage.0))
    }
}
