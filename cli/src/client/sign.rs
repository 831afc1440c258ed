//! Signing as Alibaba's SDKs sign: ACS3-HMAC-SHA256 for actions, HMAC-SHA1 for the queue interface.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Digest as _;
use std::fmt::Write as _;
use std::time::SystemTime;

/// An access key.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn epoch_millis() -> i64 {
    let since = now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The headers that sign a management request (mns-open 2022-01-19, ACS3-HMAC-SHA256). Signs `host` and all of
/// `headers`.
pub(super) fn acs3(
    keys: &Keys,
    method: &str,
    path: &str,
    canonical_query: &str,
    host: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let time = carillon_core::event::Timestamp::from_millis(epoch_millis()).to_iso();
    // Whole seconds, as the vendor's SDKs send it.
    let date = format!("{}Z", time.split('.').next().unwrap_or(&time));
    let nonce = hex(&sha2::Sha256::digest(format!(
        "{:?}{}{:p}",
        now(),
        std::process::id(),
        &time
    )))[..32]
        .to_owned();
    let hash = hex(&sha2::Sha256::digest(body));
    let added = vec![
        ("x-acs-content-sha256", hash.clone()),
        ("x-acs-date", date),
        ("x-acs-signature-nonce", nonce),
    ];
    let mut signed: Vec<(&str, &str)> = headers
        .iter()
        .chain(&added)
        .map(|(name, value)| (*name, value.trim()))
        .chain([("host", host)])
        .collect();
    signed.sort_unstable();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let request = format!("{method}\n{path}\n{canonical_query}\n{lines}\n{names}\n{hash}");
    let to_sign = format!("ACS3-HMAC-SHA256\n{}", hex(&sha2::Sha256::digest(request)));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(keys.secret.as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(to_sign.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    let mut all = added;
    all.push((
        "authorization",
        format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}",
            keys.id
        ),
    ));
    all
}

/// The headers that sign a queue request (MNS: HMAC-SHA1 over method, content MD5, content type, date, `x-mns-` headers
/// and resource).
pub(super) fn mns(
    keys: &Keys,
    method: &str,
    resource: &str,
    headers: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let date = httpdate(epoch_millis());
    let find = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| *name == wanted)
            .map_or("", |(_, value)| value.as_str())
    };
    let mut own: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-mns-"))
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    own.sort_unstable();
    let own: String = own
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let to_sign = format!(
        "{method}\n{}\n{}\n{date}\n{own}{resource}",
        find("content-md5"),
        find("content-type")
    );
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(keys.secret.as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(to_sign.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    vec![
        ("date", date),
        ("authorization", format!("MNS {}:{signature}", keys.id)),
    ]
}

/// RFC 9110 IMF-fixdate of epoch milliseconds.
fn httpdate(millis: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // `2016-07-05T15:07:59.000Z`: take the parts from where ISO 8601 has them; day 0 of the epoch was a Thursday.
    let iso = carillon_core::event::Timestamp::from_millis(millis).to_iso();
    let day = usize::try_from(millis.div_euclid(86_400_000).rem_euclid(7)).unwrap_or(0);
    let month = iso[5..7].parse::<usize>().unwrap_or(1) - 1;
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[day],
        &iso[8..10],
        MONTHS[month],
        &iso[..4],
        &iso[11..19]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_http_writes_them() {
        // RFC 9110, 5.6.7, and two days with another weekday and month.
        assert_eq!(httpdate(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(httpdate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(httpdate(951_782_400_000), "Tue, 29 Feb 2000 00:00:00 GMT");
    }
}
