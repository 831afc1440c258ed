// The readers that take what strangers write, one function each: shared by the libFuzzer targets beside this file and by
// the seconds of mutation that every test run has (`tests/simulation/readers.rs`). A target may do anything but panic.

pub(crate) mod service;

pub use service::{management, queue_xml, signatures};

use carillon_core::envelope::{Packer, open_deliveries, open_events, open_pack};
use carillon_core::event::mail::MailResult;
use carillon_core::event::{Timestamp, parse_span};
use carillon_core::push::guard::{AddressGuard, Cidr, Host, PushUrl};
use carillon_core::push::{date, retry_after};
use carillon_core::rule::{EventTypePattern, Limits, Rule, RuleFile, RuleName};
use carillon_core::ruleset::{Hits, RuleSet};
use carillon_core::topic::{QueueName, TopicName};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A target: its name, what it does with bytes, and how many rounds a test run gives it; those that call a whole service
/// take longer.
pub type Target = (&'static str, fn(&[u8]), usize);

/// All of them.
pub const TARGETS: &[Target] = &[
    ("decoders", decoders, 20_000),
    ("envelopes", envelopes, 20_000),
    ("rule_file", rule_file, 20_000),
    ("url_guard", url_guard, 20_000),
    ("retry_after", wishes, 20_000),
    ("names_and_times", names_and_times, 20_000),
    ("management", management, 3_000),
    ("queue_xml", queue_xml, 3_000),
    ("signatures", signatures, 3_000),
];

/// Bodies of every source, by default settings and with every choice taken; what is decoded must publish and pack.
pub fn decoders(data: &[u8]) {
    thread_local! {
        static EVERY_CHOICE: [carillon_ingest::Settings; 2] = [
            carillon_ingest::Settings::default(),
            carillon_ingest::Settings {
                delta_size: carillon_ingest::DeltaSize::Index,
                mark_stale: true,
                x_vars_from_metadata: true,
                x_vars_from_head_object: true,
                invented: carillon_ingest::Invented::Emit,
                cloudtrail: carillon_ingest::CloudTrailScope::All,
                keyless_delete_objects: true,
                tiering_is_storage_class: true,
                ..carillon_ingest::Settings::default()
            },
        ];
    }
    let hint = carillon_ingest::Hint::default();
    EVERY_CHOICE.with(|all| {
        for settings in all {
            decode(data, &hint, settings);
        }
    });
}

fn decode(data: &[u8], hint: &carillon_ingest::Hint, settings: &carillon_ingest::Settings) {
    let Ok(decoded) = carillon_ingest::decode(data, hint, settings) else {
        return;
    };
    for event in &decoded.events {
        let published = event.body.publish("rule");
        assert!(
            published.len() <= event.body.published_len("rule".len()),
            "an upper bound bounds"
        );
        let mut packer = Packer::new();
        if packer.push(event).is_ok() {
            let messages = packer.finish();
            let again = open_events(&messages[0]).expect("what was packed can be opened");
            assert_eq!(&again[0], event, "an event survives its envelope");
        }
    }
}

/// Queue messages between stages; what can be read can be sent on as it was.
pub fn envelopes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(pack) = open_pack(&text) {
        let mut packer = pack.only.as_ref().map_or_else(Packer::new, Packer::only);
        let all = pack.events.iter().all(|event| packer.push(event).is_ok());
        if let (true, [message]) = (all, packer.finish().as_slice()) {
            let again = open_pack(message).expect("what was packed can be opened");
            assert_eq!(again, pack, "a pack survives its envelope");
        }
    }
    if let Ok(deliveries) = open_deliveries(&text) {
        let mut packer = Packer::new();
        let all = deliveries
            .iter()
            .all(|delivery| packer.push(delivery).is_ok());
        if let (true, [message]) = (all, packer.finish().as_slice()) {
            let again = open_deliveries(message).expect("what was packed can be opened");
            assert_eq!(again, deliveries, "deliveries survive their envelope");
        }
    }
}

