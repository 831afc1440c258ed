//! The archive of accepted packs.

use super::Pass;
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, EventArchive, OutgoingMessage, Stage, StageSender};
use std::sync::Arc;
use std::time::Duration;

/// Fresh ports over an empty archive, with a clock that stands still.
#[derive(Clone)]
pub struct Ports {
    /// Where packs are sent to the match stage, and so kept.
    pub stages: Arc<dyn StageSender>,
    /// What was kept.
    pub archive: Arc<dyn EventArchive>,
    /// The archive's time.
    pub clock: Arc<dyn Clock>,
    /// Lets it pass.
    pub pass: Pass,
    /// Kept until the case ends.
    pub keep: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

const MINUTE: Duration = Duration::from_secs(60);

async fn accept(ports: &Ports, packs: &[&str]) -> Timestamp {
    let messages: Vec<OutgoingMessage> = packs
        .iter()
        .map(|pack| OutgoingMessage::new(pack_of(pack)))
        .collect();
    let results = ports.stages.send(Stage::Match, messages).await;
    assert_eq!(results, vec![Ok(()); packs.len()]);
    ports.clock.now()
}

fn pack_of(name: &str) -> String {
    format!(r#"{{"v":1,"items":[],"name":"{name} é"}}"#)
}

/// Packs of a window, read in pages of `limit`.
async fn read(
    ports: &Ports,
    since: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Vec<(Timestamp, String)> {
    let mut all = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let page = ports
            .archive
            .packs(since, until, from.as_deref(), limit)
            .await
            .unwrap();
        all.extend(page.items.into_iter().map(|pack| (pack.at, pack.message)));
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

async fn everything(ports: &Ports) -> Vec<String> {
    let end = ports.clock.now().plus(MINUTE);
    let all = read(ports, Timestamp::default(), end, 100).await;
    all.into_iter().map(|(_, message)| message).collect()
}

/// Neither an error nor anything else.
pub async fn an_archive_of_nothing_is_empty(ports: Ports) {
    assert_eq!(everything(&ports).await, [""; 0]);
    assert_eq!(ports.archive.oldest().await, Ok(None));
}

/// From `since`, inclusive, to `until`, exclusive, oldest first, byte for byte.
pub async fn a_window_holds_what_was_accepted_in_it(ports: Ports) {
    let mut times = Vec::new();
    for name in ["one", "two", "three", "four"] {
        times.push(accept(&ports, &[name]).await);
        // Over the ends of hours and days.
        (ports.pass)(MINUTE * 60 * 13).await;
    }
    assert_eq!(ports.archive.oldest().await, Ok(Some(times[0])));
    for limit in [1, 2, 100] {
        assert_eq!(
            read(&ports, times[1], times[3], limit).await,
            [(times[1], pack_of("two")), (times[2], pack_of("three"))]
        );
    }
    assert_eq!(read(&ports, times[1], times[1], 10).await, []);
    let later = times[3].plus(MINUTE);
    assert_eq!(read(&ports, times[3], later, 10).await.len(), 1);
    assert_eq!(read(&ports, later, later.plus(MINUTE), 10).await, []);
}

/// Many at one moment too.
pub async fn pages_lose_nothing_and_give_nothing_twice(ports: Ports) {
    let mut sent = Vec::new();
    for number in 0..30 {
        let names: Vec<String> = (0..=number % 3).map(|n| format!("{number}-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        accept(&ports, &names).await;
        sent.extend(names.iter().map(|name| pack_of(name)));
        if number % 5 == 0 {
            (ports.pass)(Duration::from_millis(1)).await;
        }
    }
    sent.sort();
    let end = ports.clock.now().plus(MINUTE);
    for limit in [1, 3, 7, 1000] {
        let mut all = read(&ports, Timestamp::default(), end, limit).await;
        assert!(all.is_sorted_by_key(|(at, _)| *at));
        all.sort_by(|(_, a), (_, b)| a.cmp(b));
        let all: Vec<String> = all.into_iter().map(|(_, message)| message).collect();
        assert_eq!(all, sent);
    }
}

/// Else a replay would replay itself.
pub async fn what_is_sent_again_is_not_kept_again(ports: Ports) {
    accept(&ports, &["one"]).await;
    (ports.pass)(MINUTE).await;
    let again = ports.archive.send_again(vec![pack_of("one"); 12]).await;
    assert_eq!(again, vec![Ok(()); 12]);
    assert_eq!(ports.archive.send_again(Vec::new()).await, []);
    assert_eq!(everything(&ports).await, [pack_of("one")]);
}

/// Raw bodies are not accepted yet, and deliveries are made of what was.
pub async fn what_the_other_stages_are_sent_is_not_kept(ports: Ports) {
    for stage in [Stage::Ingest, Stage::Deliver] {
        let message = OutgoingMessage::new(pack_of("no pack of events"));
        assert_eq!(ports.stages.send(stage, vec![message]).await, [Ok(())]);
    }
    assert_eq!(everything(&ports).await, [""; 0]);
}

/// With words for whoever gave it.
pub async fn a_place_of_no_page_is_refused(ports: Ports) {
    accept(&ports, &["one"]).await;
    for from in ["", "nowhere", "-", "é"] {
        let end = ports.clock.now();
        let refused = ports.archive.packs(end, end, Some(from), 1).await;
        assert!(refused.is_err(), "{from:?}");
    }
}
