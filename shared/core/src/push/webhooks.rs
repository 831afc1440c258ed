//! Standard Webhooks 1.0 (standardwebhooks.com, specification): what is signed, how keys are written, and the three
//! headers.

use super::headers::Headers;
use crate::event::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Header with the id: MNS's message id, the same on every attempt, so that a receiver can drop doubles.
pub const ID: &str = "webhook-id";
/// Header with the time of the attempt, epoch seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signatures, separated by blanks.
pub const SIGNATURE: &str = "webhook-signature";

/// What stands before the Base64 of an HMAC secret.
pub const SECRET_PREFIX: &str = "whsec_";
/// What stands before the Base64 of an Ed25519 public key.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// `v1`: HMAC-SHA256.
    Hmac(Vec<u8>),
    /// `v1a`: Ed25519.
    Ed25519(Vec<u8>),
}

/// The value of [`TIMESTAMP`].
#[must_use]
pub fn timestamp(now: Timestamp) -> String {
    now.as_millis().div_euclid(1_000).to_string()
}

/// The bytes that are signed: `id.timestamp.body`. Neither id nor timestamp may hold a dot; ours are hex and decimal
/// digits.
#[must_use]
pub fn content(id: &str, timestamp: &str, body: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.len() + timestamp.len() + body.len() + 2);
    out.extend_from_slice(id.as_bytes());
    out.push(b'.');
    out.extend_from_slice(timestamp.as_bytes());
    out.push(b'.');
    out.extend_from_slice(body.as_bytes());
    out
}

/// Adds the three headers. The signatures stand in the order given: a receiver takes the message when one of them holds.
pub fn push_headers(
    headers: &mut Headers,
    id: String,
    timestamp: String,
    signatures: &[Signature],
) {
    let mut value = String::with_capacity(signatures.len() * 96);
    for signature in signatures {
        if !value.is_empty() {
            value.push(' ');
        }
        let (scheme, bytes) = match signature {
            Signature::Hmac(bytes) => ("v1,", bytes),
            Signature::Ed25519(bytes) => ("v1a,", bytes),
        };
        value.push_str(scheme);
        BASE64.encode_string(bytes, &mut value);
    }
    headers.push((ID, id));
    headers.push((TIMESTAMP, timestamp));
    headers.push((SIGNATURE, value));
}

/// `whsec_...`: an HMAC secret as receivers are given it.
#[must_use]
pub fn secret_text(secret: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", BASE64.encode(secret))
}

/// `whpk_...`: an Ed25519 public key as receivers are given it.
#[must_use]
pub fn public_key_text(key: &[u8]) -> String {
    format!("{PUBLIC_KEY_PREFIX}{}", BASE64.encode(key))
}
