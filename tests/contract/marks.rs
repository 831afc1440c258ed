//! Marks that stand for a while.

use super::Ports;
use carillon_core::event::Timestamp;
use std::time::Duration;

/// A mark is set once, gives what it was set to, and may be set anew when its time has come.
pub async fn a_mark_stands_until_its_time(ports: Ports) {
    let marks = &ports.marks;
    let now = ports.now();
    let until = now.plus(Duration::from_secs(60));
    assert_eq!(marks.get("n", now).await, Ok(None));
    assert_eq!(marks.set("n", "first", now, until).await, Ok(None));
    let held = Ok(Some("first".to_owned()));
    assert_eq!(marks.set("n", "second", now, until).await, held);
    assert_eq!(marks.get("n", now).await, held);
    let before = Timestamp::from_millis(until.as_millis() - 1);
    assert_eq!(marks.set("n", "third", before, until).await, held);
    assert_eq!(marks.set("other", "", now, until).await, Ok(None));

    assert_eq!(marks.get("n", until).await, Ok(None));
    let later = until.plus(Duration::from_secs(60));
    assert_eq!(marks.set("n", "fourth", until, later).await, Ok(None));
    assert_eq!(marks.get("n", until).await, Ok(Some("fourth".to_owned())));
}

/// Of many who set one mark at a time, exactly one is told that it is the first.
pub async fn of_many_who_set_a_mark_one_is_first(ports: Ports) {
    let now = ports.now();
    for round in 0..3 {
        let racers = (0..16).map(|racer| {
            let marks = ports.marks.clone();
            let until = now.plus(Duration::from_secs(60));
            tokio::spawn(async move {
                let (name, value) = (format!("round {round}"), racer.to_string());
                marks.set(&name, &value, now, until).await.unwrap()
            })
        });
        let mut first = 0;
        for racer in racers.collect::<Vec<_>>() {
            if racer.await.unwrap().is_none() {
                first += 1;
            }
        }
        assert_eq!(first, 1, "round {round}");
    }
}
