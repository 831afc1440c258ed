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
fn ranges_hold_what_begins_as_they_do() {
    for (range, inside, outside) in [
        (
            "10.0.0.0/8",
            vec!["10.0.0.0", "10.255.255.255"],
            vec!["9.255.255.255", "11.0.0.0", "::a00:1"],
        ),
        (
            "10.1.2.0/23",
            vec!["10.1.2.0", "10.1.3.255"],
            vec!["10.1.1.255", "10.1.4.0"],
        ),
        (
            "127.0.0.1",
            vec!["127.0.0.1"],
            vec!["127.0.0.0", "127.0.0.2"],
        ),
        ("0.0.0.0/0", vec!["0.0.0.0", "255.255.255.255"], vec!["::"]),
        (
            "fd00::/8",
            vec!["fd00::", "fdff::1"],
            vec!["fc00::1", "fe00::", "253.0.0.1"],
        ),
        (
            "fd00:1:2::/47",
            vec!["fd00:1:2::1", "fd00:1:3::1"],
            vec!["fd00:1:1::1", "fd00:1:4::1"],
        ),
        ("::1", vec!["::1"], vec!["::", "::2"]),
        ("::/0", vec!["::", "ffff::"], vec!["0.0.0.0"]),
    ] {
        let held: Cidr = range.parse().unwrap();
        for address in inside {
            assert!(
                held.contains(address.parse().unwrap()),
                "{address} in {range}"
            );
        }
        for address in outside {
            assert!(
                !held.contains(address.parse().unwrap()),
                "{address} in {range}"
            );
        }
        assert_eq!(held.to_string().parse(), Ok(held), "{held}");
    }
    assert_eq!(
        "127.0.0.1".parse::<Cidr>().unwrap().to_string(),
        "127.0.0.1/32"
    );
    assert_eq!("fd00::/8".parse::<Cidr>().unwrap().to_string(), "fd00::/8");
}

#[test]
fn an_opened_translator_opens_no_private_network_behind_it() {
    for (range, public, private) in [
        ("64:ff9b::/96", "64:ff9b::808:808", "64:ff9b::a00:1"),
        ("::/96", "::808:808", "::a00:1"),
        ("2002::/16", "2002:808:808::1", "2002:a00:1::1"),
        ("::ffff:0:0:0/96", "::ffff:0:808:808", "::ffff:0:a00:1"),
    ] {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let closed = AddressGuard::default();
        assert!(closed.check_address(address(public)).is_err(), "{public}");
        let open = AddressGuard::allowing(vec![range.parse().unwrap()]);
        assert_eq!(open.check_address(address(public)), Ok(()));
        assert!(open.check_address(address(private)).is_err(), "{private}");
    }
    // Loopback is no translated address.
    let open = AddressGuard::allowing(vec!["::1".parse().unwrap()]);
    assert_eq!(open.check_address("::1".parse().unwrap()), Ok(()));
}

#[test]
fn a_url_of_the_longest_length_is_taken_and_one_byte_more_is_not() {
    let head = "http://example.com/";
    let url = |len: usize| format!("{head}{}", "a".repeat(len - head.len()));
    assert_eq!(PushUrl::parse(&url(4_096)).unwrap().to_string(), url(4_096));
    let error = PushUrl::parse(&url(4_097)).unwrap_err();
    assert!(error.to_string().contains("longer than 4096 bytes"));
    assert_eq!(
        error.value.len(),
        200,
        "an error repeats the beginning alone"
    );
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
