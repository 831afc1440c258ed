//! HTTP Basic with a key's id and secret, for `/metrics` alone: collectors of metrics can do that, and no ACS3.

use crate::service::{AccessKey, Role};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq as _;

/// The role of the key, if the header names one and its secret.
pub(crate) fn verify(keys: &[AccessKey], headers: &HeaderMap) -> Option<Role> {
    let text = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Basic ")?;
    let pair = BASE64.decode(text.trim()).ok()?;
    let split = pair.iter().position(|&byte| byte == b':')?;
    let (id, secret) = (&pair[..split], &pair[split + 1..]);
    let mut role = None;
    for key in keys {
        if bool::from(key.id.as_bytes().ct_eq(id) & key.secret.as_bytes().ct_eq(secret)) {
            role = Some(key.role);
        }
    }
    role
}
