//! Why a body, or one record of it, cannot be read.

use crate::lenient::shorten;

/// Largest body that is looked at, in bytes: the largest message SQS carries (SQS quotas, 1 MiB).
pub const MAX_BODY: usize = 1024 * 1024;
/// Most envelopes round one event (SNS in SQS, EventBridge in SNS, Base64, ...).
pub const MAX_DEPTH: usize = 6;
/// Most records in one body. SQS and S3 send one, EventBridge one; a publisher's batch is bounded so that a body of many
/// tiny records costs bounded memory.
pub const MAX_RECORDS: usize = 10_000;

/// Most bytes of events, and of records put aside, that one body may give.
pub(crate) const MAX_RESULTS: usize = 32 * MAX_BODY;

/// What the publisher, or the operator who finds the body among the dead letters, can do is part of each message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_BODY`].
    #[error("the body is {len} bytes, the limit is 1048576 (1 MiB): send fewer events in one body")]
    Oversized {
        /// Bytes of the body.
        len: usize,
    },
    /// No text.
    #[error("the body is not UTF-8: byte {at} is invalid; send UTF-8 text, or Base64 of it")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// It begins as JSON does, and is none.
    #[error("not JSON at line {line}, column {column}: {reason}; the body begins {start:?}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser met.
        reason: String,
        /// The beginning of the body.
        start: String,
    },
    /// A member is missing, or is not what it should be.
    #[error("{source_kind}: field `{field}` {problem}; give {want}")]
    Field {
        /// What the body was read as.
        source_kind: &'static str,
        /// Path of the member, for example `events[0].eventName`.
        field: String,
        /// `is missing`, or the value it has, shortened.
        problem: String,
        /// What would do.
        want: String,
    },
    /// No shape that is known.
    #[error(
        "unknown source: {saw}. Understood are: an S3, MinIO or Ceph notification (`Records`), an EventBridge event \
         (`source`, `detail-type`), an SNS envelope (`Type`, `TopicArn`), a CloudTrail record (`eventSource`, \
         `eventName`), an SES notification (`mail`), an OSS body (`events`, plain or Base64), mail text \
         (`env_id=...&...`), a job result (`jobId`, `status`), an event of your own product (`product`, `type`, `body`)"
    )]
    UnknownSource {
        /// What was there instead.
        saw: String,
    },
    /// Understood, and nothing that notifications are made of.
    #[error("{0}")]
    Unfit(String),
    /// More than [`MAX_DEPTH`] envelopes.
    #[error(
        "more than 6 envelopes lie round the event: unwrap it before sending (raw message delivery in SNS)"
    )]
    TooDeep,
    /// More than [`MAX_RECORDS`] records.
    #[error("the body holds {count} records, the limit is 10000: send it in parts")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// It is small, and what it means is not: one long text told of thousands of recipients, or thousands of records that
    /// cannot be read.
    #[error("the body unfolds to more than 32 MiB of events: send it in parts")]
    TooMuch,
    /// The published form would not fit a message.
    #[error(
        "event {event_type} on {resource:?} is {len} bytes when published, the limit of a message is {limit}: publish \
         less in one event"
    )]
    TooLarge {
        /// Type of the event.
        event_type: String,
        /// Its resource.
        resource: String,
        /// Bytes it would take.
        len: usize,
        /// 65 536 (MNS limits, SQS billing unit).
        limit: usize,
    },
    /// Several records of one body, none of which can be read.
    #[error("{first} (and {more} more records of this body are refused too)")]
    AllRefused {
        /// The first record's reason.
        first: Box<DecodeError>,
        /// How many others.
        more: usize,
    },
}

impl DecodeError {
    pub(crate) fn missing(source_kind: &'static str, field: impl Into<String>, want: &str) -> Self {
        DecodeError::Field {
            source_kind,
            field: field.into(),
            problem: "is missing".into(),
            want: want.into(),
        }
    }

    pub(crate) fn value(
        source_kind: &'static str,
        field: impl Into<String>,
        value: &str,
        want: &str,
    ) -> Self {
        DecodeError::Field {
            source_kind,
            field: field.into(),
            problem: format!("is {:?}", shorten(value, 64)),
            want: want.into(),
        }
    }

    /// Reads why serde could not take `text` as the shape of `source_kind`: broken JSON, or a member of another type.
    pub(crate) fn json<'de, T: serde::Deserialize<'de>>(
        source_kind: &'static str,
        prefix: &str,
        text: &'de str,
        error: &serde_json::Error,
    ) -> Self {
        if !error.is_data() {
            return Self::syntax(text, error);
        }
        // The slow second parse finds the member's path; only bodies that are refused pay for it.
        let mut reader = serde_json::Deserializer::from_str(text);
        let (field, reason) = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            Ok(_) => (String::new(), error.to_string()),
            Err(error) => (error.path().to_string(), error.inner().to_string()),
        };
        let field = match (prefix, field.as_str()) {
            ("", field) => field.to_owned(),
            (prefix, "" | ".") => prefix.to_owned(),
            (prefix, field) => format!("{prefix}.{field}"),
        };
        // serde says `invalid type: integer `5`, expected a string at line 1 column 20`.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        if let Some(member) = reason
            .strip_prefix("duplicate field `")
            .and_then(|rest| rest.strip_suffix('`'))
        {
            let field = match field.as_str() {
                "" | "." => member.to_owned(),
                field => format!("{field}.{member}"),
            };
            return DecodeError::Field {
                source_kind,
                field,
                problem: "stands more than once in one object".into(),
                want: "it once".into(),
            };
        }
        let (problem, want) = match reason.split_once(", expected ") {
            // The name that the reader's code has for an object is nothing to the publisher.
            Some((problem, want)) if want.starts_with("struct ") => {
                (shorten(problem, 128), "an object".to_owned())
            }
            Some((problem, want)) => (shorten(problem, 128), want.to_owned()),
            None => (
                shorten(reason, 128),
                "a body of the documented form".to_owned(),
            ),
        };
        DecodeError::Field {
            source_kind,
            field,
            // serde's own texts are nouns (`invalid type: ...`), ours are sentences.
            problem: if problem.starts_with("invalid ") {
                format!("has an {problem}")
            } else {
                problem
            },
            want,
        }
    }

    pub(crate) fn syntax(text: &str, error: &serde_json::Error) -> Self {
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let reason = if error.is_eof() {
            format!("{reason}: the body is cut off")
        } else {
            reason.to_owned()
        };
        DecodeError::NotJson {
            line: error.line(),
            column: error.column(),
            reason,
            start: shorten(text.trim(), 40),
        }
    }
}
