//! What an answer means: each status, each failure, each wish of the endpoint.

#![allow(clippy::unwrap_used, reason = "a test")]

use carillon_core::delivery::{Outcome, OutcomeClass};
use carillon_core::event::Timestamp;
use carillon_core::ports::{PushFailure, PushResponse, QueueError, SnsError};
use carillon_core::push::outcome::{
    LONGEST_DETAIL, OutcomeSettings, class_of_status, clip, of_push, of_queue, of_sns, to_markdown,
};
use std::time::Duration;

const KEEP: OutcomeSettings = OutcomeSettings {
    redirect_is_success: true,
};
const REDIRECTS_FAIL: OutcomeSettings = OutcomeSettings {
    redirect_is_success: false,
};

#[test]
fn every_status_has_its_class() {
    for status in 0..=999 {
        let want = match status {
            200..=299 => OutcomeClass::Success,
            300..=399 => OutcomeClass::Success,
            410 | 413 | 414 | 415 | 431 => OutcomeClass::Hopeless,
            _ => OutcomeClass::Retry,
        };
        assert_eq!(class_of_status(status, KEEP), want, "{status}");
        let want = match status {
            300..=399 => OutcomeClass::Retry,
            _ => want,
        };
        assert_eq!(class_of_status(status, REDIRECTS_FAIL), want, "{status}");
    }
    assert_eq!(OutcomeSettings::default(), KEEP);
}

fn answer(status: u16, retry_after: Option<&str>, date: Option<&str>) -> Outcome {
    let response = PushResponse {
        status,
        retry_after: retry_after.map(str::to_owned),
        date: date.map(str::to_owned),
        excerpt: "busy".to_owned(),
    };
    let now = Timestamp::parse("2023-03-29T08:00:00Z").unwrap();
    of_push(Ok(response), KEEP, now)
}

#[test]
fn an_answer_keeps_its_status_and_its_words() {
    for (status, class) in [
        (204, OutcomeClass::Success),
        (500, OutcomeClass::Retry),
        (410, OutcomeClass::Hopeless),
    ] {
        let want = Outcome {
            class,
            status: Some(status),
            detail: "busy".to_owned(),
            retry_after: None,
        };
        assert_eq!(answer(status, None, None), want);
    }
}

#[test]
fn retry_after_is_heard_where_a_retry_follows() {
    let at = "Wed, 29 Mar 2023 08:01:00 GMT";
    for (status, wish, date, want) in [
        (429, "120", None, Some(120)),
        (503, at, None, Some(60)),
        (503, at, Some("Wed, 29 Mar 2023 08:00:50 GMT"), Some(10)),
        (404, "7", None, Some(7)),
        (503, "soon", None, None),
        (200, "120", None, None),
        (410, "120", None, None),
    ] {
        let outcome = answer(status, Some(wish), date);
        assert_eq!(
            outcome.retry_after,
            want.map(Duration::from_secs),
            "{status} {wish}"
        );
    }
}

#[test]
fn without_an_answer_the_reason_is_told() {
    let text = || "X".to_owned();
    let now = Timestamp::default();
    for (failure, class, detail) in [
        (
            PushFailure::Refused(text()),
            OutcomeClass::Hopeless,
            "address refused: X",
        ),
        (
            PushFailure::Dns(text()),
            OutcomeClass::Retry,
            "name not resolved: X",
        ),
        (
            PushFailure::Connect(text()),
            OutcomeClass::Retry,
            "no connection: X",
        ),
        (
            PushFailure::Tls(text()),
            OutcomeClass::Retry,
            "TLS failed: X",
        ),
        (
            PushFailure::Timeout(Duration::from_secs(5)),
            OutcomeClass::Retry,
            "timed out after 5s",
        ),
        (
            PushFailure::Broken(text()),
            OutcomeClass::Retry,
            "broken answer: X",
        ),
    ] {
        let want = Outcome {
            class,
            status: None,
            detail: detail.to_owned(),
            retry_after: None,
        };
        assert_eq!(of_push(Err(failure), KEEP, now), want);
    }
}

#[test]
fn queues_and_topics_of_sns() {
    let text = || "X".to_owned();
    let large = QueueError::TooLarge {
        queue: text(),
        len: 2_000,
        limit: 1_024,
    };
    for (result, class, detail) in [
        (Ok(text()), OutcomeClass::Success, ""),
        (
            Err(QueueError::NotExist(text())),
            OutcomeClass::Retry,
            "there is no queue \"X\"",
        ),
        (
            Err(large),
            OutcomeClass::Hopeless,
            "the message is 2000 bytes, queue \"X\" takes at most 1024",
        ),
        (
            Err(QueueError::Unavailable(text())),
            OutcomeClass::Retry,
            "the queue is not available: X",
        ),
    ] {
        let outcome = of_queue(result, KEEP);
        assert_eq!((outcome.class, outcome.detail.as_str()), (class, detail));
        assert_eq!((outcome.status, outcome.retry_after), (None, None));
    }
    for (result, class, begins) in [
        (Ok(text()), OutcomeClass::Success, ""),
        (
            Err(SnsError::NotExist(text())),
            OutcomeClass::Retry,
            "there is no topic",
        ),
        (Err(SnsError::Denied(text())), OutcomeClass::Retry, "X"),
        (
            Err(SnsError::Refused(text())),
            OutcomeClass::Hopeless,
            "SNS refuses",
        ),
        (
            Err(SnsError::Unavailable(text())),
            OutcomeClass::Retry,
            "SNS is not available",
        ),
    ] {
        let outcome = of_sns(result, KEEP);
        assert_eq!(outcome.class, class, "{begins}");
        assert!(outcome.detail.starts_with(begins), "{}", outcome.detail);
        assert_eq!(outcome.detail.is_empty(), begins.is_empty());
        assert_eq!((outcome.status, outcome.retry_after), (None, None));
    }
}

#[test]
fn details_are_short_and_hold_no_control_characters() {
    assert_eq!(clip("a\r\n\u{1b}[31mb"), "a   [31mb");
    let long = "花".repeat(LONGEST_DETAIL + 1);
    assert_eq!(clip(&long).chars().count(), LONGEST_DETAIL);
    assert_eq!(
        clip(&long[..LONGEST_DETAIL * 3]),
        long[..LONGEST_DETAIL * 3]
    );
}

#[test]
fn the_table_for_people_tells_all_that_can_follow() {
    let table = to_markdown();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[..2],
        ["| what happens | what follows | why |", "|---|---|---|"]
    );
    for row in [
        "| 2xx | delivered | ",
        "| 3xx | delivered; by setting: retried | ",
        "| 410 Gone | a dead letter at once | ",
        "| any other 5xx | retried by the strategy, then a dead letter | ",
    ] {
        assert_eq!(
            rows.iter().filter(|line| line.starts_with(row)).count(),
            1,
            "{row}"
        );
    }
}
