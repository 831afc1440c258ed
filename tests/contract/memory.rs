//! What ingest remembers: sizes of objects, and events accepted lately.

use super::Ports;
use carillon_core::event::history::{Effect, Judged, ObjectWrite};
use carillon_core::event::{EventId, IdentityHasher};
use carillon_core::ports::StoreError;
use std::time::Duration;

fn write(key: &str, sequencer: &str, effect: Effect) -> ObjectWrite {
    ObjectWrite {
        bucket: "movie".into(),
        key: key.into(),
        sequencer: sequencer.into(),
        version: None,
        effect,
    }
}

fn put(key: &str, sequencer: &str, size: i64) -> ObjectWrite {
    write(key, sequencer, Effect::Written(Some(size)))
}

fn told(answers: Vec<Result<Judged, StoreError>>) -> Vec<(Option<i64>, bool)> {
    answers
        .into_iter()
        .map(|answer| answer.expect("the index answers"))
        .map(|judged| (judged.delta, judged.stale))
        .collect()
}

fn id(name: &str) -> EventId {
    IdentityHasher::new("test").part(name).finish()
}

/// Sizes change by what was there before; each key has its own history, and keeps it from call to call.
pub async fn sizes_change_by_what_was_there_before(ports: Ports) {
    let sizes = &ports.sizes;
    let first = sizes
        .observe(vec![
            put("a", "0A", 10),
            put("b", "0A", 7),
            put("a", "0B", 4),
        ])
        .await;
    assert_eq!(
        told(first),
        [(Some(10), false), (Some(7), false), (Some(-6), false)]
    );
    let second = sizes
        .observe(vec![write("a", "0C", Effect::Gone), put("b", "0B", 8)])
        .await;
    assert_eq!(told(second), [(Some(-4), false), (Some(1), false)]);
    let third = sizes.observe(vec![put("a", "0D", 3)]).await;
    assert_eq!(told(third), [(Some(3), false)]);
    assert_eq!(told(sizes.observe(Vec::new()).await), []);
}

/// A late write corrupts nothing, and a duplicate hears what its original heard.
pub async fn late_writes_and_duplicates_change_nothing(ports: Ports) {
    let sizes = &ports.sizes;
    told(sizes.observe(vec![put("a", "0A", 10)]).await);
    told(sizes.observe(vec![put("a", "0C", 30)]).await);
    let late = sizes.observe(vec![put("a", "0B", 20)]).await;
    assert_eq!(told(late), [(None, true)]);
    let again = sizes
        .observe(vec![put("a", "0C", 30), put("a", "0A", 10)])
        .await;
    assert_eq!(told(again), [(Some(20), false), (Some(10), true)]);
    let next = sizes.observe(vec![put("a", "0D", 31)]).await;
    assert_eq!(told(next), [(Some(1), false)]);
}

/// Two that write one key at a time lose nothing of each other: the changes add up to the last size.
pub async fn of_racing_writers_none_is_lost(ports: Ports) {
    let mut tasks = Vec::new();
    for lane in 0..4 {
        let sizes = ports.sizes.clone();
        tasks.push(tokio::spawn(async move {
            let mut sum = 0;
            for turn in 0..5 {
                let n = turn * 4 + lane + 1;
                let answers = sizes.observe(vec![put("a", &format!("{n:02X}1"), n)]).await;
                sum += told(answers)[0].0.unwrap_or(0);
            }
            sum
        }));
    }
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no writer fails");
    }
    assert_eq!(sum, 20);
}

/// More keys than a request can name.
pub async fn many_keys_at_once(ports: Ports) {
    let writes = |size: i64, sequencer: &str| {
        (0..230)
            .map(|n| put(&format!("many/{n}"), sequencer, size + n))
            .collect::<Vec<_>>()
    };
    let first = told(ports.sizes.observe(writes(100, "0A")).await);
    assert!((0..230).all(|n| first[n as usize] == (Some(100 + n), false)));
    let second = told(ports.sizes.observe(writes(90, "0B")).await);
    assert!(second.iter().all(|answer| *answer == (Some(-10), false)));
}

/// A marked id is known until its time runs out.
pub async fn a_mark_stands_until_its_time(ports: Ports) {
    let window = &ports.window;
    let until = ports.now().plus(Duration::from_secs(300));
    let ids = [id("a"), id("b"), id("c"), id("a")];
    let known = window.known(&ids, ports.now()).await;
    assert_eq!(known, Ok(vec![false, false, false, false]));
    window
        .mark(vec![id("a"), id("c"), id("a")], until)
        .await
        .unwrap();
    let known = window.known(&ids, ports.now()).await;
    assert_eq!(known, Ok(vec![true, false, true, true]));
    assert_eq!(
        window.known(&ids, until).await,
        Ok(vec![false, false, false, false])
    );
    window.mark(Vec::new(), until).await.unwrap();
    assert_eq!(window.known(&[], until).await, Ok(Vec::new()));
}

/// More ids than a request can name.
pub async fn many_marks_at_once(ports: Ports) {
    let ids: Vec<EventId> = (0..230).map(|n| id(&n.to_string())).collect();
    let until = ports.now().plus(Duration::from_secs(300));
    ports.window.mark(ids[..120].to_vec(), until).await.unwrap();
    let known = ports.window.known(&ids, ports.now()).await.unwrap();
    assert!((0..230).all(|n| known[n] == (n < 120)));
}
