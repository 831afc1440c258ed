//! What an answer, or the lack of one, means. One table: the code below reads it, `functions/deliver/OUTCOMES.md` is
//! rendered from it, and a test holds the two together.

use super::retry_after;
use crate::delivery::{Outcome, OutcomeClass};
use crate::event::Timestamp;
use crate::ports::{PushFailure, PushResponse, QueueError, SnsError};
use std::fmt::Write as _;

/// What is settled by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeSettings {
    /// Whether an answer of 3xx counts as accepted (HELP: Push backoff policy, of 2025, "200 to below 400"). A redirect
    /// is never followed either way.
    pub redirect_is_success: bool,
}

impl Default for OutcomeSettings {
    /// The newest of the vendor's three sources.
    fn default() -> Self {
        OutcomeSettings {
            redirect_is_success: true,
        }
    }
}

/// What a row of the table speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Statuses from the first to the second, both included.
    Status(u16, u16),
    /// [`PushFailure::Refused`].
    Refused,
    /// [`PushFailure::Dns`].
    Dns,
    /// [`PushFailure::Connect`].
    Connect,
    /// [`PushFailure::Tls`].
    Tls,
    /// [`PushFailure::Timeout`].
    Timeout,
    /// [`PushFailure::Broken`].
    Broken,
    /// [`QueueError::NotExist`].
    NoQueue,
    /// [`QueueError::TooLarge`].
    TooLarge,
    /// Any other [`QueueError`].
    Queue,
    /// [`SnsError::NotExist`].
    NoTopic,
    /// [`SnsError::Denied`].
    TopicDenied,
    /// [`SnsError::Refused`].
    TopicRefused,
    /// [`SnsError::Unavailable`].
    Topic,
}

/// How a row is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Always of this class.
    Always(OutcomeClass),
    /// [`OutcomeSettings::redirect_is_success`] decides between success and retry.
    Redirect,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What happened.
    pub case: Case,
    /// What it means.
    pub verdict: Verdict,
    /// The same in words, for a person.
    pub what: &'static str,
    /// Why it is judged so.
    pub why: &'static str,
}

const RETRY: Verdict = Verdict::Always(OutcomeClass::Retry);
const HOPELESS: Verdict = Verdict::Always(OutcomeClass::Hopeless);

const fn row(case: Case, verdict: Verdict, what: &'static str, why: &'static str) -> Row {
    Row {
        case,
        verdict,
        what,
        why,
    }
}

/// The table. The first row that fits decides; the last ones fit every status.
pub const TABLE: &[Row] = &[
    row(
        Case::Status(200, 299),
        Verdict::Always(OutcomeClass::Success),
        "2xx",
        "the status decides: trouble while the rest of the answer is read changes nothing",
    ),
    row(
        Case::Status(300, 399),
        Verdict::Redirect,
        "3xx",
        "a setting; the vendor's newest page counts it as accepted. The redirect is never followed",
    ),
    row(
        Case::Status(410, 410),
        HOPELESS,
        "410 Gone",
        "the endpoint says it is gone for good (Standard Webhooks)",
    ),
    row(
        Case::Status(413, 413),
        HOPELESS,
        "413 Content Too Large",
        "each attempt carries the same bytes",
    ),
    row(
        Case::Status(414, 414),
        HOPELESS,
        "414 URI Too Long",
        "each attempt asks for the same target",
    ),
    row(
        Case::Status(415, 415),
        HOPELESS,
        "415 Unsupported Media Type",
        "each attempt carries the same format; change NotifyContentFormat, then redrive",
    ),
    row(
        Case::Status(431, 431),
        HOPELESS,
        "431 Request Header Fields Too Large",
        "each attempt carries the same headers",
    ),
    row(
        Case::Status(429, 429),
        RETRY,
        "429 Too Many Requests",
        "`Retry-After` is heard, within bounds",
    ),
    row(
        Case::Status(503, 503),
        RETRY,
        "503 Service Unavailable",
        "`Retry-After` is heard, within bounds",
    ),
    row(
        Case::Status(400, 499),
        RETRY,
        "any other 4xx",
        "MNS retries all of them: a receiver in the midst of a roll-out answers 404, one with a stale certificate 403",
    ),
    row(
        Case::Status(500, 599),
        RETRY,
        "any other 5xx",
        "the endpoint may recover",
    ),
    row(
        Case::Status(0, 999),
        RETRY,
        "any other status (101 too)",
        "no meaning is defined for it here",
    ),
    row(
        Case::Refused,
        HOPELESS,
        "the address guard refuses the URL or an address",
        "nothing is dialled; after a change of the URL, the DNS or the allow-list, redrive",
    ),
    row(
        Case::Dns,
        RETRY,
        "the name does not resolve",
        "names come back",
    ),
    row(
        Case::Connect,
        RETRY,
        "no connection",
        "the endpoint may come back",
    ),
    row(
        Case::Tls,
        RETRY,
        "the TLS handshake fails (wrong name, expired, unknown issuer)",
        "certificates are renewed",
    ),
    row(
        Case::Timeout,
        RETRY,
        "no answer within the timeout",
        "MNS: 5 s; here 1 to 30 s per subscription",
    ),
    row(
        Case::Broken,
        RETRY,
        "the connection breaks before a status, or the answer is not HTTP, or its head is too large",
        "whether the endpoint took it is unknown; the message id lets it drop the double",
    ),
    row(
        Case::NoQueue,
        RETRY,
        "the queue does not exist",
        "it may be made again (MNS backs off, and retries)",
    ),
    row(
        Case::TooLarge,
        HOPELESS,
        "the message is larger than the queue takes",
        "each attempt carries the same bytes",
    ),
    row(
        Case::Queue,
        RETRY,
        "the queue does not take it now",
        "it may later",
    ),
    row(
        Case::NoTopic,
        RETRY,
        "the topic of SNS does not exist",
        "as with a queue: it may be made again",
    ),
    row(
        Case::TopicDenied,
        RETRY,
        "SNS does not allow it (`AuthorizationError`, a key's policy)",
        "as with a 403: permissions are mended, and take a while to spread",
    ),
    row(
        Case::TopicRefused,
        HOPELESS,
        "SNS does not take the message as it is (too large, empty, a character it does not know)",
        "each attempt carries the same bytes",
    ),
    row(
        Case::Topic,
        RETRY,
        "SNS is throttled or does not answer",
        "it may later",
    ),
];

