//! Who a rule tells.

use crate::event::InvalidName;
use crate::topic::{QueueName, SnsTopic, TopicName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Kind of an endpoint: `EndpointType` of SMQ's CreateEventRule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// An `http://` or `https://` URL.
    Http,
    /// A queue, by name.
    Queue,
    /// A topic, by name, or one of SNS by its ARN; excludes all other endpoints of the rule (seed 000, 2).
    Topic,
}

impl EndpointKind {
    /// `http`, `queue` or `topic`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Http => "http",
            EndpointKind::Queue => "queue",
            EndpointKind::Topic => "topic",
        }
    }

    /// Reads an `EndpointType`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [EndpointKind::Http, EndpointKind::Queue, EndpointKind::Topic]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One endpoint of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// What it is.
    pub kind: EndpointKind,
    /// URL, queue name, topic name or ARN of a topic of SNS.
    pub value: String,
}

/// Longest URL of an endpoint, in bytes. Ours: the vendor names no limit, and common servers refuse longer ones.
pub const MAX_URL: usize = 2048;

/// First segment that the path of an HTTP endpoint may not have (SMQ help, "HttpEndpoint"; the vendor's spelling).
const RESERVED_PATH: &str = "/mns-reserverd-";

impl Endpoint {
    /// Reads an `EndpointValue`, and reduces a queue's or topic's ARN to its name. This checks the form alone: whether
    /// the queue or topic exists is the store's to say, whether the address may be dialled the address guard's.
    ///
    /// # Errors
    /// What is wrong with the value and what would do, in words.
    pub fn parse(kind: EndpointKind, value: &str) -> Result<Self, String> {
        let value = match kind {
            EndpointKind::Http => check_url(value).map(|()| value.to_owned())?,
            EndpointKind::Queue => QueueName::from_endpoint(value)
                .map_err(|error| error.to_string())?
                .as_str()
                .to_owned(),
            EndpointKind::Topic if SnsTopic::is_meant_by(value) => SnsTopic::parse(value)
                .map_err(|error| error.to_string())?
                .as_str()
                .to_owned(),
            EndpointKind::Topic => topic_name(value)?.as_str().to_owned(),
        };
        Ok(Endpoint { kind, value })
    }

    /// The topic of SNS that it names, if it does. The rule then has a topic made for it like any other, and that one
    /// subscription.
    #[must_use]
    pub fn sns(&self) -> Option<SnsTopic> {
        (self.kind == EndpointKind::Topic)
            .then(|| SnsTopic::parse(&self.value).ok())
            .flatten()
    }

    /// Whether it names a topic of Carillon's, whose subscriptions are the user's own affair.
    #[must_use]
    pub fn is_own_topic(&self) -> bool {
        self.kind == EndpointKind::Topic && !SnsTopic::is_meant_by(&self.value)
    }
}

/// A bare name, or `acs:mns:{region}:{account}:topics/{topic}` (also with a slash before `topics`).
fn topic_name(text: &str) -> Result<TopicName, String> {
    let name = match text
        .strip_prefix("acs:mns:")
        .and_then(|rest| rest.rsplit_once("topics/"))
    {
        Some((_, name)) => name,
        None => text,
    };
    if name.starts_with("sms.") {
        // Seed 000 (2): such topics serve short messages alone.
        return Err("`sms.` topics are kept for short messages: name another topic".to_owned());
    }
    TopicName::parse(name).map_err(|error: InvalidName| error.to_string())
}

