//! MNS HMAC-SHA1: `Authorization: MNS <key id>:<Base64 of the signature>` (MNS help, "Signature"; the codes and statuses
//! of refusals are those of its page "Error codes").
//!
//! The string to sign has no nonce, so a request that somebody overhears can be sent again within the clock window; TLS
//! in front of the service is what prevents that, as it does for the vendor.

use super::{in_window, key, mismatch};
use crate::error::{Refused, shown};
use crate::gate::Admitted;
use crate::service::{AccessKey, Role};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::Timestamp;
use carillon_core::push::date::parse_http_date;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use std::fmt::Write as _;

/// Verifies the signature and the date; gives the key's role.
pub(crate) fn verify(
    keys: &[AccessKey],
    request: &Admitted,
    now: Timestamp,
) -> Result<Role, Refused> {
    let Some(text) = request.header("authorization") else {
        return Err(Refused::new(
            400,
            "MissingAuthorizationHeader",
            "the request is not signed, and access keys are configured: sign it (header Authorization: MNS <key \
             id>:<signature>)",
        ));
    };
    let (id, signature) = text
        .strip_prefix("MNS ")
        .and_then(|rest| rest.trim().split_once(':'))
        .ok_or_else(|| {
            Refused::new(
                400,
                "InvalidAuthorizationHeader",
                "header Authorization: give MNS <key id>:<Base64 of the HMAC-SHA1>",
            )
        })?;
    let key = key(keys, id)?;
    let string = string_to_sign(request);
    let mut mac = Hmac::<Sha1>::new_from_slice(key.secret.as_bytes())
        .expect("HMAC takes keys of every length");
    mac.update(string.as_bytes());
    let signature = BASE64.decode(signature).map_err(|_| mismatch(&string))?;
    mac.verify_slice(&signature)
        .map_err(|_| mismatch(&string))?;

    let (name, date) = match (request.header("x-mns-date"), request.header("date")) {
        (Some(date), _) => ("header x-mns-date", date),
        (None, Some(date)) => ("header Date", date),
        (None, None) => {
            return Err(Refused::new(
                400,
                "MissingDateHeader",
                "header Date is missing: give the time of the request, like Wed, 29 Mar 2023 08:41:27 GMT",
            ));
        }
    };
    let at = read_date(date).ok_or_else(|| {
        Refused::new(
            400,
            "InvalidDateHeader",
            format!(
                "{name}, value {}: write it like Wed, 29 Mar 2023 08:41:27 GMT",
                shown(date)
            ),
        )
    })?;
    in_window(name, date, at, now).map_err(|expired| Refused {
        // The vendor's status in this interface.
        status: 408,
        ..expired
    })?;
    check_md5(request)?;
    Ok(key.role)
}

/// A date as mail and HTTP write it, the two forms that HTTP keeps for old clients (RFC 9110, 5.6.7) included, or ISO 8601.
fn read_date(date: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(date)
        .map(|at| Timestamp::from_millis(at.as_millisecond()))
        .ok()
        .or_else(|| Timestamp::parse(date).ok())
        .or_else(|| parse_http_date(date))
}

fn string_to_sign(request: &Admitted) -> String {
    let header = |name| request.header(name).unwrap_or_default();
    // A date in x-mns-date stands in for Date, and is among the x-mns- lines besides.
    let date = request
        .header("date")
        .or(request.header("x-mns-date"))
        .unwrap_or_default();
    let mut string = format!(
        "{}\n{}\n{}\n{date}\n",
        request.method,
        header("content-md5"),
        header("content-type")
    );
    let mut lines: Vec<(&str, &str)> = request
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-mns-"))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
        .collect();
    lines.sort_unstable();
    for (name, value) in lines {
        let _ = writeln!(string, "{name}:{value}");
    }
    string.push_str(&request.path);
    if !request.query.is_empty() {
        let _ = write!(string, "?{}", request.query);
    }
    string
}

/// (The vendor spells its code `InvalidDegist`.) `Content-MD5` is what ties the body to the signature. Clients write it in three ways: Base64 of the digest (RFC
/// 1864), Base64 of its hex text (the vendor's SDKs), or the hex text itself.
fn check_md5(request: &Admitted) -> Result<(), Refused> {
    use md5::{Digest as _, Md5};
    // It is optional, as it is for the vendor: without it the signature says nothing of the body.
    let Some(given) = request
        .header("content-md5")
        .filter(|given| !given.is_empty())
    else {
        return Ok(());
    };
    let digest = Md5::digest(&request.body);
    let hex = digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let sound = given == BASE64.encode(digest)
        || given.eq_ignore_ascii_case(&hex)
        || BASE64
            .decode(given)
            .is_ok_and(|text| text.eq_ignore_ascii_case(hex.as_bytes()));
    if sound {
        return Ok(());
    }
    Err(Refused::new(
        400,
        "InvalidDegist",
        format!(
            "header Content-MD5, value {given:?}: the body's MD5 is {hex}; the body changed on its way"
        ),
    ))
}