impl Case {
    fn fits(self, status: u16) -> bool {
        matches!(self, Case::Status(from, to) if (from..=to).contains(&status))
    }
}

fn class(row: &Row, settings: OutcomeSettings) -> OutcomeClass {
    match row.verdict {
        Verdict::Always(class) => class,
        Verdict::Redirect if settings.redirect_is_success => OutcomeClass::Success,
        Verdict::Redirect => OutcomeClass::Retry,
    }
}

fn class_of(case: Case, settings: OutcomeSettings) -> OutcomeClass {
    TABLE
        .iter()
        .find(|row| row.case == case)
        .map_or(OutcomeClass::Retry, |row| class(row, settings))
}

/// The class of a status.
#[must_use]
pub fn class_of_status(status: u16, settings: OutcomeSettings) -> OutcomeClass {
    TABLE
        .iter()
        .find(|row| row.case.fits(status))
        .map_or(OutcomeClass::Retry, |row| class(row, settings))
}

/// Judges an HTTP push. `now` is what a `Retry-After` that names a time is read against, should the answer carry no
/// `Date`.
#[must_use]
pub fn of_push(
    result: Result<PushResponse, PushFailure>,
    settings: OutcomeSettings,
    now: Timestamp,
) -> Outcome {
    match result {
        Ok(response) => {
            let class = class_of_status(response.status, settings);
            let wish = response
                .retry_after
                .as_deref()
                .filter(|_| class == OutcomeClass::Retry);
            Outcome {
                class,
                status: Some(response.status),
                retry_after: wish
                    .and_then(|wish| retry_after::parse(wish, response.date.as_deref(), now)),
                detail: response.excerpt,
            }
        }
        Err(failure) => {
            let case = match failure {
                PushFailure::Refused(_) => Case::Refused,
                PushFailure::Dns(_) => Case::Dns,
                PushFailure::Connect(_) => Case::Connect,
                PushFailure::Tls(_) => Case::Tls,
                PushFailure::Timeout(_) => Case::Timeout,
                PushFailure::Broken(_) => Case::Broken,
            };
            unanswered(case, settings, failure.to_string())
        }
    }
}

/// Judges a send to a queue.
#[must_use]
pub fn of_queue(result: Result<String, QueueError>, settings: OutcomeSettings) -> Outcome {
    match result {
        Ok(_) => taken(),
        Err(error) => {
            let case = match error {
                QueueError::NotExist(_) => Case::NoQueue,
                QueueError::TooLarge { .. } => Case::TooLarge,
                _ => Case::Queue,
            };
            unanswered(case, settings, error.to_string())
        }
    }
}

/// Judges a publish to a topic of SNS.
#[must_use]
pub fn of_sns(result: Result<String, SnsError>, settings: OutcomeSettings) -> Outcome {
    match result {
        Ok(_) => taken(),
        Err(error) => {
            let case = match error {
                SnsError::NotExist(_) => Case::NoTopic,
                SnsError::Denied(_) => Case::TopicDenied,
                SnsError::Refused(_) => Case::TopicRefused,
                SnsError::Unavailable(_) => Case::Topic,
            };
            unanswered(case, settings, error.to_string())
        }
    }
}

/// What was handed over, where success says no more.
fn taken() -> Outcome {
    Outcome {
        class: OutcomeClass::Success,
        status: None,
        detail: String::new(),
        retry_after: None,
    }
}

fn unanswered(case: Case, settings: OutcomeSettings, detail: String) -> Outcome {
    Outcome {
        class: class_of(case, settings),
        status: None,
        detail,
        retry_after: None,
    }
}

/// Longest detail of an attempt, in characters: sixteen of them travel with a delivery in one queue message.
pub const LONGEST_DETAIL: usize = 240;

/// Shortens a detail to [`LONGEST_DETAIL`], and takes out control characters: it will be printed on a terminal.
#[must_use]
pub fn clip(detail: &str) -> String {
    detail
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_DETAIL)
        .collect()
}

/// The table as Markdown.
#[must_use]
pub fn to_markdown() -> String {
    let mut out = String::from("| what happens | what follows | why |\n|---|---|---|\n");
    for row in TABLE {
        let verdict = match row.verdict {
            Verdict::Always(OutcomeClass::Success) => "delivered",
            Verdict::Always(OutcomeClass::Retry) => "retried by the strategy, then a dead letter",
            Verdict::Always(OutcomeClass::Hopeless) => "a dead letter at once",
            Verdict::Redirect => "delivered; by setting: retried",
        };
        writeln!(out, "| {} | {verdict} | {} |", row.what, row.why)
            .expect("writing to a String cannot fail");
    }
    out
}
