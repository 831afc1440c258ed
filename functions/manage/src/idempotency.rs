//! `ClientToken`: a request that is sent again with the same token gets the answer of the first, and changes nothing.
//!
//! A token is remembered for [`KEPT`] by the marks, so over restarts and in every process of the service. It is set once
//! the request has succeeded: a process that dies between the two forgets it, and what the repeated request then meets
//! is the ordinary refusal (`EventRuleAlreadyExist`), never a second rule.

use crate::error::Refused;
use carillon_core::event::Timestamp;
use carillon_core::ports::Marks;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// How long a token is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Longest token, in characters (the vendor's common rule for ClientToken).
const LONGEST: usize = 64;

/// A request that carried a token.
pub(crate) struct Token {
    token: String,
    /// Digest of what was asked, in full: another request under the same token is a mistake.
    asked: String,
}

impl Token {
    /// The token of a request, if it carries one.
    pub(crate) fn of(token: Option<&str>, asked: &str) -> Result<Option<Token>, Refused> {
        let Some(token) = token else { return Ok(None) };
        if token.chars().count() > LONGEST {
            return Err(Refused::argument(
                "ClientToken",
                token,
                "give at most 64 characters",
            ));
        }
        Ok(Some(Token {
            token: token.to_owned(),
            asked: digest(asked),
        }))
    }

    /// Whether this very request has succeeded before.
    pub(crate) async fn seen(&self, marks: &dyn Marks, now: Timestamp) -> Result<bool, Refused> {
        match marks.get(&self.name(), now).await? {
            None => Ok(false),
            Some(asked) if asked == self.asked => Ok(true),
            Some(_) => Err(Refused::new(
                400,
                "IdempotentParameterMismatch",
                format!(
                    "ClientToken, value {:?}: it was used for a request with other parameters; take a new token for a \
                     new request",
                    self.token
                ),
            )),
        }
    }

    /// Remembers that the request has succeeded. That it stands is more than that it is remembered: a failure is logged.
    pub(crate) async fn keep(&self, marks: &dyn Marks, now: Timestamp) {
        let kept = marks
            .set(&self.name(), &self.asked, now, now.plus(KEPT))
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a ClientToken could not be remembered; its request stands");
        }
    }

    fn name(&self) -> String {
        format!("token:{}", digest(&self.token))
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
