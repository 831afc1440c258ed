//! What queue messages carry: deliveries as well as events, up to the very last byte, and which records come again.

#![allow(clippy::unwrap_used, reason = "a test")]

use carillon_core::delivery::{Attempt, Delivery, Notification, Outcome, OutcomeClass};
use carillon_core::envelope::{
    MAX_MESSAGE, Packer, RecordPacker, not_taken, open_deliveries, open_events,
};
use carillon_core::event::{Body, Event, EventType, MessageId, OssBody, Product, Timestamp};
use carillon_core::ports::QueueError;
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use std::time::Duration;

fn delivery(body: String) -> Delivery {
    Delivery {
        topic: TopicName::parse("news").unwrap(),
        subscription: SubscriptionName::parse("mine").unwrap(),
        version: 7,
        notification: Notification {
            message_id: MessageId::from_bits(0xAB),
            product: Product::Oss,
            rule: RuleName::parse("films").unwrap(),
            event_type: EventType::parse("A:x").unwrap(),
            resource: "b/k".into(),
            body,
            published: Timestamp::from_millis(5),
            tag: None,
        },
        attempts: 0,
        history: Vec::new(),
        redriven: None,
        resends: 0,
    }
}

fn event(body: Body) -> Event {
    Event {
        product: Product::Own("sensors".into()),
        event_type: EventType::parse("A:x").unwrap(),
        resource: String::new(),
        time: Timestamp::default(),
        id: "000000000000000000000000000000AB".parse().unwrap(),
        body,
    }
}

#[test]
fn deliveries_arrive_as_they_were_sent() {
    let attempt = Attempt {
        at: Timestamp::from_millis(9),
        took_ms: 3,
        outcome: Outcome {
            class: OutcomeClass::Retry,
            status: Some(503),
            detail: "busy".into(),
            retry_after: Some(Duration::from_secs(7)),
        },
    };
    let tried = Delivery {
        attempts: 1,
        history: vec![attempt],
        redriven: Some(Timestamp::from_millis(8)),
        resends: 2,
        notification: Notification {
            tag: Some("red".into()),
            resource: String::new(),
            ..delivery("\"\u{1}花".into()).notification
        },
        ..delivery(String::new())
    };
    let sent = [delivery("one".into()), tried, delivery("two".into())];
    let mut packer = Packer::new();
    for delivery in &sent {
        assert_eq!(packer.push(delivery).unwrap(), 0);
    }
    let messages = packer.finish();
    assert_eq!(messages.len(), 1);
    assert_eq!(open_deliveries(&messages[0]).unwrap(), sent);
}

