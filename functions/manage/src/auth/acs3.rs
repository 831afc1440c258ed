//! ACS3-HMAC-SHA256 (the vendor's OpenAPI signature, version 3), with any list of signed headers.

use super::{WINDOW, in_window, key, mismatch};
use crate::error::Refused;
use crate::gate::Admitted;
use crate::service::{AccessKey, Role};
use carillon_core::event::Timestamp;
use carillon_core::ports::Marks;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// RFC 3986: all but letters, digits and `-_.~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

fn parse(text: &str) -> Option<Authorization<'_>> {
    let rest = text.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed_headers = Some(value),
            "Signature" => signature = Some(value),
            _ => return None,
        }
    }
    Some(Authorization {
        credential: credential?,
        signed_headers: signed_headers?,
        signature: signature?,
    })
}

/// Verifies the signature, the date and the nonce; gives the key's role. A nonce is taken once: by the marks, so that a
/// request cannot be replayed after a restart either, nor in another process.
pub(crate) async fn verify(
    keys: &[AccessKey],
    marks: &dyn Marks,
    request: &Admitted,
    now: Timestamp,
) -> Result<Role, Refused> {
    let (role, nonce) = verify_signature(keys, request, now)?;
    // Only now, when the sender is known: others must not fill the store. The request is sound until its date is a
    // window old, whatever it was when it came.
    let until = nonce.dated.plus(WINDOW + Duration::from_millis(1));
    match marks.set(&nonce.name, "", now, until).await? {
        None => Ok(role),
        Some(_) => Err(Refused::new(
            400,
            "SignatureNonceUsed",
            "header x-acs-signature-nonce: this nonce was used before; draw a new one for each request",
        )),
    }
}

/// A nonce that came with a sound signature.
struct Nonce {
    /// Under which it is marked.
    name: String,
    /// The request's own date.
    dated: Timestamp,
}

/// A name of bounded length for the nonce of a key.
fn name(key: &str, nonce: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update((key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(nonce.as_bytes());
    format!("nonce:{}", hex(&hasher.finalize()[..16]))
}

fn verify_signature(
    keys: &[AccessKey],
    request: &Admitted,
    now: Timestamp,
) -> Result<(Role, Nonce), Refused> {
    let Some(text) = request.header("authorization") else {
        return Err(Refused::denied(
            "the request is not signed, and access keys are configured: sign it with ACS3-HMAC-SHA256 (header \
             Authorization)",
        ));
    };
    let authorization = parse(text).ok_or_else(|| {
        Refused::denied(
            "header Authorization: give ACS3-HMAC-SHA256 Credential=<key id>,SignedHeaders=<names joined by ;>,\
             Signature=<hex>",
        )
    })?;
    let key = key(keys, authorization.credential)?;

    let body_hash = hex(&Sha256::digest(&request.body));
    let string = string_to_sign(request, authorization.signed_headers, &body_hash);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes())
        .expect("HMAC takes keys of every length");
    mac.update(string.as_bytes());
    let signature = unhex(authorization.signature).ok_or_else(|| mismatch(&string))?;
    mac.verify_slice(&signature)
        .map_err(|_| mismatch(&string))?;

    // From here on the sender is known; what was not signed proves nothing.
    for name in [
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-action",
        "x-acs-version",
        "x-acs-content-sha256",
    ] {
        let signed = authorization
            .signed_headers
            .split(';')
            .any(|signed| signed == name);
        if request.headers.contains_key(name) && !signed {
            return Err(Refused::denied(format!(
                "header {name} is not among SignedHeaders: sign it too"
            )));
        }
    }
    if request
        .header("x-acs-content-sha256")
        .is_some_and(|given| !given.eq_ignore_ascii_case(&body_hash))
    {
        return Err(Refused::new(
            400,
            "InvalidArgument",
            format!(
                "header x-acs-content-sha256 is not the SHA-256 of the body, which is {body_hash}"
            ),
        ));
    }
    let date = request
        .header("x-acs-date")
        .ok_or_else(|| Refused::missing("header x-acs-date"))?;
    let at = Timestamp::parse(date)
        .map_err(|error| Refused::argument("header x-acs-date", date, error))?;
    in_window("header x-acs-date", date, at, now)?;
    let nonce = request
        .header("x-acs-signature-nonce")
        .ok_or_else(|| Refused::missing("header x-acs-signature-nonce"))?;
    let nonce = Nonce {
        name: name(&key.id, nonce),
        dated: at,
    };
    Ok((key.role, nonce))
}

fn string_to_sign(request: &Admitted, signed_headers: &str, body_hash: &str) -> String {
    let mut names: Vec<&str> = signed_headers.split(';').collect();
    names.sort_unstable();
    let mut headers = String::new();
    for name in names {
        let values: Vec<_> = request
            .headers
            .get_all(name.to_ascii_lowercase())
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
            .collect();
        let _ = writeln!(
            headers,
            "{}:{}",
            name.to_ascii_lowercase(),
            values.join(",")
        );
    }
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{signed_headers}\n{body_hash}",
        request.method,
        request.path,
        canonical_query(&request.query)
    );
    format!("{ALGORITHM}\n{}", hex(&Sha256::digest(canonical)))
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| {
            (
                utf8_percent_encode(&name, ENCODED).to_string(),
                utf8_percent_encode(&value, ENCODED).to_string(),
            )
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_nonces_of_their_own() {
        assert_ne!(name("a", "bn"), name("ab", "n"));
        assert_eq!(name("a", &"n".repeat(10_000)).len(), "nonce:".len() + 32);
    }
}
