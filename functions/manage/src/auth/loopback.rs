//! Without keys the service answers this machine alone. The listen address sees to most of it; what remains is the
//! browser: a page from elsewhere can make it send requests to a loopback address, under a name of the page's own that
//! it had resolved to 127.0.0.1 (DNS rebinding), or straight (a form post). Both show in headers no page can forge.

use crate::error::{Refused, shown};
use axum::http::{HeaderMap, Uri, header};
use std::net::IpAddr;

/// Refuses what could come from a page elsewhere.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<(), Refused> {
    let host = match headers.get(header::HOST) {
        Some(host) => host.to_str().unwrap_or("?"),
        None => uri.authority().map_or("", |authority| authority.as_str()),
    };
    if !hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) && !is_loopback(host) {
        return Err(Refused::denied(format!(
            "header Host, value {}: without access keys only a loopback host such as 127.0.0.1 or localhost is \
             answered; use that name, or configure keys",
            shown(host)
        )));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        let same = origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
        if !same {
            return Err(Refused::denied(format!(
                "header Origin, value {}: without access keys no page of another origin is answered; call from a \
                 program, or configure keys",
                shown(origin)
            )));
        }
    }
    let site = headers
        .get("sec-fetch-site")
        .map(|value| value.to_str().unwrap_or("?"));
    if let Some(site @ ("cross-site" | "same-site" | "?")) = site {
        return Err(Refused::denied(format!(
            "header Sec-Fetch-Site, value {site:?}: without access keys no page of another site is answered; call \
             from a program, or configure keys"
        )));
    }
    Ok(())
}

/// Whether the host, with or without a port, is a name or address of this machine alone.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9324",
            "localhost",
            "LOCALHOST:80",
            "[::1]:9324",
            "[::1]",
            "127.9.9.9:1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:9324",
            "10.0.0.1",
            "[::1",
            "[::1]x",
            "0.0.0.0",
            "127.0.0.1:80x",
            "169.254.169.254",
            "a:b:1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
