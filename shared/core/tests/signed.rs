//! What the signatures of a push are computed over, and the headers that carry them: MNS's and Standard Webhooks'.

#![allow(clippy::unwrap_used, reason = "a test")]

use carillon_core::event::Timestamp;
use carillon_core::push::headers::{Headers, Md5Style, request_id};
use carillon_core::push::{mns, webhooks};

fn headers(of: &[(&'static str, &str)]) -> Headers {
    of.iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

#[test]
fn the_string_to_sign_of_mns() {
    // HELP: Verify the signature of HTTP push messages. Lines in this order, headers of `x-mns-` by name.
    let whole = headers(&[
        ("user-agent", "not signed"),
        ("content-type", "text/xml;charset=utf-8"),
        ("content-md5", "MD5"),
        ("date", "Wed, 29 Mar 2023 08:41:27 GMT"),
        ("x-mns-version", "2015-06-06"),
        ("x-mns-request-id", "R"),
        ("x-mns-signing-cert-url", "URL"),
        ("x-mnsother", "not signed"),
    ]);
    assert_eq!(
        mns::string_to_sign(&whole, "/notifications"),
        "POST\nMD5\ntext/xml;charset=utf-8\nWed, 29 Mar 2023 08:41:27 GMT\nx-mns-request-id:R\n\
x-mns-signing-cert-url:URL\nx-mns-version:2015-06-06\n/notifications"
    );
    // A header that is not there leaves its line; `x-mns-date` stands in for `date`, and is signed as itself too.
    for (held, want) in [
        (&[][..], "POST\n\n\n\n/a?b=c"),
        (&[("content-md5", "M")], "POST\nM\n\n\n/a?b=c"),
        (&[("content-type", "T")], "POST\n\nT\n\n/a?b=c"),
        (&[("date", "D")], "POST\n\n\nD\n/a?b=c"),
        (&[("x-mns-date", "X")], "POST\n\n\nX\nx-mns-date:X\n/a?b=c"),
        (
            &[("x-mns-date", "X"), ("date", "D")],
            "POST\n\n\nD\nx-mns-date:X\n/a?b=c",
        ),
    ] {
        assert_eq!(mns::string_to_sign(&headers(held), "/a?b=c"), want);
    }
}

#[test]
fn the_certificate_s_url_travels_as_base64() {
    assert_eq!(
        mns::cert_url_value("https://a.example/certs/k.pem"),
        "aHR0cHM6Ly9hLmV4YW1wbGUvY2VydHMvay5wZW0="
    );
}

#[test]
fn the_content_that_webhooks_sign() {
    assert_eq!(webhooks::content("ID", "17", "a.b"), b"ID.17.a.b");
    for (millis, want) in [
        (0, "0"),
        (999, "0"),
        (1_674_087_231_999, "1674087231"),
        (-1, "-1"),
    ] {
        assert_eq!(webhooks::timestamp(Timestamp::from_millis(millis)), want);
    }
}

#[test]
fn the_headers_of_webhooks() {
    let mut sent = headers(&[("date", "D")]);
    let signatures = [
        webhooks::Signature::Hmac(b"first".to_vec()),
        webhooks::Signature::Ed25519(b"second".to_vec()),
        webhooks::Signature::Hmac(b"third".to_vec()),
    ];
    webhooks::push_headers(&mut sent, "ID".into(), "17".into(), &signatures);
    let want = headers(&[
        ("date", "D"),
        ("webhook-id", "ID"),
        ("webhook-timestamp", "17"),
        ("webhook-signature", "v1,Zmlyc3Q= v1a,c2Vjb25k v1,dGhpcmQ="),
    ]);
    assert_eq!(sent, want);
}

#[test]
fn keys_as_receivers_are_given_them() {
    assert_eq!(
        webhooks::secret_text(&[0; 24]),
        format!("whsec_{}", "A".repeat(32))
    );
    assert_eq!(webhooks::public_key_text(b"key"), "whpk_a2V5");
}

#[test]
fn request_ids_are_24_hex_digits_of_both_draws() {
    for (draw, want) in [
        ([0, 0], "000000000000000000000000"),
        ([1, u64::MAX], "0000000000000001FFFFFFFF"),
        ([u64::MAX, 1 << 32], "FFFFFFFFFFFFFFFF00000000"),
        ([0xA1 << 56, 0xA5A5_0F0F], "A100000000000000A5A50F0F"),
    ] {
        assert_eq!(request_id(draw), want);
    }
}

#[test]
fn md5_is_written_with_all_its_bits() {
    // RFC 1321, A.5.
    for (text, want) in [
        ("", "D41D8CD98F00B204E9800998ECF8427E"),
        ("abc", "900150983CD24FB0D6963F7D28E17F72"),
    ] {
        assert_eq!(Md5Style::HexUpper.write(text.as_bytes()), want);
    }
}
