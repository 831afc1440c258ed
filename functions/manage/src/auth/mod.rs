//! Who asks: ACS3-HMAC-SHA256 for the management API and direct publish, MNS HMAC-SHA1 for the queue interface; without
//! keys, only requests to a loopback host that no page from elsewhere could have made.

pub(crate) mod acs3;
pub(crate) mod basic;
pub(crate) mod loopback;
pub(crate) mod mns;
use crate::error::{Refused, shown};
use crate::service::AccessKey;
use carillon_core::event::Timestamp;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How far a request's date may lie from ours (the vendor's receivers are told 15 minutes; so is ACS3).
pub(crate) const WINDOW: Duration = Duration::from_secs(15 * 60);

/// The key of that id. Every key is looked at, so that the time tells nothing of which ids there are.
fn key<'a>(keys: &'a [AccessKey], id: &str) -> Result<&'a AccessKey, Refused> {
    let mut found = None;
    for key in keys {
        if bool::from(key.id.as_bytes().ct_eq(id.as_bytes())) {
            found = Some(key);
        }
    }
    found.ok_or_else(|| {
        Refused::new(
            403,
            "InvalidAccessKeyId",
            format!(
                "there is no access key {}: correct the id, or give the key to the service",
                shown(id)
            ),
        )
    })
}

fn mismatch(string_to_sign: &str) -> Refused {
    // The vendor shows its string to sign as well: it holds nothing secret, and without it nobody finds the difference.
    Refused::new(
        403,
        "SignatureDoesNotMatch",
        format!(
            "the signature does not match: check the secret, and compare the string you signed with the one signed \
             here: {string_to_sign:?}"
        ),
    )
}

fn in_window(header: &str, text: &str, at: Timestamp, now: Timestamp) -> Result<(), Refused> {
    if at.since(now) > WINDOW || now.since(at) > WINDOW {
        return Err(Refused::new(
            403,
            "TimeExpired",
            format!(
                "{header}, value {}: more than 15 minutes away from this service's clock, which says {now}: set the \
                 sender's clock, and sign each request when it is sent",
                shown(text)
            ),
        ));
    }
    Ok(())
}
