//! An event is written into a message by hand: the text must be what its `Serialize` writes, and be read again.
#![allow(clippy::unwrap_used)]

mod common;

use carillon_core::envelope::{Packer, open_events};
use carillon_ingest::{Hint, Settings, decode};

#[test]
fn a_message_holds_events_as_they_are_serialised() {
    let mut events = 0;
    for (name, body) in common::bodies() {
        let Ok(decoded) = decode(&body, &Hint::default(), &Settings::default()) else {
            continue;
        };
        for event in decoded.events {
            events += 1;
            let mut packer = Packer::new();
            packer.push(&event).unwrap();
            let messages = packer.finish();
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(
                messages,
                [format!(r#"{{"v":1,"items":[{json}]}}"#)],
                "{name}"
            );
            assert_eq!(open_events(&messages[0]).unwrap(), [event], "{name}");
        }
    }
    assert!(events > 100, "{events}");
}
