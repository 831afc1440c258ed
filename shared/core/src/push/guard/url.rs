//! The URL of an HTTP endpoint, read so that it can mean one thing only.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest URL, in bytes (the vendor names none; this is what common servers take as a request line).
const MAX_LEN: usize = 4_096;

/// Target of a URL that has none (HELP: HttpEndpoint).
const DEFAULT_PATH: &str = "/notifications";

/// Paths that MNS keeps for itself, in the vendor's spelling (HELP: HttpEndpoint).
const RESERVED_PATH: &str = "/mns-reserverd-";

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, lower case.
    Name(String),
    /// A dotted quad.
    V4(Ipv4Addr),
    /// From between brackets.
    V6(Ipv6Addr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// A URL that cannot be an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} cannot be an endpoint: {why}")]
pub struct InvalidUrl {
    /// The beginning of the text, without userinfo: it may be logged.
    pub value: String,
    /// What is wrong and what would do.
    pub why: &'static str,
}

/// The URL of an HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PushUrl {
    scheme: Scheme,
    host: Host,
    port: u16,
    target: String,
}

impl PushUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`InvalidUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        Self::read(text).map_err(|why| {
            // A password in an error message is a password in a log.
            let shown = match text.rsplit_once('@') {
                Some((_, rest)) => format!("...@{rest}"),
                None => text.to_owned(),
            };
            InvalidUrl {
                value: shown.chars().take(200).collect(),
                why,
            }
        })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_LEN {
            return Err("it is longer than 4096 bytes");
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err("it holds white space or control characters: percent-encode them");
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            _ => return Err("it must begin with http:// or https://"),
        };
        if rest.contains('\\') {
            return Err("it holds a backslash, which clients read in different ways");
        }
        if rest.contains('#') {
            return Err("it has a fragment (#...), which is never sent: leave it out");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it holds a user name or password: leave them out");
        }
        let (host, port) = split_port(authority)?;
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, Scheme::Http) => 80,
            (None, Scheme::Https) => 443,
        };
        let host = read_host(host)?;
        let target = match target {
            "" => DEFAULT_PATH.to_owned(),
            query if query.starts_with('?') => encode(&format!("{DEFAULT_PATH}{query}")),
            target => encode(target),
        };
        if target.starts_with(RESERVED_PATH) {
            return Err("paths that begin with mns-reserverd- are reserved");
        }
        let url = PushUrl {
            scheme,
            host,
            port,
            target,
        };
        // A letter beyond ASCII takes up to twelve bytes in place of four, and the default path may have been added.
        if url.written_len() > MAX_LEN {
            return Err("it is longer than 4096 bytes once it is percent-encoded");
        }
        Ok(url)
    }

    /// Bytes of the URL as it is written.
    fn written_len(&self) -> usize {
        self.scheme.as_str().len() + "://".len() + self.authority().len() + self.target.len()
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's own when the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The request target, exactly as sent and as signed: path and query; `/notifications` when the URL has no path.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The `host` header: the port only when it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for PushUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.as_str(),
            self.authority(),
            self.target
        )
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => (&authority[..=end], &authority[end + 1..]),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        None => Err("something other than a port follows the bracket"),
        // A colon with nothing after it is the default port (RFC 3986, 3.2.3).
        Some("") => Ok((host, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .map(|port| (host, Some(port)))
            .map_err(|_| "its port is above 65535"),
        Some(_) => Err("its port is not a number"),
    }
}

fn read_host(host: &str) -> Result<Host, &'static str> {
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        if inner.contains('%') {
            return Err("its address has a zone, which means something on one machine only");
        }
        return inner
            .parse()
            .map(Host::V6)
            .map_err(|_| "what stands between the brackets is not an IPv6 address");
    }
    if host.is_empty() {
        return Err("it has no host");
    }
    if !host.is_ascii() {
        return Err("its host has letters beyond ASCII: write it in punycode (xn--...)");
    }
    let name = host.to_ascii_lowercase();
    let bare = name.strip_suffix('.').unwrap_or(&name);
    // A last label that is a number makes the whole an IPv4 address to most resolvers, in one of many spellings; only
    // the plain one is taken (WHATWG URL, "ends in a number checker").
    let last = bare.rsplit('.').next().unwrap_or_default();
    let hex = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if hex || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())) {
        // The parser of the standard library refuses leading zeroes, hex, and fewer than four parts.
        return host
            .parse()
            .map(Host::V4)
            .map_err(|_| "its host is a number in an odd spelling: write four decimal parts");
    }
    let sound = bare.len() <= 253
        && bare.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
    if sound {
        Ok(Host::Name(name))
    } else {
        Err("its host is not a name of letters, digits, hyphens and dots")
    }
}

/// Percent-encodes what may not stand in a request target, and leaves the rest as it is, percent signs included: an
/// operator who encoded the URL must not see it encoded twice.
fn encode(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%|".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&super::super::headers::hex_upper(&[byte]));
        }
    }
    out
}
