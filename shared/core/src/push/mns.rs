//! What MNS's signature is computed over (HELP: Verify the signature of HTTP push messages), and its headers. The
//! signature itself (RSA PKCS#1 v1.5 with SHA-1) is made where the key is.

use super::headers::Headers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Header of the signature: bare Base64, no scheme word before it.
pub const AUTHORIZATION: &str = "authorization";
/// Header that names the certificate; its value is signed with the rest.
pub const CERT_URL: &str = "x-mns-signing-cert-url";

/// The value of [`CERT_URL`]: Base64 of the URL.
#[must_use]
pub fn cert_url_value(url: &str) -> String {
    BASE64.encode(url)
}

/// The string to sign: method, Content-MD5, Content-Type, Date, every `x-mns-` header in ascending order, and the
/// request target, each on a line of its own but without a line break at the end. A header that is not there leaves its
/// line empty; `x-mns-date` stands in for a missing `date`.
///
/// ```
/// use carillon_core::push::mns::string_to_sign;
/// let headers = vec![("x-mns-version", "2015-06-06".to_owned()), ("date", "D".to_owned()), ("content-type", "T".to_owned())];
/// assert_eq!(string_to_sign(&headers, "/notifications?a=b"), "POST\n\nT\nD\nx-mns-version:2015-06-06\n/notifications?a=b");
/// ```
#[must_use]
pub fn string_to_sign(headers: &Headers, target: &str) -> String {
    let find = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let mut signed: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-mns-"))
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    signed.sort_unstable();
    let mut out = String::with_capacity(512);
    out.push_str("POST\n");
    for line in [
        find("content-md5"),
        find("content-type"),
        find("date").or_else(|| find("x-mns-date")),
    ] {
        out.push_str(line.unwrap_or_default());
        out.push('\n');
    }
    for (name, value) in signed {
        out.push_str(name);
        out.push(':');
        out.push_str(value);
        out.push('\n');
    }
    out.push_str(target);
    out
}
