//! The ingest stage: bodies of many shapes in, events of one form out.
//!
//! ```
//! use carillon_ingest::{Hint, Settings, decode};
//!
//! let body = br#"{"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
//!     "eventTime": "2026-11-20T08:00:00.123Z", "eventName": "ObjectCreated:Put",
//!     "s3": {"bucket": {"name": "movie"}, "object": {"key": "hello+world.avi", "size": 1024}}}]}"#;
//! let decoded = decode(body, &Hint::default(), &Settings::default()).unwrap();
//! assert_eq!(decoded.events[0].event_type.as_str(), "ObjectCreated:PutObject");
//! assert_eq!(decoded.events[0].resource, "movie/hello world.avi");
//! ```
//!
//! # Exact rules
//!
//! * A body is told by its shape ([`decode`]); envelopes (SNS, EventBridge, CloudEvents, Base64, a Lambda event) are
//!   taken off, at most six.
//! * Members that are not known are passed over; members that are missing are left out of the event. Nothing is
//!   invented.
//! * Each record of a body is judged by itself: those that can be read go on, those that cannot go to the dead letters
//!   with their reason ([`Decoded::refused`]). A body of which nothing can be read is an error, and goes there whole.
//! * What tells nobody anything (a test event, a job that still runs, a failed operation) is passed over with a reason
//!   ([`Decoded::ignored`]).
//! * The identity of a storage event is made of bucket, key, version, OSS name, and sequencer (else request id): S3's
//!   own notification and EventBridge's event of one operation agree. CloudTrail has no sequencer, so its identity is
//!   another; so is that of a store whose EventBridge events have no sequencer. A direct publish has the request id,
//!   and without one its whole text.
//! * A body has at most 1 MiB and 10 000 records, and what it unfolds to at most 32 MiB; decoding costs at most 48 MiB of
//!   memory (`tests/memory.rs` counts it).
//! * What is remembered ([`Extras`]) is remembered by an operator's choice: sizes of objects, for a `deltaSize` that is
//!   exact for keys seen; accepted events, so that copies are dropped for a while. A store that does not answer leaves the
//!   event as it came. An event is marked as accepted when it is sent, never before: a copy may slip through, none is lost.
//! * An event whose published form would exceed 65 536 bytes is refused.
//!
//! # What it will not do
//!
//! It judges no rules. Unless an operator chooses so ([`Extras`]), it asks nobody for what the body does not say: no
//! HeadObject, no size of what was there before; and it looks up no job.

#[cfg(feature = "aws")]
pub mod cloud;
mod coverage;
mod decoder;
mod detect;
mod detect_own;
mod error;
mod extras;
mod handle;
mod lenient;
mod names;
mod publish;
mod scan;
mod settings;
mod source;
mod storage;
mod written;
mod x_vars;

pub use coverage::{Coverage, Exactness, coverage, coverage_markdown};
pub use decoder::{Decoded, Hint, Refused, SourceKind};
pub use error::{DecodeError, MAX_BODY, MAX_DEPTH, MAX_RECORDS};
pub use extras::Extras;
pub use handle::{Ports, handle};
pub use publish::DirectPublish;
pub use settings::{CloudTrailScope, DeltaSize, Invented, Settings};
pub use source::vision::{JobMark, Selector, Service};

/// Reads a body of any shape that is understood. Pure: equal arguments give equal results.
///
/// # Errors
/// [`DecodeError`] when nothing of the body can be read; its message says what to change.
pub fn decode(body: &[u8], hint: &Hint, settings: &Settings) -> Result<Decoded, DecodeError> {
    if body.len() > MAX_BODY {
        return Err(DecodeError::Oversized { len: body.len() });
    }
    let text = std::str::from_utf8(body).map_err(|error| DecodeError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let mut decoder = decoder::Decoder::new(hint, settings);
    decoder.text(text, 0)?;
    decoder.finish()
}
