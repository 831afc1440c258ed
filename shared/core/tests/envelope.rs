//! Packing: nothing lost, nothing reordered, nothing over 64 KiB.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use carillon_core::envelope::{
    MAX_MESSAGE, Packer, Unreadable, open_deliveries, open_events, open_pack,
};
use carillon_core::event::{Body, Event, EventType, IdentityHasher, Product, Timestamp};
use carillon_core::rule::RuleName;
use proptest::prelude::*;

fn event(number: usize, body: String) -> Event {
    Event {
        product: Product::Own("sensors".into()),
        event_type: EventType::parse("Reading:Taken").unwrap(),
        resource: format!("hall/{number}"),
        time: Timestamp::from_millis(number as i64),
        id: IdentityHasher::new("test")
            .part(&number.to_string())
            .finish(),
        body: Body::Plain(body),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_events_come_out_in_order_from_messages_within_the_limit(sizes in prop::collection::vec(0usize..30_000, 0..40)) {
        let events: Vec<Event> =
            sizes.iter().enumerate().map(|(number, size)| event(number, "\"é".repeat(size / 4))).collect();
        let mut packer = Packer::new();
        let carriers: Vec<usize> = events.iter().map(|event| packer.push(event).unwrap()).collect();
        let messages = packer.finish();

        let mut out = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            prop_assert!(message.len() <= MAX_MESSAGE);
            let opened = open_events(message).unwrap();
            let said = carriers.iter().filter(|&&carrier| carrier == index).count();
            prop_assert_eq!(opened.len(), said, "push tells which message carries the event");
            out.extend(opened);
        }
        prop_assert_eq!(out, events);
        // As few messages as order allows: no two neighbours would have fitted into one.
        for pair in messages.windows(2) {
            prop_assert!(pair[0].len() + pair[1].len() > MAX_MESSAGE / 2);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,200}") {
        let _ = open_events(&text);
        let _ = open_deliveries(&text);
    }
}

#[test]
fn an_event_of_exactly_the_limit_fits_and_one_byte_more_does_not() {
    let mut packer = Packer::new();
    packer.push(&event(1, String::new())).unwrap();
    let room = MAX_MESSAGE - packer.finish()[0].len();

    let mut packer = Packer::new();
    packer.push(&event(1, "x".repeat(room))).unwrap();
    let error = packer.push(&event(1, "x".repeat(room + 1))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event Reading:Taken on \"hall/1\" takes 65537 bytes as a queue message, the limit is 65536: publish less in one event"
    );
    let messages = packer.finish();
    assert_eq!(
        messages.len(),
        1,
        "what was packed before the refusal stays packed"
    );
    assert_eq!(messages[0].len(), MAX_MESSAGE);
}

#[test]
fn unknown_members_are_passed_over_and_an_unknown_version_is_refused() {
    let known = r#"{"v":1,"items":[],"future":{"a":1}}"#;
    assert_eq!(open_events(known).unwrap(), []);
    let newer = r#"{"v":2,"items":"of another shape"}"#;
    assert_eq!(open_events(newer).unwrap_err(), Unreadable::Version(2));
    for broken in [
        "",
        "[]",
        "{}",
        r#"{"v":"1","items":[]}"#,
        r#"{"v":1}"#,
        r#"{"v":1,"items":[{}]}"#,
    ] {
        assert!(
            matches!(open_events(broken), Err(Unreadable::Shape(_))),
            "{broken}"
        );
    }
}

#[test]
fn a_pack_for_one_rule_says_so_and_keeps_the_limit() {
    let rule = RuleName::parse("films").unwrap();
    let mut packer = Packer::only(&rule);
    let events: Vec<Event> = (0..5).map(|n| event(n, "x".repeat(30_000))).collect();
    for event in &events {
        packer.push(event).unwrap();
    }
    let mut out = Vec::new();
    for message in packer.finish() {
        assert!(message.len() <= MAX_MESSAGE);
        // Who does not know the restriction reads the events all the same.
        assert_eq!(
            open_events(&message).unwrap(),
            open_pack(&message).unwrap().events
        );
        let pack = open_pack(&message).unwrap();
        assert_eq!(pack.only.as_ref(), Some(&rule));
        out.extend(pack.events);
    }
    assert_eq!(out, events);

    let mut packer = Packer::new();
    packer.push(&events[0]).unwrap();
    assert_eq!(open_pack(&packer.finish()[0]).unwrap().only, None);
    assert!(matches!(
        open_pack(r#"{"v":1,"only":5,"items":[]}"#),
        Err(Unreadable::Shape(_))
    ));
}

#[test]
fn a_message_laid_out_anew_reads_the_same() {
    // Somebody keeps a message as a sample, and an editor lays it out: places in the text move.
    let raw =
        r#"{"eventName":"A:B","oss":{"bucket":{"name":"b"},"object":{"key":"k"}},"region":"r"}"#;
    let raw = serde_json::value::RawValue::from_string(raw.to_owned()).unwrap();
    let oss = Event {
        body: Body::Oss(carillon_core::event::OssBody::from_raw(&raw).unwrap()),
        ..event(1, String::new())
    };
    let mut packer = Packer::new();
    packer.push(&oss).unwrap();
    let message = packer.finish().remove(0);
    let value: serde_json::Value = serde_json::from_str(&message).unwrap();
    for text in [
        format!("{value:#}"),
        value.to_string().replace(r#""at":68,"len":83,"#, ""),
    ] {
        assert_ne!(text, message);
        let again = &open_events(&text).unwrap()[0];
        let published = |event: &Event| {
            use base64::Engine as _;
            let text =
                base64::engine::general_purpose::STANDARD.decode(event.body.publish("films"));
            serde_json::from_slice::<serde_json::Value>(&text.unwrap()).unwrap()
        };
        assert_eq!(published(again), published(&oss));
        assert_eq!(published(again)["events"][0]["oss"]["ruleId"], "films");
    }
}
