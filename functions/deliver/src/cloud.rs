//! The signing keys on AWS, for the deliver function and for the control plane: the one part of this library that knows
//! AWS; with feature `aws` alone.

use crate::signing::KeyStore;
use carillon_aws::Secret;
use carillon_core::ports::StoreError;

/// The key document in Secrets Manager.
pub struct KeyDocument(pub Secret);

impl std::fmt::Debug for KeyDocument {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyDocument")
    }
}

#[async_trait::async_trait]
impl KeyStore for KeyDocument {
    async fn load(&self) -> Result<Option<String>, StoreError> {
        self.0.read().await
    }

    async fn create(&self, document: &str) -> Result<(), StoreError> {
        self.0.create(document).await
    }

    async fn replace(&self, held: &str, document: &str) -> Result<bool, StoreError> {
        self.0.replace(held, document).await
    }
}
