//! Names as they come in by every door: what is taken, what is refused, and how a refusal reads.

#![allow(clippy::unwrap_used, reason = "a test")]

use carillon_core::event::{EventId, EventType, IdentityHasher, MessageId, Product, canonical};
use carillon_core::ports::{KeyState, SigningKeyKind, Stage};
use carillon_core::rule::{DEFAULT_RULE, Endpoint, EndpointKind, MAX_URL, RuleName};
use carillon_core::topic::{
    ContentFormat, NotifyStrategy, QueueName, SnsTopic, SubscriptionName, TopicName,
};
use std::fmt::Debug;

/// A reader of names takes letters, digits and hyphens, first a letter, up to its longest.
fn plain_name<T: Debug>(
    max: usize,
    parse: impl Fn(&str) -> Option<T>,
    text: impl Fn(&T) -> String,
) {
    for good in ["a", "Z", "a-", "a1-b2", &"x".repeat(max)] {
        assert_eq!(parse(good).map(|name| text(&name)).as_deref(), Some(good));
    }
    for bad in [
        "",
        "1a",
        "-a",
        "a_b",
        "a.b",
        "a b",
        "é",
        "aé",
        &"x".repeat(max + 1),
    ] {
        assert!(parse(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn plain_names() {
    plain_name(
        255,
        |text| TopicName::parse(text).ok(),
        |name| name.to_string(),
    );
    plain_name(
        255,
        |text| TopicName::parse(text).ok(),
        |name| name.as_str().to_owned(),
    );
    plain_name(
        255,
        |text| SubscriptionName::parse(text).ok(),
        |name| name.to_string(),
    );
    plain_name(
        120,
        |text| QueueName::parse(text).ok(),
        |name| name.to_string(),
    );
    plain_name(
        85,
        |text| RuleName::parse(text).ok(),
        |name| name.to_string(),
    );
    plain_name(
        64,
        |text| Product::parse(text).ok(),
        |name| name.to_string(),
    );
}

#[test]
fn the_default_rule_s_name_is_one_name() {
    assert!(RuleName::parse(DEFAULT_RULE).unwrap().is_default());
    assert!(!RuleName::parse("DefaultEnRule2").unwrap().is_default());
}

#[test]
fn products_of_the_seeds_have_their_own_names() {
    for (name, product, resources) in [
        ("oss", Product::Oss, true),
        ("dm", Product::Mail, false),
        ("viapi", Product::Vision, false),
        ("sensors", Product::Own("sensors".into()), true),
    ] {
        assert_eq!(Product::parse(name).unwrap(), product);
        assert_eq!(product.as_str(), name);
        assert_eq!(product.has_resources(), resources, "{name}");
        let json = format!("\"{name}\"");
        assert_eq!(serde_json::to_string(&product).unwrap(), json);
        assert_eq!(serde_json::from_str::<Product>(&json).unwrap(), product);
    }
    let error = serde_json::from_str::<Product>("\"a b\"").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("product name \"a b\" cannot be used"),
        "{error}"
    );
}

#[test]
fn event_types_in_every_spelling_of_the_seeds() {
    for (text, want) in [
        ("ObjectCreated:PutObject", "ObjectCreated:PutObject"),
        ("  ObjectCreated:PutObject\n", "ObjectCreated:PutObject"),
        ("oss:ObjectCreated:PutObject", "ObjectCreated:PutObject"),
        ("* oss:ObjectCreated:PutObject", "ObjectCreated:PutObject"),
        ("ObjectCreate:PutObject", "ObjectCreated:PutObject"),
        ("oss:ObjectDownload:GetObject", "ObjectDownloaded:GetObject"),
        ("ObjectRemove:DeleteObject", "ObjectRemoved:DeleteObject"),
        ("ObjectRemove>DeleteObject", "ObjectRemoved:DeleteObject"),
        ("SuperResolveVideo", "SuperResolveVideo"),
        ("A:b:c", "A:b:c"),
    ] {
        let read = EventType::parse(text).unwrap();
        assert_eq!(read.as_str(), want, "{text:?}");
        assert_eq!(read.to_string(), want);
        assert_eq!(canonical(text), want);
        let json = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<EventType>(&json).unwrap(), read);
    }
    let longest = format!("A:{}", "x".repeat(EventType::MAX_LEN - 2));
    assert_eq!(EventType::parse(&longest).unwrap().as_str(), longest);
    for bad in [
        "",
        "  ",
        "oss:",
        ":PutObject",
        "ObjectCreated:",
        "ObjectCreated:*",
        "*",
        "a b",
        "a\u{a0}b",
        "a\u{1}b",
        &format!("{longest}x"),
    ] {
        let error = EventType::parse(bad).unwrap_err();
        assert_eq!((error.what, error.value.as_str()), ("event type", bad));
    }
    assert!(serde_json::from_str::<EventType>("\"a b\"").is_err());
    assert_eq!(EventType::parse("A:b:c").unwrap().group(), Some("A"));
    assert_eq!(EventType::parse("SuperResolveVideo").unwrap().group(), None);
}

#[test]
fn queue_endpoints_in_mns_s_forms() {
    for text in [
        "resize",
        "acs:mns:cn-hangzhou:1:queues/resize",
        "acs:mns:cn-hangzhou:1:/queues/resize",
    ] {
        assert_eq!(QueueName::from_endpoint(text).unwrap().as_str(), "resize");
    }
    for text in [
        "",
        "acs:mns:cn-hangzhou:1:topics/resize",
        "acs:mns:r:1:queues/",
        "queues/resize",
    ] {
        assert!(QueueName::from_endpoint(text).is_err(), "{text}");
    }
}

#[test]
fn topics_of_sns() {
    let named = |name: &str| format!("arn:aws:sns:us-east-1:123456789012:{name}");
    let longest = named(&"n".repeat(256));
    for good in [
        named("alerts"),
        named("a_B-9"),
        named("x"),
        longest.clone(),
        "arn:aws-us-gov:sns:us-gov-west-1:123456789012:a".to_owned(),
    ] {
        let topic = SnsTopic::parse(&good).unwrap();
        assert_eq!(
            (topic.as_str(), topic.to_string()),
            (good.as_str(), good.clone())
        );
        assert!(SnsTopic::is_meant_by(&good));
        let json = serde_json::to_string(&topic).unwrap();
        assert_eq!(serde_json::from_str::<SnsTopic>(&json).unwrap(), topic);
    }
    for bad in [
        format!("{longest}n"),
        named("a.b"),
        named("é"),
        named(""),
        "arn:AWS:sns:us-east-1:123456789012:a".to_owned(),
        "arn:gcp:sns:us-east-1:123456789012:a".to_owned(),
        "arn:aws_cn:sns:us-east-1:123456789012:a".to_owned(),
        "arn:aws:sns:us east-1:123456789012:a".to_owned(),
        "arn:aws:sns:US-EAST-1:123456789012:a".to_owned(),
        "arn:aws:sns:us-east-1:1234567890123:a".to_owned(),
        "arn:aws:sns:us-east-1:12345678901a:a".to_owned(),
    ] {
        assert!(SnsTopic::parse(&bad).is_err(), "{bad}");
        assert!(serde_json::from_str::<SnsTopic>(&format!("{bad:?}")).is_err());
    }
    assert!(!SnsTopic::is_meant_by("alerts"));
}

#[test]
fn kinds_of_endpoints() {
    for (text, kind) in [
        ("http", EndpointKind::Http),
        ("queue", EndpointKind::Queue),
        ("topic", EndpointKind::Topic),
    ] {
        assert_eq!(EndpointKind::parse(text), Some(kind));
        assert_eq!(EndpointKind::parse(&text.to_uppercase()), Some(kind));
        assert_eq!((kind.as_str(), kind.to_string().as_str()), (text, text));
    }
    assert_eq!(EndpointKind::parse("email"), None);
}

#[test]
fn whose_topic_an_endpoint_names() {
    let arn = "arn:aws:sns:us-east-1:123456789012:alerts";
    let endpoint = |kind, value: &str| Endpoint::parse(kind, value).unwrap();
    let sns = endpoint(EndpointKind::Topic, arn);
    assert_eq!(sns.sns(), Some(SnsTopic::parse(arn).unwrap()));
    assert!(!sns.is_own_topic());
    let own = endpoint(EndpointKind::Topic, "alerts");
    assert_eq!(own.sns(), None);
    assert!(own.is_own_topic());
    let queue = endpoint(EndpointKind::Queue, "alerts");
    assert_eq!(queue.sns(), None);
    assert!(!queue.is_own_topic());
    // Nothing but its kind tells what a value means.
    let odd = Endpoint {
        kind: EndpointKind::Queue,
        value: arn.to_owned(),
    };
    assert_eq!(odd.sns(), None);
}

#[test]
fn urls_of_endpoints_at_the_edges_of_what_is_taken() {
    let of_bytes = |len: usize| {
        let head = "http://example.com/";
        format!("{head}{}", "a".repeat(len - head.len()))
    };
    let label = "l".repeat(63);
    let host = |len: usize| [label.as_str(); 4].join(".")[..len].to_owned();
    for good in [
        of_bytes(MAX_URL),
        format!("http://{label}.example/"),
        format!("http://{}/", host(253)),
        "http://example.com:1/".to_owned(),
        "http://example.com:65535/".to_owned(),
        "http://example.com?q".to_owned(),
        "http://example.com/?a@b".to_owned(),
        "http://[::1]/".to_owned(),
        "http://[::1]:8080/".to_owned(),
    ] {
        let read = Endpoint::parse(EndpointKind::Http, &good);
        assert_eq!(read.map(|endpoint| endpoint.value), Ok(good));
    }
    for (bad, why) in [
        ("example.com/a", "does not begin http:// or https://"),
        (
            "ftp://example.com/",
            "the scheme \"ftp\" cannot be pushed to",
        ),
        (&*of_bytes(MAX_URL + 1), "2049 bytes long"),
        (
            "http://example.com/a\tb",
            "white space or control characters",
        ),
        (
            "http://example.com/a\u{7f}",
            "white space or control characters",
        ),
        ("http://example.com/<a>", "a character that no URL may"),
        ("http://example.com/#a", "a fragment"),
        ("http://a@example.com/", "a user name"),
        ("http://[::1", "not closed"),
        ("http://[1.2.3.4]/", "not an IPv6 address"),
        ("http://[::1]a/", "neither port nor path"),
        ("http://[::1]:/", "the port \"\""),
        ("http:///a", "names no host"),
        ("http://a..b/", "not a host name"),
        ("http://a!b/", "not a host name"),
        (&*format!("http://{label}l.example/"), "not a host name"),
        (&*format!("http://{}/", host(254)), "not a host name"),
        ("http://example.com:/", "the port \"\""),
        ("http://example.com:0/", "the port \"0\""),
        ("http://example.com:65536/", "the port \"65536\""),
        ("http://example.com:8o/", "the port \"8o\""),
        ("http://example.com/mns-reserverd-a", "mns-reserverd-"),
    ] {
        let error = Endpoint::parse(EndpointKind::Http, bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn identities_are_derived_and_read_back() {
    // SHA-256 of the length-prefixed parts "oss" and "a", by another tool.
    let id = IdentityHasher::new("oss").part("a").finish();
    assert_eq!(id.to_string(), "BD6879D94200E9D1EF4CDC9634E2AB04");
    let message = id.message_id("t");
    assert_eq!(message.to_string(), "7C8C1233FCC33DEDDDB8E39422085334");
    assert_eq!(id.as_bytes()[..2], [0xBD, 0x68]);
    assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
    assert_eq!(
        message
            .to_string()
            .to_lowercase()
            .parse::<MessageId>()
            .unwrap(),
        message
    );
    assert_ne!(id.message_id("u"), message);
    let parts = |parts: &[&str]| {
        let hasher = IdentityHasher::new("oss");
        parts
            .iter()
            .fold(hasher, |hasher, part| hasher.part(part))
            .finish()
    };
    assert_ne!(parts(&["a", "bc"]), parts(&["ab", "c"]));
    assert_ne!(parts(&["a"]), parts(&["a", ""]));
    assert_ne!(parts(&[]), IdentityHasher::new("dm").finish());
    let digits = "0123456789abcdef0123456789ABCDEF";
    assert_eq!(
        digits.parse::<MessageId>().unwrap(),
        MessageId::from_bits(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF)
    );
    for bad in [
        "",
        &digits[1..],
        &format!("{digits}0"),
        "+123456789abcdef0123456789ABCDEF",
        "g123456789abcdef0123456789ABCDEF",
    ] {
        assert!(bad.parse::<EventId>().is_err(), "{bad}");
        let error = bad.parse::<MessageId>().unwrap_err().to_string();
        assert!(error.contains("give 32 hex digits"), "{error}");
    }
    let json = serde_json::to_string(&message).unwrap();
    assert_eq!(json, format!("\"{message}\""));
    assert_eq!(serde_json::from_str::<MessageId>(&json).unwrap(), message);
    assert!(serde_json::from_str::<MessageId>("\"x\"").is_err());
}

#[test]
fn words_on_the_wire() {
    for (format, text) in [
        (ContentFormat::Xml, "XML"),
        (ContentFormat::Json, "JSON"),
        (ContentFormat::Simplified, "SIMPLIFIED"),
    ] {
        assert_eq!(format.as_str(), text);
        assert_eq!(
            serde_json::to_string(&format).unwrap(),
            format!("\"{text}\"")
        );
    }
    for (strategy, text) in [
        (NotifyStrategy::BackoffRetry, "BACKOFF_RETRY"),
        (
            NotifyStrategy::ExponentialDecayRetry,
            "EXPONENTIAL_DECAY_RETRY",
        ),
    ] {
        assert_eq!(strategy.as_str(), text);
        assert_eq!(
            serde_json::to_string(&strategy).unwrap(),
            format!("\"{text}\"")
        );
    }
    for (stage, text) in [
        (Stage::Ingest, "ingest"),
        (Stage::Match, "match"),
        (Stage::Deliver, "deliver"),
    ] {
        assert_eq!((stage.as_str(), stage.to_string().as_str()), (text, text));
    }
    for (kind, text) in [
        (SigningKeyKind::Mns, "mns"),
        (SigningKeyKind::Webhooks, "webhooks"),
    ] {
        assert_eq!(kind.as_str(), text);
        assert_eq!(SigningKeyKind::parse(text), Some(kind));
    }
    assert_eq!(SigningKeyKind::parse("MNS"), None);
    for (state, text) in [
        (KeyState::Announced, "announced"),
        (KeyState::Signing, "signing"),
        (KeyState::Overlapping, "overlapping"),
    ] {
        assert_eq!(state.as_str(), text);
    }
}
