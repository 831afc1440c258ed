//! The archive of accepted packs: what is in it, for how long, and in what order it is read.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::event::Timestamp;
use carillon_core::ports::{EventArchive, OutgoingMessage, Stage, StageSender};
use carillon_embedded::{ManualClock, Settings, Store};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_700_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn store(adjust: impl FnOnce(&mut Settings)) -> (Store, ManualClock) {
    let clock = ManualClock::new(at(0));
    let mut settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    adjust(&mut settings);
    (Store::open_temporary(settings).unwrap(), clock)
}

async fn accept(store: &Store, packs: &[&str]) {
    let messages = packs
        .iter()
        .map(|pack| OutgoingMessage::new((*pack).to_owned()));
    for result in StageSender::send(store, Stage::Match, messages.collect()).await {
        result.unwrap();
    }
}

/// All packs of a window, read in pages of `limit`.
async fn kept(store: &Store, since: i64, until: i64, limit: usize) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let page = store
            .packs(at(since), at(until), from.as_deref(), limit)
            .await
            .unwrap();
        let packs = page.items.into_iter();
        all.extend(packs.map(|pack| (pack.at.as_millis() - START, pack.message)));
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

async fn texts(store: &Store) -> Vec<String> {
    let all = kept(store, -1_000_000_000, i64::MAX / 2 - START, 3).await;
    all.into_iter().map(|(_, text)| text).collect()
}

/// Lets housekeeping find nothing left: it looks every ten seconds of the store's clock, and each look is a transaction
/// before this one's.
async fn sweep(store: &Store, clock: &ManualClock) {
    for _ in 0..40 {
        clock.advance(Duration::from_secs(10));
        let none = StageSender::send(store, Stage::Ingest, Vec::new()).await;
        assert!(none.is_empty());
    }
}

#[tokio::test]
async fn what_is_accepted_is_kept_and_nothing_else_is() {
    let (store, clock) = store(|_| {});
    assert_eq!(store.oldest().await.unwrap(), None);
    accept(&store, &["one", "two"]).await;
    clock.advance(Duration::from_millis(5));
    accept(&store, &["three"]).await;
    for stage in [Stage::Ingest, Stage::Deliver] {
        let message = OutgoingMessage::new("no events on their way to match".to_owned());
        StageSender::send(&store, stage, vec![message]).await;
    }
    // What is sent again was kept when it was accepted.
    assert_eq!(store.send_again(vec!["one".to_owned()]).await, [Ok(())]);

    let expected = [(0, "one"), (0, "two"), (5, "three")];
    for limit in [1, 2, 3, 1000] {
        assert_eq!(
            kept(&store, 0, 6, limit).await,
            expected.map(|(at, text)| (at, text.to_owned()))
        );
    }
    assert_eq!(kept(&store, 0, 5, 10).await.len(), 2, "until is exclusive");
    assert_eq!(kept(&store, 5, 6, 10).await.len(), 1, "since is inclusive");
    assert_eq!(store.oldest().await.unwrap(), Some(at(0)));
    assert_eq!(store.stage_statistics(Stage::Match).records, 4);
}

#[tokio::test]
async fn what_is_not_accepted_is_not_kept() {
    let (store, _) = store(|settings| settings.max_stage_message = 10);
    let messages = ["short", "a message that is too large", "fits"].map(str::to_owned);
    let results = StageSender::send(
        &store,
        Stage::Match,
        messages.into_iter().map(OutgoingMessage::new).collect(),
    )
    .await;
    assert!(results[0].is_ok() && results[1].is_err() && results[2].is_ok());
    assert_eq!(texts(&store).await, ["short", "fits"]);
}

#[tokio::test]
async fn packs_go_when_their_time_is_over() {
    let (store, clock) = store(|settings| settings.keep_events = Duration::from_secs(3600));
    accept(&store, &["old"]).await;
    clock.advance(Duration::from_secs(1800));
    accept(&store, &["young"]).await;
    clock.advance(Duration::from_secs(1790));
    assert_eq!(texts(&store).await, ["old", "young"]);
    sweep(&store, &clock).await;
    assert_eq!(texts(&store).await, ["young"]);
}

