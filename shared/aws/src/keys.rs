//! Keys in Secrets Manager: one secret, a text that its reader understands.

use crate::Clients;
use crate::clients::{Lazy, explain};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use carillon_core::ports::StoreError;
use sha2::{Digest as _, Sha256};

/// The token under which the first value is written. Secrets Manager takes one value for a token: of two processes that
/// both find the secret empty, one writes and the other is told so.
const FIRST: &str = "carillon-first-value-of-this-secret-0001";

/// The token under which the value after this version is written: whoever replaces the same version uses the same token,
/// and Secrets Manager takes one value for it. By version and not by text: a text that an operator puts back is a version
/// of its own, and can be replaced again. Sixty-four characters, as many as a token may have.
fn successor_of(version: &str) -> String {
    use std::fmt::Write as _;
    let mut token = String::with_capacity(64);
    for byte in Sha256::digest(version.as_bytes()) {
        write!(token, "{byte:02x}").expect("writing to a String cannot fail");
    }
    token
}

/// One secret.
#[derive(Clone, Debug)]
pub struct Secret {
    client: Lazy<Client>,
    secret: String,
}

impl Secret {
    /// The secret of this name or ARN.
    #[must_use]
    pub fn new(clients: &Clients, secret: &str) -> Self {
        Secret {
            client: clients.secrets().clone(),
            secret: secret.to_owned(),
        }
    }

    /// Its text; none when it was never written.
    ///
    /// # Errors
    /// [`StoreError`], also when there is no such secret: the stack makes it, without a value.
    pub async fn read(&self) -> Result<Option<String>, StoreError> {
        Ok(self.current().await?.map(|(_, text)| text))
    }

    /// The current version's id, and its text.
    async fn current(&self) -> Result<Option<(String, String)>, StoreError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.secret)
            .send()
            .await;
        match answer {
            Ok(value) => {
                let text = value.secret_string.filter(|text| !text.is_empty());
                Ok(text.map(|text| (value.version_id.unwrap_or_default(), text)))
            }
            // Said of a secret without a value, and of one that does not exist; writing tells the two apart.
            Err(error)
                if error.as_service_error().and_then(|held| held.code())
                    == Some("ResourceNotFoundException") =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed(&explain(&error))),
        }
    }

    /// Writes its first text. Of several processes that do so at once one is heard; what [`read`](Self::read) gives then
    /// is what counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&self, text: &str) -> Result<(), StoreError> {
        if self.current().await?.is_some() {
            return Ok(());
        }
        let written = self
            .client
            .put_secret_value()
            .secret_id(&self.secret)
            .client_request_token(FIRST)
            .secret_string(text)
            .send()
            .await;
        match written {
            Ok(_) => Ok(()),
            // Another value stands under the token: somebody else was first.
            Err(error)
                if error.as_service_error().and_then(|held| held.code())
                    == Some("ResourceExistsException") =>
            {
                Ok(())
            }
            Err(error) => Err(self.failed(&explain(&error))),
        }
    }

    /// Replaces the text `held` by another; `Ok(false)`, and nothing is changed, when somebody else has replaced it
    /// already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace(&self, held: &str, text: &str) -> Result<bool, StoreError> {
        let version = match self.current().await? {
            Some((version, text)) if text == held => version,
            _ => return Ok(false),
        };
        let written = self
            .client
            .put_secret_value()
            .secret_id(&self.secret)
            .client_request_token(successor_of(&version))
            .secret_string(text)
            .send()
            .await;
        match written {
            Ok(_) => Ok(true),
            // Another value stands under the token: somebody else replaced the same text at the same time.
            Err(error)
                if error.as_service_error().and_then(|held| held.code())
                    == Some("ResourceExistsException") =>
            {
                Ok(false)
            }
            Err(error) => Err(self.failed(&explain(&error))),
        }
    }

    fn failed(&self, why: &str) -> StoreError {
        StoreError(format!("secret {:?}: {why}", self.secret))
    }
}