#[test]
fn a_fresh_delivery_is_carried_without_what_it_has_not_met() {
    let mut packer = Packer::new();
    packer.push(&delivery("text".into())).unwrap();
    assert_eq!(
        packer.finish()[0],
        r#"{"v":1,"items":[{"topic":"news","subscription":"mine","version":7,"notification":{"message_id":"000000000000000000000000000000AB","product":"oss","rule":"films","event_type":"A:x","resource":"b/k","body":"text","published":5},"attempts":0}]}"#
    );
    let resent = Delivery {
        resends: 1,
        ..delivery("text".into())
    };
    assert!(
        serde_json::to_string(&resent)
            .unwrap()
            .contains(r#""resends":1"#)
    );
}

#[test]
fn a_delivery_that_no_message_holds_is_named() {
    let mut packer = Packer::new();
    let error = packer.push(&delivery("x".repeat(MAX_MESSAGE))).unwrap_err();
    assert_eq!(
        error.what,
        "message 000000000000000000000000000000AB for subscription mine"
    );
    assert!(
        packer.finish().is_empty(),
        "what was refused leaves nothing behind"
    );
}

#[test]
fn events_are_written_as_their_own_reader_writes_them() {
    let oss = serde_json::value::RawValue::from_string(r#"{"oss":{"a":"\""}}"#.into()).unwrap();
    let mut bodies = vec![Body::Oss(OssBody::from_raw(&oss).unwrap())];
    // Each letter of ASCII by itself, and among others.
    for letter in '\0'..='\u{80}' {
        bodies.push(Body::Plain(letter.to_string()));
        bodies.push(Body::Base64(format!("a{letter}花")));
    }
    for body in bodies {
        let event = event(body);
        let mut packer = Packer::new();
        packer.push(&event).unwrap();
        let message = packer.finish().remove(0);
        let by_serde = serde_json::to_string(&event).unwrap();
        assert_eq!(message, format!(r#"{{"v":1,"items":[{by_serde}]}}"#));
        assert_eq!(open_events(&message).unwrap(), [event]);
    }
}

#[test]
fn messages_are_filled_to_the_last_byte() {
    let sized = |len: usize| event(Body::Plain("x".repeat(len)));
    let length = |events: &[Event]| {
        let mut packer = Packer::new();
        for event in events {
            packer.push(event).unwrap();
        }
        packer.finish().iter().map(String::len).collect::<Vec<_>>()
    };
    let two = length(&[sized(0), sized(0)])[0];
    let room = MAX_MESSAGE - two;
    assert_eq!(length(&[sized(0), sized(room)]), [MAX_MESSAGE]);
    for more in 1..8 {
        let held = length(&[sized(0), sized(room + more)]);
        assert_eq!(held.len(), 2, "{more} bytes more need a second message");
    }
    // The second may itself be as long as any.
    let alone = MAX_MESSAGE - length(&[sized(0)])[0];
    assert_eq!(length(&[sized(0), sized(alone)])[1], MAX_MESSAGE);
    let mut packer = Packer::new();
    packer.push(&sized(0)).unwrap();
    let error = packer.push(&sized(alone + 1)).unwrap_err();
    assert_eq!(error.len, MAX_MESSAGE + 1);
    packer.push(&sized(0)).unwrap();
    assert_eq!(packer.finish().len(), 1, "a refused one parts nothing");
}

#[test]
fn each_message_knows_the_records_it_carries() {
    let third = || event(Body::Plain("x".repeat(MAX_MESSAGE / 3 - 200)));
    let mut packer = RecordPacker::new();
    // Record 0 has one event, record 1 five, record 2 none, record 3 one.
    let mut carriers = Vec::new();
    for record in [0, 1, 1, 1, 1, 1, 3] {
        carriers.push(packer.push(record, &third()).unwrap());
    }
    let huge = event(Body::Plain("x".repeat(MAX_MESSAGE)));
    assert!(packer.push(4, &huge).is_err());
    assert_eq!(carriers, [0, 0, 0, 1, 1, 1, 2]);
    let carried = packer.finish();
    let records: Vec<&[usize]> = carried.iter().map(|(_, records)| &**records).collect();
    assert_eq!(records, [&[0, 1][..], &[1], &[3]]);
    for ((message, _), events) in carried.iter().zip([3, 3, 1]) {
        assert_eq!(open_events(message).unwrap().len(), events);
    }
}

#[test]
fn records_of_messages_that_were_not_taken_come_again() {
    let away = || Err(QueueError::Unavailable("away".into()));
    let again = |results: &[Result<(), QueueError>]| -> Vec<(usize, String)> {
        not_taken(results, vec![vec![0, 1], vec![1, 2], vec![3]]).collect()
    };
    let said = |record: usize, reason: &str| (record, reason.to_owned());
    assert_eq!(again(&[Ok(()), Ok(()), Ok(())]), []);
    let reason = "the queue is not available: away";
    assert_eq!(
        again(&[Ok(()), away(), Ok(())]),
        [said(1, reason), said(2, reason)]
    );
    let silent = "the queue gave no answer for this message";
    assert_eq!(again(&[Ok(()), Ok(())]), [said(3, silent)]);
    assert_eq!(again(&[]).len(), 5);
}

#[test]
fn a_message_that_was_edited_is_read_anew() {
    // Places in the text stand in a message; whoever edits it moves them.
    let event = r#"{"a":{},"oss":{"b":1}}"#;
    let read = |at: usize, len: usize| -> OssBody {
        serde_json::from_str(&format!(r#"{{"at":{at},"len":{len},"event":{event}}}"#)).unwrap()
    };
    let want = r#"{"events":[{"a":{},"oss":{"b":1,"ruleId":"films"}}]}"#;
    let (place, len) = (event.len() - 2, event.len());
    for (at, len) in [
        (place, len),
        (6, len + 1),
        (place - 1, len),
        (999, len),
        (0, 0),
    ] {
        assert_eq!(read(at, len).with_rule("films"), want, "{at} of {len}");
    }
}