#[tokio::test]
async fn the_oldest_go_first_when_there_are_too_many_bytes() {
    let (store, clock) = store(|settings| settings.keep_event_bytes = 40_000);
    // Letters that do not repeat hardly compress.
    let pack = |number: u32| -> String {
        let mut state = number.wrapping_mul(2_654_435_761).max(1);
        let letters = (0..4000).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            char::from(b' ' + (state % 90) as u8)
        });
        format!("{number:02}{}", letters.collect::<String>())
    };
    for number in 0..50 {
        accept(&store, &[&pack(number)]).await;
        clock.advance(Duration::from_millis(1));
    }
    sweep(&store, &clock).await;
    let left = texts(&store).await;
    let total: usize = left.iter().map(String::len).sum();
    assert!((30_000..=42_000).contains(&total), "{total} bytes are left");
    let numbers: Vec<&str> = left.iter().map(|text| &text[..2]).collect();
    let newest: Vec<String> = (50 - left.len()..50).map(|n| format!("{n:02}")).collect();
    assert_eq!(numbers, newest);
}

#[tokio::test]
async fn a_store_that_keeps_none_has_none_and_lets_go_of_what_it_had() {
    let data = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(at(0));
    let settings = |keep| Settings {
        clock: Arc::new(clock.clone()),
        keep_events: keep,
        ..Settings::default()
    };
    let keeping = Store::open(data.path(), settings(Duration::from_secs(3600))).unwrap();
    accept(&keeping, &["from before"]).await;
    keeping.close().await;
    drop(keeping);
    let store = Store::open(data.path(), settings(Duration::ZERO)).unwrap();
    accept(&store, &["of now"]).await;
    sweep(&store, &clock).await;
    assert!(texts(&store).await.is_empty());
    assert_eq!(store.stage_statistics(Stage::Match).records, 2);
}

#[tokio::test]
async fn a_clock_that_is_set_back_loses_nothing() {
    let (store, clock) = store(|_| {});
    accept(&store, &["a", "b"]).await;
    clock.set(at(-10));
    accept(&store, &["c"]).await;
    clock.set(at(0));
    accept(&store, &["d", "e"]).await;
    clock.set(at(-10));
    accept(&store, &["f"]).await;
    let all = kept(&store, -10, 1, 2).await;
    let expected = [
        (-10, "c"),
        (-10, "f"),
        (0, "a"),
        (0, "b"),
        (0, "d"),
        (0, "e"),
    ];
    assert_eq!(all, expected.map(|(at, text)| (at, text.to_owned())));
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let (store, _) = store(|_| {});
    for from in ["", "x", "-", "99999999999999999999"] {
        let refused = store.packs(at(0), at(1), Some(from), 1).await;
        assert!(refused.is_err(), "{from:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against a list: any moves of the clock, any packs, any window, any size of page, and a restart.
    #[test]
    fn a_window_holds_what_was_accepted_in_it(
        steps in prop::collection::vec((-20i64..40, prop::collection::vec("[a-c]{0,9}", 0..4)), 1..20),
        (since, length, limit) in (-50i64..200, 0i64..300, 1usize..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let data = tempfile::tempdir().unwrap();
            let clock = ManualClock::new(at(0));
            let settings = || Settings { clock: Arc::new(clock.clone()), ..Settings::default() };
            let mut store = Store::open(data.path(), settings()).unwrap();
            let (mut now, mut model) = (0, Vec::new());
            for (index, (step, packs)) in steps.iter().enumerate() {
                now += step;
                clock.set(at(now));
                let packs: Vec<&str> = packs.iter().map(String::as_str).collect();
                accept(&store, &packs).await;
                model.extend(packs.iter().map(|pack| (now, (*pack).to_owned())));
                if index == steps.len() / 2 {
                    store.close().await;
                    drop(store);
                    store = Store::open(data.path(), settings()).unwrap();
                }
            }
            model.retain(|(at, _)| (since..since + length).contains(at));
            // Stable: packs of one millisecond keep the order of acceptance.
            model.sort_by_key(|(at, _)| *at);
            prop_assert_eq!(kept(&store, since, since + length, limit).await, model);
            Ok(())
        })?;
    }
}
