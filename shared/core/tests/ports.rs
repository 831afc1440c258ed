//! What the ports promise by themselves: marks kept in memory, and the window of duplicates over any store.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::event::{EventId, IdentityHasher, Timestamp};
use carillon_core::ports::{
    Accepted, AttemptQuery, AttemptRecord, DeadLetterAdmin, DuplicateWindow, KeptDeadLetter, Marks,
    MemoryMarks, OutgoingMessage, Page, PropertyType, QueueAttributes, QueueError, Selection,
    Stage, StageSender, StoreError, UserProperty,
};
use std::sync::Mutex;
use std::time::Duration;
use support::ready;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn a_mark_stands_until_its_end_and_is_never_overwritten() {
    let marks = MemoryMarks::default();
    let set = |name: &str, value: &str, now, until| {
        ready(marks.set(name, value, at(now), at(until))).unwrap()
    };
    let get = |name: &str, now| ready(marks.get(name, at(now))).unwrap();
    assert_eq!(get("a", 0), None);
    assert_eq!(set("a", "first", 0, 10), None);
    assert_eq!(set("b", "other", 0, 10), None);
    assert_eq!(set("a", "second", 9, 99), Some("first".into()));
    assert_eq!(
        (get("a", 9), get("b", 9)),
        (Some("first".into()), Some("other".into()))
    );
    assert_eq!(get("a", 10), None, "at its end it stands no more");
    assert_eq!(set("a", "third", 10, 20), None);
    assert_eq!(get("a", 10), Some("third".into()));
}

#[test]
fn marks_that_ended_are_cleared_away_and_those_that_stand_are_kept() {
    let marks = MemoryMarks::default();
    let set = |name: String, now, until| ready(marks.set(&name, "v", at(now), at(until))).unwrap();
    let kept = |now: i64| {
        // Names of every round, by what the door tells of them.
        (0..4_000)
            .filter(|n| {
                ready(marks.get(&format!("long-{n}"), at(now)))
                    .unwrap()
                    .is_some()
            })
            .count()
    };
    for n in 0..4_000 {
        assert_eq!(set(format!("long-{n}"), n, 1_000_000), None);
        assert_eq!(set(format!("short-{n}"), n, n + 1), None);
    }
    assert_eq!(kept(5_000), 4_000);
    assert_eq!(kept(1_000_000), 0);
    // What ended takes no room: far fewer than the 8 000 that were set are held.
    let held = format!("{marks:?}").matches("short-").count();
    assert!(
        held < 4_000,
        "{held} of 4 000 marks that ended are still held"
    );
}

/// Takes every message whose body is not `refused`.
struct Queue(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl StageSender for Queue {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        assert_eq!(stage, Stage::Match);
        let mut sent = self.0.lock().unwrap();
        messages
            .into_iter()
            .map(|message| match message.body.as_str() {
                "refused" => Err(QueueError::Unavailable("away".into())),
                _ => {
                    sent.push(message.body);
                    Ok(())
                }
            })
            .collect()
    }
}

/// Remembers what it is told to mark.
#[derive(Default)]
struct Window {
    marked: Mutex<Vec<(Vec<EventId>, Timestamp)>>,
    broken: bool,
}

#[async_trait::async_trait]
impl DuplicateWindow for Window {
    async fn known(&self, ids: &[EventId], _: Timestamp) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; ids.len()])
    }

    async fn mark(&self, ids: Vec<EventId>, until: Timestamp) -> Result<(), StoreError> {
        self.marked.lock().unwrap().push((ids, until));
        match self.broken {
            true => Err(StoreError("away".into())),
            false => Ok(()),
        }
    }
}