/// Syntax of an HTTP endpoint: scheme, host, optional port, path, query.
fn check_url(url: &str) -> Result<(), String> {
    const WANT: &str = "give a URL such as https://example.com/hook";
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| format!("it does not begin http:// or https://: {WANT}"))?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(format!(
            "the scheme {scheme:?} cannot be pushed to: use http or https"
        ));
    }
    if url.len() > MAX_URL {
        return Err(format!(
            "it is {} bytes long, the limit is {MAX_URL}: shorten it",
            url.len()
        ));
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it holds white space or control characters: percent-encode them".to_owned());
    }
    if url.contains(['"', '<', '>', '\\', '^', '`', '{', '|', '}']) {
        return Err(
            "it holds a character that no URL may (one of \" < > \\ ^ ` { | }): percent-encode it"
                .to_owned(),
        );
    }
    if url.contains('#') {
        return Err("a fragment (`#...`) is never sent to a server: leave it out".to_owned());
    }
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(authority_end);
    if authority.contains('@') {
        return Err(
            "it holds a user name before `@`: leave it out, and check the signature instead"
                .to_owned(),
        );
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, after) = bracketed
                .split_once(']')
                .ok_or_else(|| format!("the address in brackets is not closed: {WANT}"))?;
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("{address:?} is not an IPv6 address: {WANT}"));
            }
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => {
                    return Err(format!(
                        "{after:?} after the address is neither port nor path: {WANT}"
                    ));
                }
            };
            (address, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(format!("it names no host: {WANT}"));
    }
    let sound_host = authority.starts_with('[')
        || (host.len() <= 253
            && host.trim_end_matches('.').split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && label
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            }));
    if !sound_host {
        return Err(format!(
            "{host:?} is not a host name (write international names in their `xn--` form): {WANT}"
        ));
    }
    if let Some(port) = port {
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!("the port {port:?} is not a number from 1 to 65535"));
        }
    }
    if target.starts_with(RESERVED_PATH) {
        return Err("a path may not begin with `mns-reserverd-`: choose another".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for url in [
            "http://example.com",
            "HTTPS://example.com:8443/a/b?c=d",
            "http://127.0.0.1:9/x",
            "http://[::1]:80/",
            "http://[::1]",
            "https://a_b.example./?q",
            "http://example.com/notifications/mns-reserverd-x",
        ] {
            assert_eq!(
                Endpoint::parse(EndpointKind::Http, url).map(|endpoint| endpoint.value),
                Ok(url.to_owned())
            );
        }
        for url in [
            "",
            "example.com",
            "ftp://example.com",
            "http://",
            "http:///path",
            "http://:80/",
            "http://user@example.com/",
            "http://user:pass@example.com/",
            "http://example.com:0/",
            "http://example.com:65536/",
            "http://example.com:+80/",
            "http://example.com:/",
            "http://exa mple.com/",
            "http://example.com/#a",
            "http://example.com/mns-reserverd-x",
            "http://[::1",
            "http://[zz]/",
            "http://[::1]x/",
            "http://a..b/",
            "http://bücher.example/",
        ] {
            assert!(Endpoint::parse(EndpointKind::Http, url).is_err(), "{url}");
        }
    }

    #[test]
    fn names_and_arns() {
        let value = |kind, text| Endpoint::parse(kind, text).map(|endpoint| endpoint.value);
        assert_eq!(
            value(EndpointKind::Queue, "resize").as_deref(),
            Ok("resize")
        );
        assert_eq!(
            value(EndpointKind::Queue, "acs:mns:cn-hangzhou:1:/queues/resize").as_deref(),
            Ok("resize")
        );
        assert_eq!(
            value(EndpointKind::Topic, "acs:mns:cn-hangzhou:1:topics/t").as_deref(),
            Ok("t")
        );
        assert!(
            value(EndpointKind::Topic, "sms.topic")
                .is_err_and(|why| why.contains("short messages"))
        );
        assert!(value(EndpointKind::Topic, "1t").is_err());
        assert!(value(EndpointKind::Queue, "").is_err());
        let arn = "arn:aws:sns:us-east-1:123456789012:alerts";
        assert_eq!(value(EndpointKind::Topic, arn).as_deref(), Ok(arn));
        let fifo = "arn:aws:sns:us-east-1:123456789012:alerts.fifo";
        assert!(value(EndpointKind::Topic, fifo).is_err_and(|why| why.contains("FIFO")));
        assert!(value(EndpointKind::Queue, arn).is_err());
    }
}
