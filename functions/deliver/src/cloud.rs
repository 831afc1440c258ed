//! The signing keys on AWS, for the deliver function and for the control plane: the one part of this library that knows
//! AWS; with feature `aws` alone.

use crate::signing::{CertificatePlace, KeyStore};
use carillon_aws::{CertificateShelf, Secret};
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

/// The shelf that the world's function serves certificates from.
pub struct Shelf(pub CertificateShelf);

impl std::fmt::Debug for Shelf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Shelf")
    }
}

#[async_trait::async_trait]
impl CertificatePlace for Shelf {
    async fn put(&self, file: &str, pem: &str) -> Result<(), StoreError> {
        self.0.put(file, pem).await
    }

    async fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.0.remove(file).await
    }
}
