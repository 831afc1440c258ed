//! Bodies of pushes, one per `NotifyContentFormat` (HELP: NotifyContentFormat). A queue message's body is exactly the
//! HTTP body of the same format.

use super::Push;
use super::headers::hex_upper;
use crate::topic::ContentFormat;
use md5::{Digest as _, Md5};
use serde::Serialize;

/// Namespace of the XML form (HELP: NotifyContentFormat).
pub const XML_NAMESPACE: &str = "http://mns.aliyuncs.com/doc/v1/";

/// The body of a push, in the subscription's format.
#[must_use]
pub fn render(push: &Push<'_>) -> String {
    match push.subscription.format {
        ContentFormat::Simplified => push.notification.body.clone(),
        ContentFormat::Xml => xml(push),
        ContentFormat::Json => json(push),
    }
}

/// `MessageMD5`: upper-case hex of the MD5 of the message as carried.
#[must_use]
pub fn message_md5(message: &str) -> String {
    hex_upper(&Md5::digest(message.as_bytes()))
}

/// The flat object of the JSON form; `PublishTime` is a string (HELP: NotifyContentFormat).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonBody<'a> {
    topic_owner: &'a str,
    topic_name: &'a str,
    subscriber: &'a str,
    subscription_name: &'a str,
    message_id: String,
    message: &'a str,
    #[serde(rename = "MessageMD5")]
    message_md5: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_tag: Option<&'a str>,
    publish_time: String,
}

fn json(push: &Push<'_>) -> String {
    let Push {
        notification,
        subscription,
        account,
    } = *push;
    let body = JsonBody {
        topic_owner: account,
        topic_name: subscription.topic.as_str(),
        subscriber: account,
        subscription_name: subscription.name.as_str(),
        message_id: notification.message_id.to_string(),
        message: &notification.body,
        message_md5: message_md5(&notification.body),
        message_tag: notification.tag.as_deref(),
        publish_time: notification.published.as_millis().to_string(),
    };
    serde_json::to_string(&body).expect("a struct of strings is always JSON")
}

fn xml(push: &Push<'_>) -> String {
    let Push {
        notification,
        subscription,
        account,
    } = *push;
    let message = xml_text(&notification.body);
    // The MD5 is of the message as a parser gives it back: the replacement of what XML cannot hold included.
    let carried: String = notification.body.chars().map(xml_char).collect();
    let mut out = String::with_capacity(message.len() + 768);
    out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Notification xmlns=\"");
    out.push_str(XML_NAMESPACE);
    out.push_str("\">");
    let mut element = |name: &str, text: &str| {
        out.push('<');
        out.push_str(name);
        out.push('>');
        out.push_str(text);
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    };
    element("TopicOwner", &xml_text(account));
    element("TopicName", subscription.topic.as_str());
    element("Subscriber", &xml_text(account));
    element("SubscriptionName", subscription.name.as_str());
    element("MessageId", &notification.message_id.to_string());
    element("Message", &message);
    element("MessageMD5", &message_md5(&carried));
    if let Some(tag) = &notification.tag {
        element("MessageTag", &xml_text(tag));
    }
    element(
        "PublishTime",
        &notification.published.as_millis().to_string(),
    );
    out.push_str("</Notification>");
    out
}

/// What XML 1.0 can hold in place of `c`: most control characters have no form in it, not even as a reference
/// (XML 1.0, 2.2).
fn xml_char(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => c,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// Escapes text for element content. A carriage return is written as a reference, since parsers turn a bare one into a
/// line feed (XML 1.0, 2.11) and the message must arrive unchanged.
fn xml_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(xml_char(c)),
        }
    }
    out
}
