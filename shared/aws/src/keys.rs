//! Keys in Secrets Manager: one secret, a text that its reader understands.

use crate::Clients;
use crate::clients::explain;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use carillon_core::ports::StoreError;

/// The token under which the first value is written. Secrets Manager takes one value for a token: of two processes that
/// both find the secret empty, one writes and the other is told so.
const FIRST: &str = "carillon-first-value-of-this-secret-0001";

/// One secret.
#[derive(Clone, Debug)]
pub struct Secret {
    client: Client,
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
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.secret)
            .send()
            .await;
        match answer {
            Ok(value) => Ok(value.secret_string.filter(|text| !text.is_empty())),
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

    /// Replaces its text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write(&self, text: &str) -> Result<(), StoreError> {
        self.client
            .put_secret_value()
            .secret_id(&self.secret)
            .secret_string(text)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.failed(&explain(&error)))
    }

    fn failed(&self, why: &str) -> StoreError {
        StoreError(format!("secret {:?}: {why}", self.secret))
    }
}
