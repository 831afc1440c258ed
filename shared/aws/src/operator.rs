//! An operator at a machine of their own: region and credentials as every AWS tool finds them, and requests signed with
//! them (SigV4) where no client of a service is worth its size.

use crate::Clients;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use std::time::SystemTime;

/// Why nothing can be asked of AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// No region.
    #[error("no region is set: set AWS_REGION, or give the profile one (`aws configure`)")]
    NoRegion,
    /// No credentials.
    #[error(
        "no AWS credentials are at hand: sign in (`aws sso login`), or set AWS_PROFILE or the keys ({0})"
    )]
    NoCredentials(String),
    /// A request that cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsignable(String),
}

/// An operator's access to AWS. Credentials are fetched once: commands are short.
#[derive(Clone, Debug)]
pub struct Operator {
    config: SdkConfig,
    region: String,
    credentials: Credentials,
}

/// A request to be signed.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'a> {
    /// The service's name in signatures: `s3`, `lambda`, `cloudformation`.
    pub service: &'a str,
    /// The region in the signature.
    pub region: &'a str,
    /// Method.
    pub method: &'a str,
    /// The whole URL, percent-encoded.
    pub url: &'a str,
    /// Headers, all of which are signed; `host` is added.
    pub headers: &'a [(&'static str, String)],
    /// The body.
    pub body: &'a [u8],
}

impl Operator {
    /// Finds region and credentials (environment, profile, SSO, container, instance).
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn find() -> Result<Self, OperatorError> {
        let config = Clients::configuration().await;
        let region = config.region().ok_or(OperatorError::NoRegion)?.to_string();
        let provider = config
            .credentials_provider()
            .ok_or_else(|| OperatorError::NoCredentials("no provider".to_owned()))?;
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| OperatorError::NoCredentials(error.to_string()))?;
        Ok(Operator {
            config,
            region,
            credentials,
        })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// `AWS_ENDPOINT_URL`, where an emulator stands in for AWS.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.config.endpoint_url()
    }

    /// Clients of the services.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients::over(self.config.clone())
    }

    /// The headers that sign a request.
    ///
    /// # Errors
    /// [`OperatorError::Unsignable`] when URL or headers are none.
    pub fn sign(&self, what: ToSign<'_>) -> Result<Vec<(String, String)>, OperatorError> {
        signed(self.credentials.clone(), what, SystemTime::now())
    }
}

fn signed(
    credentials: Credentials,
    what: ToSign<'_>,
    now: SystemTime,
) -> Result<Vec<(String, String)>, OperatorError> {
    let wrong = |error: &dyn std::fmt::Display| OperatorError::Unsignable(error.to_string());
    let mut settings = SigningSettings::default();
    if what.service == "s3" {
        // S3 takes a path as it stands, and wants the body's hash as a header.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(what.region)
        .name(what.service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| wrong(&error))?
        .into();
    let headers = what
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    let request = SignableRequest::new(
        what.method,
        what.url,
        headers,
        SignableBody::Bytes(what.body),
    )
    .map_err(|error| wrong(&error))?;
    let (instructions, _) = sign(request, &params)
        .map_err(|error| wrong(&error))?
        .into_parts();
    Ok(instructions
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_signature_is_the_one_of_aws_s_own_example() {
        // "GET Bucket Lifecycle" of S3's "Authenticating Requests (AWS Signature Version 4)".
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "example",
        );
        let what = ToSign {
            service: "s3",
            region: "us-east-1",
            method: "GET",
            url: "https://examplebucket.s3.amazonaws.com/?lifecycle",
            headers: &[],
            body: b"",
        };
        // 2013-05-24T00:00:00Z.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let headers = signed(credentials, what, now).unwrap();
        let authorization = headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .unwrap();
        assert!(
            authorization.1.ends_with(
                "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
            ),
            "{}",
            authorization.1
        );
    }
}
