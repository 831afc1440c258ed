// The readers that take what strangers write, one function each: shared by the libFuzzer targets beside this file and by
// the seconds of mutation that every test run has (`tests/simulation/readers.rs`). A target may do anything but panic.

use carillon_core::envelope::{open_deliveries, open_events};
use carillon_core::event::Timestamp;
use carillon_core::push::guard::{AddressGuard, PushUrl};
use carillon_core::push::{date, retry_after};
use carillon_core::rule::{EventTypePattern, Limits, RuleFile};

/// A target: its name, and what it does with bytes.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    ("decoders", decoders),
    ("envelopes", envelopes),
    ("rule_file", rule_file),
    ("url_guard", url_guard),
    ("retry_after", wishes),
    ("names_and_times", names_and_times),
];

/// Bodies of every source; what is decoded must publish and pack.
pub(crate) fn decoders(data: &[u8]) {
    let hint = carillon_ingest::Hint::default();
    let settings = carillon_ingest::Settings::default();
    if let Ok(decoded) = carillon_ingest::decode(data, &hint, &settings) {
        for event in &decoded.events {
            let published = event.body.publish("rule");
            assert!(
                published.len() <= event.body.published_len("rule".len()),
                "an upper bound bounds"
            );
            let mut packer = carillon_core::envelope::Packer::new();
            if packer.push(event).is_ok() {
                let messages = packer.finish();
                let again = open_events(&messages[0]).expect("what was packed can be opened");
                assert_eq!(&again[0], event, "an event survives its envelope");
            }
        }
    }
}

/// Queue messages between stages.
pub(crate) fn envelopes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = open_events(&text);
    let _ = open_deliveries(&text);
}

/// Rule files.
pub(crate) fn rule_file(data: &[u8]) {
    let _ = RuleFile::read(data, &Limits::default());
}

/// URLs of endpoints; what the guard lets pass has a host that is no address of this machine.
pub(crate) fn url_guard(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = PushUrl::parse(&text) {
        let again = PushUrl::parse(&url.to_string()).expect("what was read can be read again");
        assert_eq!(again, url, "a URL means one thing");
        if AddressGuard::default().check_url(&url).is_ok() {
            let host = url.host().to_string();
            assert!(
                !host.starts_with("127.") && host != "localhost" && host != "[::1]",
                "{host} passed"
            );
        }
    }
}

/// `Retry-After` and `Date`.
pub(crate) fn wishes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (value, date) = text.split_once('\n').unwrap_or((&text, ""));
    let now = Timestamp::from_millis(1_790_000_000_000);
    if let Some(wish) = retry_after::parse(value, Some(date), now) {
        assert!(wish <= retry_after::LONGEST, "a wish is held within bounds");
    }
    let _ = date::parse_http_date(value);
}

/// Event types and times.
pub(crate) fn names_and_times(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(pattern) = EventTypePattern::parse(&text) {
        let again =
            EventTypePattern::parse(&pattern.to_string()).expect("what was read can be read again");
        assert_eq!(again, pattern, "a pattern means one thing");
    }
    if let Ok(time) = Timestamp::parse(&text) {
        let _ = time.to_iso();
    }
}
