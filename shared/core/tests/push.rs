//! Bodies and headers of pushes, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use carillon_core::delivery::Notification;
use carillon_core::event::{EventType, MessageId, Product, Timestamp};
use carillon_core::push::headers::{self, Md5Style, compose, request_id};
use carillon_core::push::{Push, body};
use carillon_core::rule::RuleName;
use carillon_core::topic::{ContentFormat, Subscription, SubscriptionName, Target, TopicName};
use proptest::prelude::*;

fn notification(body: &str, tag: Option<&str>) -> Notification {
    Notification {
        message_id: MessageId::from_bits(0xAC10_020B_0019_681A_9515_9E59_1D10_0001),
        product: Product::Oss,
        rule: RuleName::parse("thumbnails").unwrap(),
        event_type: EventType::parse("ObjectCreated:PutObject").unwrap(),
        resource: "photos/cat.jpg".into(),
        body: body.into(),
        published: Timestamp::from_millis(1_730_368_640_272),
        tag: tag.map(str::to_owned),
    }
}

fn subscription(format: ContentFormat) -> Subscription {
    let mut held = Subscription::new(
        TopicName::parse("HTTP-test").unwrap(),
        SubscriptionName::parse("sub-test-header").unwrap(),
        Target::Http("https://example.com/api/test".into()),
        Timestamp::default(),
    );
    held.format = format;
    held
}

fn rendered(format: ContentFormat, text: &str, tag: Option<&str>) -> String {
    let (notification, subscription) = (notification(text, tag), subscription(format));
    body::render(&Push {
        notification: &notification,
        subscription: &subscription,
        account: "123456789098",
    })
}

#[test]
fn the_xml_form() {
    // The control character has no form in XML; the digest is of what a parser gives back.
    let digest = body::message_md5("a<b> & \"c\"\r\n花\u{fffd}");
    let want = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Notification xmlns=\"http://mns.aliyuncs.com/doc/v1/\">\
<TopicOwner>123456789098</TopicOwner><TopicName>HTTP-test</TopicName><Subscriber>123456789098</Subscriber>\
<SubscriptionName>sub-test-header</SubscriptionName><MessageId>AC10020B0019681A95159E591D100001</MessageId>\
<Message>a&lt;b&gt; &amp; &quot;c&quot;&#13;\n花\u{fffd}</Message><MessageMD5>{digest}</MessageMD5>\
<MessageTag>&lt;urgent&gt;</MessageTag><PublishTime>1730368640272</PublishTime></Notification>"
    );
    assert_eq!(
        rendered(
            ContentFormat::Xml,
            "a<b> & \"c\"\r\n花\u{1}",
            Some("<urgent>")
        ),
        want
    );
}

#[test]
fn the_json_form() {
    // MD5 of "hello" is on record everywhere.
    assert_eq!(
        rendered(ContentFormat::Json, "hello", None),
        r#"{"TopicOwner":"123456789098","TopicName":"HTTP-test","Subscriber":"123456789098","SubscriptionName":"sub-test-header","MessageId":"AC10020B0019681A95159E591D100001","Message":"hello","MessageMD5":"5D41402ABC4B2A76B9719D911017C592","PublishTime":"1730368640272"}"#
    );
    let tagged = rendered(ContentFormat::Json, "{\"a\":1}", Some("urgent"));
    assert!(
        tagged.contains(r#""Message":"{\"a\":1}""#) && tagged.contains(r#""MessageTag":"urgent""#)
    );
}

#[test]
fn the_simplified_form_is_the_message() {
    for text in ["eyJldmVudHMiOltdfQ==", "k=v&k=v", "", "\0\r\n花"] {
        assert_eq!(rendered(ContentFormat::Simplified, text, Some("t")), text);
    }
}

#[test]
fn the_two_styles_of_content_md5() {
    assert_eq!(
        Md5Style::HexUpper.write(b"hello"),
        "5D41402ABC4B2A76B9719D911017C592"
    );
    let base64 = Md5Style::Base64OfHex.write(b"hello");
    assert_eq!(base64.len(), 44);
    let hex = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap();
    assert_eq!(hex, b"5d41402abc4b2a76b9719d911017c592");
    assert_eq!(Md5Style::of(ContentFormat::Xml), Md5Style::Base64OfHex);
    assert_eq!(Md5Style::of(ContentFormat::Json), Md5Style::HexUpper);
}

#[test]
fn simplified_headers_are_those_of_the_vendors_capture() {
    let (notification, subscription) = (
        notification("hello", Some(" a\r\nb ")),
        subscription(ContentFormat::Simplified),
    );
    let push = Push {
        notification: &notification,
        subscription: &subscription,
        account: "123456789098",
    };
    let now = Timestamp::parse("2024-10-31T09:57:20Z").unwrap();
    let composed = compose(
        &push,
        "MD5".into(),
        now,
        request_id([0x6723_5480_3035_3019, 0xABCD]),
    );
    let want = [
        ("user-agent", "Aliyun Notification Service Agent"),
        ("accept", "*/*"),
        ("content-type", "text/plain;charset=utf-8"),
        ("content-md5", "MD5"),
        ("date", "Thu, 31 Oct 2024 09:57:20 GMT"),
        ("x-mns-request-id", "67235480303530190000ABCD"),
        ("x-mns-version", "2015-06-06"),
        ("x-mns-message-id", "AC10020B0019681A95159E591D100001"),
        ("x-mns-message-tag", "a  b"),
        ("x-mns-publish-time", "1730368640272"),
        ("x-mns-subscriber", "123456789098"),
        ("x-mns-subscription-name", "sub-test-header"),
        ("x-mns-topic-name", "HTTP-test"),
        ("x-mns-topic-owner", "123456789098"),
    ];
    let composed: Vec<(&str, &str)> = composed
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(composed, want);
}

#[test]
fn xml_and_json_pushes_carry_the_message_s_data_in_the_body_alone() {
    for (format, content_type) in [
        (ContentFormat::Xml, "text/xml;charset=utf-8"),
        (ContentFormat::Json, "application/json;charset=utf-8"),
    ] {
        let (notification, subscription) = (notification("hello", Some("t")), subscription(format));
        let push = Push {
            notification: &notification,
            subscription: &subscription,
            account: "1",
        };
        let composed = compose(
            &push,
            "MD5".into(),
            Timestamp::default(),
            request_id([0, 0]),
        );
        let names: Vec<&str> = composed
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| name.starts_with("x-mns-"))
            .collect();
        assert_eq!(names, ["x-mns-request-id", "x-mns-version"]);
        assert!(composed.contains(&("content-type", content_type.to_owned())));
        assert_eq!(headers::content_type(format), content_type);
    }
}

/// Undoes the five named escapes and the one reference that bodies use.
fn unescape(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#13;", "\r"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

proptest! {
    /// Whatever the message: XML holds it between its element's tags, and JSON gives it back.
    #[test]
    fn no_message_breaks_its_envelope(text in "[ -~\r\n\t花&<>\"']{0,60}") {
        let xml = rendered(ContentFormat::Xml, &text, None);
        let (_, rest) = xml.split_once("<Message>").unwrap();
        let (inner, _) = rest.split_once("</Message>").unwrap();
        prop_assert!(!inner.contains(['<', '>', '\r']));
        prop_assert_eq!(unescape(inner), text.clone());
        let json: serde_json::Value = serde_json::from_str(&rendered(ContentFormat::Json, &text, None)).unwrap();
        prop_assert_eq!(json["Message"].as_str(), Some(text.as_str()));
        prop_assert_eq!(json["MessageMD5"].as_str().unwrap(), body::message_md5(&text));
    }
}
