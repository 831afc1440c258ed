//! The outcome table: its Markdown is checked in, its verdicts are what the handler does.
#![allow(missing_docs, reason = "a test")]

mod support;

use carillon_core::delivery::OutcomeClass;
use carillon_core::ports::{PushFailure, QueueError, SnsError};
use carillon_core::push::outcome::{self, OutcomeSettings, class_of_status, to_markdown};
use carillon_deliver::Settings;
use std::time::Duration;
use support::*;

#[test]
fn the_checked_in_table_is_the_one_in_code() {
    let held = include_str!("../OUTCOMES.md");
    let want = format!(
        "# What an answer means\n\nRendered from `shared/core/src/push/outcome.rs`; the first row that fits decides.\n\n{}",
        to_markdown()
    );
    assert_eq!(
        held, want,
        "write this to functions/deliver/OUTCOMES.md:\n{want}"
    );
}

#[test]
fn every_status_has_the_class_the_table_promises() {
    let settings = OutcomeSettings::default();
    for status in 0..=999 {
        let want = match status {
            200..=399 => OutcomeClass::Success,
            410 | 413 | 414 | 415 | 431 => OutcomeClass::Hopeless,
            _ => OutcomeClass::Retry,
        };
        assert_eq!(class_of_status(status, settings), want, "{status}");
    }
    let strict = OutcomeSettings {
        redirect_is_success: false,
    };
    for status in 300..=399 {
        assert_eq!(
            class_of_status(status, strict),
            OutcomeClass::Retry,
            "{status}"
        );
    }
}

#[test]
fn what_gave_no_answer_has_a_class_too() {
    let of = |failure| {
        outcome::of_push(
            Err(failure),
            OutcomeSettings::default(),
            carillon_core::event::Timestamp::default(),
        )
        .class
    };
    let text = || "x".to_owned();
    assert_eq!(of(PushFailure::Refused(text())), OutcomeClass::Hopeless);
    for failure in [
        PushFailure::Dns(text()),
        PushFailure::Connect(text()),
        PushFailure::Tls(text()),
        PushFailure::Timeout(Duration::from_secs(5)),
        PushFailure::Broken(text()),
    ] {
        assert_eq!(of(failure), OutcomeClass::Retry);
    }
    let of = |error| outcome::of_queue(Err(error), OutcomeSettings::default()).class;
    assert_eq!(of(QueueError::NotExist(text())), OutcomeClass::Retry);
    assert_eq!(of(QueueError::Unavailable(text())), OutcomeClass::Retry);
    let large = QueueError::TooLarge {
        queue: text(),
        len: 2,
        limit: 1,
    };
    assert_eq!(of(large), OutcomeClass::Hopeless);
    let of = |error| outcome::of_sns(Err(error), OutcomeSettings::default()).class;
    assert_eq!(of(SnsError::NotExist(text())), OutcomeClass::Retry);
    assert_eq!(of(SnsError::Denied(text())), OutcomeClass::Retry);
    assert_eq!(of(SnsError::Unavailable(text())), OutcomeClass::Retry);
    assert_eq!(of(SnsError::Refused(text())), OutcomeClass::Hopeless);
}

#[tokio::test]
async fn the_handler_follows_the_table() {
    for redirect_is_success in [true, false] {
        for status in (100..600).step_by(1) {
            let settings = Settings {
                outcomes: OutcomeSettings {
                    redirect_is_success,
                },
                ..Settings::default()
            };
            let world = World::with(vec![http_subscription("web")], settings.clone());
            world.answers(move |_| answer(status));
            assert!(
                world
                    .run(&[record(&pack(&[delivery("web", 1)]))])
                    .await
                    .is_empty()
            );
            let got = (world.resent().len(), world.dead.kept.lock().unwrap().len());
            let want = match class_of_status(status, settings.outcomes) {
                OutcomeClass::Success => (0, 0),
                OutcomeClass::Retry => (1, 0),
                OutcomeClass::Hopeless => (0, 1),
            };
            assert_eq!(got, want, "{status}");
        }
    }
}