/// Rule files: what is sound can be stored, and covers, by the index and by explain, exactly what it covers line by line.
pub fn rule_file(data: &[u8]) {
    let Ok(file) = RuleFile::read(data, &Limits::default()) else {
        return;
    };
    let mut by_product: BTreeMap<String, Vec<Arc<Rule>>> = BTreeMap::new();
    for rule in file.rules {
        // A rule that the table cannot give back would close the table.
        let stored = serde_json::to_string(&rule).expect("a rule can be written");
        let again: Rule = serde_json::from_str(&stored).expect("a stored rule can be read");
        assert_eq!(again, rule, "a rule survives its table");
        let product = rule.product.to_string();
        by_product.entry(product).or_default().push(rule.into());
    }
    for rules in by_product.into_values() {
        let set = RuleSet::build(rules);
        let mut hits = Hits::new();
        for (event_type, resource) in [
            ("ObjectCreated:PutObject", "a/x.b"),
            ("ObjectRemoved:DeleteObject", "b"),
            ("A:B", ""),
        ] {
            let naive: Vec<&str> = set
                .rules()
                .iter()
                .filter(|rule| {
                    rule.enabled && !rule.is_default() && rule.covers(event_type, resource)
                })
                .map(|rule| rule.name.as_str())
                .collect();
            set.covering(event_type, resource, &mut hits);
            let fast: Vec<&str> = hits
                .iter()
                .map(|&at| set.rules()[at as usize].name.as_str())
                .collect();
            assert_eq!(fast, naive, "{event_type} on {resource:?}");
            let explained = set.explain(event_type, resource, 8);
            let explained: Vec<&str> = explained.covered_by.iter().map(RuleName::as_str).collect();
            assert_eq!(explained, naive, "{event_type} on {resource:?}, explained");
        }
    }
}

/// URLs of endpoints; what the guard lets pass has a host that is no address of this machine.
pub fn url_guard(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = PushUrl::parse(&text) {
        let again = PushUrl::parse(&url.to_string()).expect("what was read can be read again");
        assert_eq!(again, url, "a URL means one thing");
        if AddressGuard::default().check_url(&url).is_ok() {
            assert!(!inward(url.host()), "{} passed", url.host());
        }
    }
}

/// Whether a host leads to this machine or its network, as the plainest reading has it.
fn inward(host: &Host) -> bool {
    let four = |address: Ipv4Addr| {
        address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_unspecified()
            || address.is_multicast()
            || address.is_broadcast()
    };
    match host {
        Host::V4(address) => four(*address),
        Host::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(four)
        }
        Host::Name(name) => {
            let name = name.trim_end_matches('.');
            let last = name.rsplit('.').next().unwrap_or_default();
            last == "localhost" || last.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

/// `Retry-After` and `Date`.
pub fn wishes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (value, date) = text.split_once('\n').unwrap_or((&text, ""));
    let now = Timestamp::from_millis(1_790_000_000_000);
    if let Some(wish) = retry_after::parse(value, Some(date), now) {
        assert!(wish <= retry_after::LONGEST, "a wish is held within bounds");
    }
    let _ = date::parse_http_date(value);
}

/// Event types, names, times, spans and ranges of addresses: what is read says what it was read from.
pub fn names_and_times(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(pattern) = EventTypePattern::parse(&text) {
        let again =
            EventTypePattern::parse(&pattern.to_string()).expect("what was read can be read again");
        assert_eq!(again, pattern, "a pattern means one thing");
    }
    if let Ok(time) = Timestamp::parse(&text) {
        let again = Timestamp::parse(&time.to_iso());
        assert_eq!(again, Ok(time), "a time that was written can be read");
    }
    if let Ok(name) = RuleName::parse(&text) {
        assert_eq!(name.as_str(), text, "a name is what it was");
    }
    if let Ok(name) = TopicName::parse(&text) {
        assert_eq!(name.as_str(), text, "a name is what it was");
    }
    if let Ok(name) = QueueName::parse(&text) {
        assert_eq!(name.as_str(), text, "a name is what it was");
    }
    if let Ok(range) = text.parse::<Cidr>() {
        let _ = range.contains(Ipv4Addr::LOCALHOST.into());
    }
    let _ = parse_span(&text);
    let mail = MailResult::parse(&text);
    let again = MailResult::parse(&mail.to_text());
    assert_eq!(again.env_id, mail.env_id, "a mail result is read as it was");
}
