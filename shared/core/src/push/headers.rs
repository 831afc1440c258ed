//! Headers of an HTTP push (HELP: HttpEndpoint, NotifyContentFormat; names and values as a capture of 2024 in the
//! vendor's Go SDK has them, but in lower case).

use super::Push;
use super::date::http_date;
use crate::event::Timestamp;
use crate::topic::ContentFormat;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};

/// Header names, lower case, and their values, in the order they are sent.
pub type Headers = Vec<(&'static str, String)>;

/// `x-mns-version` (HELP: HttpEndpoint).
pub const MNS_VERSION: &str = "2015-06-06";
/// `user-agent` that MNS's pushes carry (vendor capture); receivers and firewalls of MNS users know it.
pub const USER_AGENT: &str = "Aliyun Notification Service Agent";

/// How `content-md5` is written. Two styles are on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Md5Style {
    /// 32 upper-case hex digits: real SIMPLIFIED pushes (vendor captures of 2023 and 2024).
    HexUpper,
    /// Base64 of the 32 *lower-case hex digits*, 44 characters: the XML sample of HELP: HttpEndpoint.
    Base64OfHex,
}

impl Md5Style {
    /// The style each format has by default: XML as documented, SIMPLIFIED as observed, JSON (silent in both) as
    /// SIMPLIFIED.
    #[must_use]
    pub fn of(format: ContentFormat) -> Self {
        match format {
            ContentFormat::Xml => Md5Style::Base64OfHex,
            ContentFormat::Json | ContentFormat::Simplified => Md5Style::HexUpper,
        }
    }

    /// The value for a body.
    #[must_use]
    pub fn write(self, body: &[u8]) -> String {
        let digest = Md5::digest(body);
        match self {
            Md5Style::HexUpper => hex_upper(&digest),
            Md5Style::Base64OfHex => BASE64.encode(hex_upper(&digest).to_ascii_lowercase()),
        }
    }
}

/// Upper-case hex digits.
pub(crate) fn hex_upper(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// `content-type` of a format. MNS documents the first and the third; the second is in their style.
#[must_use]
pub fn content_type(format: ContentFormat) -> &'static str {
    match format {
        ContentFormat::Xml => "text/xml;charset=utf-8",
        ContentFormat::Json => "application/json;charset=utf-8",
        ContentFormat::Simplified => "text/plain;charset=utf-8",
    }
}

/// `x-mns-request-id`: 24 hex digits, new for every attempt.
#[must_use]
pub fn request_id(draw: [u64; 2]) -> String {
    format!("{:016X}{:08X}", draw[0], draw[1] & 0xFFFF_FFFF)
}

/// All headers of a push but `host`, `content-length` (the dialler's) and the signatures.
///
/// `content_md5` is computed by the caller, once for all attempts of a batch that share the body.
#[must_use]
pub fn compose(
    push: &Push<'_>,
    content_md5: String,
    now: Timestamp,
    request_id: String,
) -> Headers {
    let Push {
        notification,
        subscription,
        account,
    } = *push;
    let mut headers = Headers::with_capacity(20);
    headers.push(("user-agent", USER_AGENT.to_owned()));
    headers.push(("accept", "*/*".to_owned()));
    headers.push(("content-type", content_type(subscription.format).to_owned()));
    headers.push(("content-md5", content_md5));
    headers.push(("date", http_date(now)));
    headers.push(("x-mns-request-id", request_id));
    headers.push(("x-mns-version", MNS_VERSION.to_owned()));
    if subscription.format == ContentFormat::Simplified {
        headers.push(("x-mns-message-id", notification.message_id.to_string()));
        if let Some(tag) = &notification.tag {
            headers.push(("x-mns-message-tag", header_text(tag)));
        }
        headers.push((
            "x-mns-publish-time",
            notification.published.as_millis().to_string(),
        ));
        headers.push(("x-mns-subscriber", account.to_owned()));
        headers.push(("x-mns-subscription-name", subscription.name.to_string()));
        headers.push(("x-mns-topic-name", subscription.topic.to_string()));
        headers.push(("x-mns-topic-owner", account.to_owned()));
    }
    headers
}

/// A tag is free text, a header value is not: control characters would end the header, and blanks at the ends would be
/// trimmed on the way, so that the signature would fail (RFC 9110, 5.5).
fn header_text(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
