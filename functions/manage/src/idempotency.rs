//! `ClientToken`: a request that is sent again with the same token gets the answer of the first, and changes nothing.
//!
//! Tokens are kept in memory for [`KEPT`], so a restart forgets them; what a repeated request then meets is the
//! ordinary refusal (`EventRuleAlreadyExist`), never a second rule.

use crate::error::Refused;
use carillon_core::event::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a token is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most tokens remembered; beyond it the oldest are forgotten.
const MOST: usize = 100_000;
/// Longest token, in characters (the vendor's common rule for ClientToken).
const LONGEST: usize = 64;

struct Kept {
    /// What was asked, in full: another request under the same token is a mistake.
    asked: String,
    at: Timestamp,
}

/// Tokens of requests that succeeded.
#[derive(Default)]
pub(crate) struct Tokens {
    kept: Mutex<HashMap<String, Kept>>,
}

impl Tokens {
    /// Whether this very request has succeeded before.
    pub(crate) fn seen(
        &self,
        token: Option<&str>,
        asked: &str,
        now: Timestamp,
    ) -> Result<bool, Refused> {
        let Some(token) = token else { return Ok(false) };
        if token.chars().count() > LONGEST {
            return Err(Refused::argument(
                "ClientToken",
                token,
                "give at most 64 characters",
            ));
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(token) {
            Some(kept) if now.since(kept.at) < KEPT => {
                if kept.asked == asked {
                    Ok(true)
                } else {
                    Err(Refused::new(
                        400,
                        "IdempotentParameterMismatch",
                        format!(
                            "ClientToken, value {token:?}: it was used for a request with other parameters; take a \
                             new token for a new request"
                        ),
                    ))
                }
            }
            _ => Ok(false),
        }
    }

    /// Remembers a request that succeeded.
    pub(crate) fn keep(&self, token: Option<&str>, asked: String, now: Timestamp) {
        let Some(token) = token else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, kept| now.since(kept.at) < KEPT);
        }
        if kept.len() >= MOST {
            // Clients that never repeat a token within a day would otherwise fill the memory.
            kept.clear();
        }
        kept.insert(token.to_owned(), Kept { asked, at: now });
    }
}
