//! The address guard against its table: first, last, middle and just outside of every range, odd literals, URLs.

use carillon_core::push::guard::{AddressGuard, Cidr, Host, PushUrl, Refusal};
use proptest::prelude::*;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Deserialize)]
struct Row {
    why: String,
    address: Option<IpAddr>,
    url: Option<String>,
    #[serde(default)]
    allow: Vec<String>,
    verdict: String,
    target: Option<String>,
}

fn verdict(result: Result<(), Refusal>) -> &'static str {
    match result {
        Ok(()) => "allowed",
        Err(Refusal::Metadata(_)) => "metadata",
        Err(_) => "refused",
    }
}

#[test]
fn every_row_of_the_table_holds() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../../../tests/cases/guard.json")).unwrap();
    assert!(rows.len() >= 250);
    let mut wrong = Vec::new();
    for row in rows {
        let allow = row.allow.iter().map(|range| range.parse().unwrap());
        let guard = AddressGuard::allowing(allow.collect());
        let got = match (&row.address, &row.url) {
            (Some(address), None) => verdict(guard.check_address(*address)),
            (None, Some(url)) => match PushUrl::parse(url) {
                Err(_) => "invalid",
                Ok(url) => {
                    if let Some(target) = &row.target {
                        assert_eq!(url.target(), target, "{url}");
                    }
                    verdict(guard.check_url(&url))
                }
            },
            _ => panic!("a row has an address or a URL: {}", row.why),
        };
        if got != row.verdict {
            let subject = row.url.unwrap_or_else(|| format!("{:?}", row.address));
            wrong.push(format!(
                "{subject} ({}): {got}, want {}",
                row.why, row.verdict
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ranges_are_read_strictly() {
    for bad in [
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "::/129",
        "fd00::1/8",
        "x/8",
        "10/8",
    ] {
        assert!(bad.parse::<Cidr>().is_err(), "{bad}");
    }
    for good in [
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/8",
        "127.0.0.1",
        "127.0.0.1/32",
        "::1/128",
    ] {
        assert!(good.parse::<Cidr>().is_ok(), "{good}");
    }
}

#[test]
fn a_password_in_a_bad_url_is_not_repeated() {
    let error = PushUrl::parse("https://user:secret@example.com/").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn stricter_settings_are_kept() {
    let url = |text| PushUrl::parse(text).unwrap();
    let guard = AddressGuard {
        https_only: true,
        ..AddressGuard::default()
    };
    assert_eq!(
        guard.check_url(&url("http://example.com/")),
        Err(Refusal::PlainHttp)
    );
    assert_eq!(guard.check_url(&url("https://example.com/")), Ok(()));
    let guard = AddressGuard {
        ports: vec![443],
        ..AddressGuard::default()
    };
    assert!(guard.check_url(&url("http://example.com/")).is_err());
    assert!(guard.check_url(&url("https://example.com/")).is_ok());
}

proptest! {
    /// Whatever text comes in, reading it does not panic; what is read prints as a URL that means the same.
    #[test]
    fn a_url_read_and_printed_is_the_same_url(text in "(https?://)?[ -~]{0,40}") {
        if let Ok(url) = PushUrl::parse(&text) {
            let again = PushUrl::parse(&url.to_string());
            prop_assert_eq!(again, Ok(url));
        }
    }

    /// A mapped address is judged as the address it maps.
    #[test]
    fn mapping_changes_no_verdict(bits: u32) {
        let (guard, v4) = (AddressGuard::default(), Ipv4Addr::from_bits(bits));
        prop_assert_eq!(
            guard.check_address(v4.into()).is_ok(),
            guard.check_address(v4.to_ipv6_mapped().into()).is_ok()
        );
    }

    /// A literal in a URL is judged as the address itself.
    #[test]
    fn a_literal_is_judged_as_its_address(v4: u32, v6: u128) {
        let guard = AddressGuard::default();
        for address in [IpAddr::V4(Ipv4Addr::from_bits(v4)), IpAddr::V6(Ipv6Addr::from_bits(v6))] {
            let host = match address { IpAddr::V4(v4) => Host::V4(v4), IpAddr::V6(v6) => Host::V6(v6) };
            let url = PushUrl::parse(&format!("http://{host}/")).unwrap();
            prop_assert_eq!(guard.check_url(&url).is_ok(), guard.check_address(address).is_ok());
        }
    }
}

#[test]
fn a_url_that_encoding_makes_too_long_is_refused_when_it_is_saved() {
    // Six bytes for each two; the dialler reads the URL again as it is written.
    let fits = format!("https://example.com/{}", "é".repeat(679));
    let written = PushUrl::parse(&fits).unwrap().to_string();
    assert_eq!(written.len(), 20 + 6 * 679);
    assert_eq!(PushUrl::parse(&written).unwrap().to_string(), written);
    let grows = format!("https://example.com/{}", "é".repeat(680));
    let error = PushUrl::parse(&grows).unwrap_err();
    assert!(error.why.contains("percent-encoded"), "{error}");
}
