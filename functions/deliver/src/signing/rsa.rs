//! RSA PKCS#1 v1.5 with SHA-1 (sha1WithRSAEncryption), which MNS's receivers verify, and the certificate they fetch.

use ::rsa::RsaPrivateKey;
use ::rsa::pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use carillon_core::event::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256};
use std::fmt::Write as _;

/// Bits of the modulus.
const BITS: usize = 2_048;
/// A certificate is valid this long. Receivers of MNS do not look (its own expired in 2016); others may.
const VALID_YEARS: i32 = 20;

/// A key and its certificate, as text.
pub(super) struct Made {
    pub(super) key: String,
    pub(super) certificate: String,
    pub(super) file: String,
}

/// Makes a key pair and a self-signed certificate. Takes a good part of a second.
pub(super) fn generate(now: Timestamp) -> Result<Made, String> {
    let key = RsaPrivateKey::new(&mut ::rsa::rand_core::OsRng, BITS).map_err(text)?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(text)?;
    let public = key.to_public_key().to_public_key_der().map_err(text)?;

    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Carillon push signing");
    params.distinguished_name = name;
    let year = year_of(now);
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + VALID_YEARS, 1, 1);
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).map_err(text)?;
    let certificate = params.self_signed(&pair).map_err(text)?;

    let digest = ring::digest::digest(&ring::digest::SHA256, public.as_bytes());
    let mut file = String::from("carillon-");
    for byte in &digest.as_ref()[..16] {
        write!(file, "{byte:02x}").map_err(text)?;
    }
    file.push_str(".pem");
    Ok(Made {
        key: pem.to_string(),
        certificate: certificate.pem(),
        file,
    })
}

fn year_of(now: Timestamp) -> i32 {
    let iso = now.to_iso();
    // Before 1970 and after 9999 there is no certificate worth making; the bounds keep the date itself sound.
    iso.get(..4)
        .and_then(|year| year.parse().ok())
        .unwrap_or(1970)
        .clamp(1970, 9_900)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A private key, ready to sign.
pub(super) struct Key {
    #[cfg(not(feature = "openssl"))]
    key: RsaPrivateKey,
    #[cfg(feature = "openssl")]
    key: openssl::pkey::PKey<openssl::pkey::Private>,
}

#[cfg(not(feature = "openssl"))]
impl Key {
    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem).map_err(text)?;
        Ok(Key { key })
    }

    /// Signs with blinding: the time it takes says nothing of the key.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, message);
        // DER of the DigestInfo for SHA-1, up to the digest itself (RFC 8017, 9.2, note 1).
        const SHA1_DIGEST_INFO: [u8; 15] = [
            0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04,
            0x14,
        ];
        let padding = ::rsa::Pkcs1v15Sign {
            hash_len: Some(20),
            prefix: SHA1_DIGEST_INFO.into(),
        };
        self.key
            .sign_with_rng(&mut ::rsa::rand_core::OsRng, padding, digest.as_ref())
            .map_err(text)
    }
}

#[cfg(feature = "openssl")]
impl Key {
    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        // Read by `rsa` too, so that a document is sound in every build or in none.
        RsaPrivateKey::from_pkcs8_pem(pem).map_err(text)?;
        let key = openssl::pkey::PKey::private_key_from_pem(pem.as_bytes()).map_err(text)?;
        Ok(Key { key })
    }

    /// OpenSSL blinds by itself.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let sha1 = openssl::hash::MessageDigest::sha1();
        let mut signer = openssl::sign::Signer::new(sha1, &self.key).map_err(text)?;
        signer.sign_oneshot_to_vec(message).map_err(text)
    }
}