#[test]
fn only_what_was_sent_is_marked() {
    let id = |name: &str| IdentityHasher::new("test").part(name).finish();
    let accepted = |body: &str, ids: &[&str]| Accepted {
        message: OutgoingMessage::new(body.to_owned()),
        ids: ids.iter().map(|name| id(name)).collect(),
    };
    let away = || Err(QueueError::Unavailable("away".into()));
    let queue = Queue(Mutex::default());
    let window = Window::default();
    let (results, marked) = ready(window.send(
        &queue,
        vec![
            accepted("one", &["a", "b"]),
            accepted("refused", &["c"]),
            accepted("two", &["d"]),
        ],
        at(60),
    ));
    assert_eq!((results, marked), (vec![Ok(()), away(), Ok(())], Ok(())));
    assert_eq!(*queue.0.lock().unwrap(), ["one", "two"]);
    let want = vec![(vec![id("a"), id("b"), id("d")], at(60))];
    assert_eq!(*window.marked.lock().unwrap(), want);

    // Nothing taken, nothing marked; and a mark that fails is no failure of the message.
    let window = Window {
        broken: true,
        ..Window::default()
    };
    let (results, marked) = ready(window.send(&queue, vec![accepted("refused", &["c"])], at(60)));
    assert_eq!((results, marked), (vec![away()], Ok(())));
    assert!(window.marked.lock().unwrap().is_empty());
    let (results, marked) = ready(window.send(&queue, vec![accepted("one", &["c"])], at(60)));
    assert_eq!(
        (results, marked),
        (vec![Ok(())], Err(StoreError("away".into())))
    );
}

#[test]
fn messages_and_queues_begin_with_the_vendor_s_defaults() {
    let message = OutgoingMessage::new("text".into());
    assert_eq!(
        (message.body.as_str(), message.delay),
        ("text", Duration::ZERO)
    );
    assert_eq!(
        (message.group, message.priority, message.at_once),
        (None, None, false)
    );
    // MNS limits.
    let read: QueueAttributes = serde_json::from_str("{}").unwrap();
    assert_eq!(read, QueueAttributes::default());
    assert_eq!(
        serde_json::to_string(&read).unwrap(),
        r#"{"DelaySeconds":0,"MaximumMessageSize":65536,"MessageRetentionPeriod":345600,"VisibilityTimeout":30,"PollingWaitSeconds":0,"LoggingEnabled":false}"#
    );
}

/// A log and a store that can do no more than they must.
struct Plain;

#[async_trait::async_trait]
impl AttemptQuery for Plain {
    async fn attempts(
        &self,
        _: &Selection,
        _: Option<&str>,
        _: usize,
    ) -> Result<Page<AttemptRecord>, StoreError> {
        Err(StoreError("not asked".into()))
    }
}

#[async_trait::async_trait]
impl DeadLetterAdmin for Plain {
    async fn list(
        &self,
        _: &Selection,
        _: Option<&str>,
        _: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        Err(StoreError("not asked".into()))
    }

    async fn get(&self, _: &str) -> Result<Option<KeptDeadLetter>, StoreError> {
        Ok(None)
    }

    async fn delete(&self, _: &[String]) -> Result<usize, StoreError> {
        Ok(0)
    }
}

#[test]
fn what_a_store_cannot_do_it_says() {
    let followed = ready(Plain.follow(&Selection::default(), None, 1, Duration::ZERO));
    assert_eq!(followed, Ok(None), "this log cannot be followed");
    let error = ready(Plain.redrive(&["a".into(), "b".into()])).unwrap_err();
    assert!(
        error
            .0
            .contains("cannot send dead letters again (2 were asked for)")
    );
}

#[test]
fn properties_count_with_their_names_and_types() {
    let property = |name: &str, kind, value: &str| {
        UserProperty::new(name.to_owned(), kind, value.to_owned()).unwrap()
    };
    let held = property("colour", PropertyType::String, "red");
    assert_eq!(
        (held.name(), held.kind(), held.value()),
        ("colour", PropertyType::String, "red")
    );
    assert_eq!(held.kind().to_string(), "STRING");
    assert_eq!(held.size(), 6 + 6 + 3);
    let mut message = OutgoingMessage::new("text".into());
    assert_eq!(message.size(), 4);
    message.properties = vec![held, property("n", PropertyType::Number, "7")];
    assert_eq!(message.size(), 4 + 15 + 8);
}
