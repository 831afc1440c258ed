//! Whom TLS trusts.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Roots of trust.
#[derive(Clone, Debug)]
pub struct TlsRoots(RootCertStore);

/// Roots that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file of trusted roots cannot be read: {0}: give PEM text with at least one certificate"
)]
pub struct InvalidRoots(String);

impl Default for TlsRoots {
    /// Mozilla's list, as compiled in.
    fn default() -> Self {
        TlsRoots(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }
}

impl TlsRoots {
    /// These roots and no others.
    #[must_use]
    pub fn none() -> Self {
        TlsRoots(RootCertStore::empty())
    }

    /// Adds an operator's own roots.
    ///
    /// # Errors
    /// [`InvalidRoots`] when the text holds no certificate, or one that is no root.
    pub fn with_pem(mut self, pem: &str) -> Result<Self, InvalidRoots> {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| InvalidRoots(error.to_string()))?;
            self.0
                .add(certificate)
                .map_err(|error| InvalidRoots(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            Err(InvalidRoots("there is no certificate in it".to_owned()))
        } else {
            Ok(self)
        }
    }

    pub(super) fn client_config(self) -> Arc<ClientConfig> {
        // The provider is named: a process that installs another one for its own purposes does not change ours.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring's provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(self.0)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
