//! The service clients: one configuration, one connection pool, each client made when first used.

use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use carillon_core::ports::StoreError;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Time to make a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// Time for one try of a request. Every call here moves a batch; none takes a second on a healthy day. A receive that
/// waits for messages has its waiting time on top.
pub(crate) const TRY: Duration = Duration::from_secs(5);
/// Time for a request with all its tries.
const REQUEST: Duration = Duration::from_secs(20);
/// Tries of a request, the first included. Between them the SDK waits with exponential back-off and full jitter, and
/// its token bucket stops retrying when most requests fail.
const TRIES: u32 = 4;

/// A client of a service that is made when it is first asked for something. Making one reads the certificates of all
/// authorities that the system trusts, most of the time that a function needs to start.
pub struct Lazy<C> {
    made: Arc<OnceLock<C>>,
    config: Arc<SdkConfig>,
    make: fn(&SdkConfig) -> C,
}

impl<C> Lazy<C> {
    fn new(config: &Arc<SdkConfig>, make: fn(&SdkConfig) -> C) -> Self {
        Lazy {
            made: Arc::default(),
            config: config.clone(),
            make,
        }
    }
}

impl<C> Deref for Lazy<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.made.get_or_init(|| (self.make)(&self.config))
    }
}

impl<C> Clone for Lazy<C> {
    fn clone(&self) -> Self {
        Lazy {
            made: self.made.clone(),
            config: self.config.clone(),
            make: self.make,
        }
    }
}

impl<C> fmt::Debug for Lazy<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lazy")
    }
}

/// Makes service clients as they are needed, over one configuration and one pool of connections. A binary holds the code
/// of those services alone that it asks for: nothing else names how their clients are made.
#[derive(Debug)]
pub struct Clients {
    config: Arc<SdkConfig>,
    dynamodb: OnceLock<Lazy<aws_sdk_dynamodb::Client>>,
    s3: OnceLock<Lazy<aws_sdk_s3::Client>>,
    secrets: OnceLock<Lazy<aws_sdk_secretsmanager::Client>>,
    sns: OnceLock<Lazy<aws_sdk_sns::Client>>,
    sqs: OnceLock<Lazy<aws_sdk_sqs::Client>>,
}

impl Clients {
    /// Reads region, credentials and endpoint as every AWS tool does (environment, profile, container, instance), and
    /// makes no request yet.
    pub async fn connect() -> Self {
        Self::over(Self::configuration().await)
    }

    /// The same for a function, whose region and credentials stand in its environment (Lambda: "Defined runtime
    /// environment variables"): no other way to find them is made ready, or is part of its binary. `AWS_ENDPOINT_URL`
    /// names an emulator that stands in for AWS.
    pub async fn of_function() -> Self {
        let credentials = aws_config::environment::EnvironmentVariableCredentialsProvider::new();
        let region = aws_config::environment::EnvironmentVariableRegionProvider::new();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client())
            .retry_config(retries())
            .timeout_config(timeouts())
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(region.region().await);
        let emulator = std::env::var("AWS_ENDPOINT_URL").ok();
        let config = match emulator.filter(|url| !url.is_empty()) {
            Some(url) => config.endpoint_url(url),
            None => config,
        };
        Self::over(config.build())
    }

    /// What [`Clients::connect`] makes clients over.
    pub(crate) async fn configuration() -> SdkConfig {
        Self::common().load().await
    }

    /// The same, but for an emulator at this URL, with credentials that mean nothing.
    pub async fn connect_to(endpoint: &str) -> Self {
        let credentials =
            aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "emulator");
        let config = Self::common()
            .endpoint_url(endpoint)
            .region(aws_sdk_sqs::config::Region::from_static("us-east-1"))
            .credentials_provider(credentials)
            .load()
            .await;
        Self::over(config)
    }

    fn common() -> aws_config::ConfigLoader {
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .retry_config(retries())
            .timeout_config(timeouts())
    }

    /// Makes a table of the form [`DynamoRules`](crate::DynamoRules) uses. The template makes it otherwise; this is for
    /// tests and emulators.
    ///
    /// # Errors
    /// What DynamoDB answers.
    pub async fn make_table(&self, name: &str) -> Result<(), StoreError> {
        let keys = [("pk", KeyType::Hash), ("sk", KeyType::Range)];
        let mut request = self
            .dynamodb()
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest);
        for (key, kind) in keys {
            let definition = AttributeDefinition::builder()
                .attribute_name(key)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("name and type are set");
            let element = KeySchemaElement::builder()
                .attribute_name(key)
                .key_type(kind)
                .build()
                .expect("name and type are set");
            request = request
                .attribute_definitions(definition)
                .key_schema(element);
        }
        let sent = request.send().await;
        sent.map(drop)
            .map_err(|error| StoreError(format!("table {name:?}: {}", explain(&error))))
    }

    /// Clients over a configuration of the caller's: tests give one that talks to a double.
    #[must_use]
    pub fn over(config: SdkConfig) -> Self {
        Clients {
            config: Arc::new(config),
            dynamodb: OnceLock::new(),
            s3: OnceLock::new(),
            secrets: OnceLock::new(),
            sns: OnceLock::new(),
            sqs: OnceLock::new(),
        }
    }

    /// DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> &Lazy<aws_sdk_dynamodb::Client> {
        let make = || Lazy::new(&self.config, aws_sdk_dynamodb::Client::new);
        self.dynamodb.get_or_init(make)
    }

    /// S3.
    #[must_use]
    pub fn s3(&self) -> &Lazy<aws_sdk_s3::Client> {
        let make = || Lazy::new(&self.config, aws_sdk_s3::Client::new);
        self.s3.get_or_init(make)
    }

    /// Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> &Lazy<aws_sdk_secretsmanager::Client> {
        let make = || Lazy::new(&self.config, aws_sdk_secretsmanager::Client::new);
        self.secrets.get_or_init(make)
    }

    /// SNS.
    #[must_use]
    pub fn sns(&self) -> &Lazy<aws_sdk_sns::Client> {
        let make = || Lazy::new(&self.config, aws_sdk_sns::Client::new);
        self.sns.get_or_init(make)
    }

    /// SQS.
    #[must_use]
    pub fn sqs(&self) -> &Lazy<aws_sdk_sqs::Client> {
        let make = || Lazy::new(&self.config, aws_sdk_sqs::Client::new);
        self.sqs.get_or_init(make)
    }
}

fn http_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(TRY)
        .operation_timeout(REQUEST)
        .build()
}

/// An SDK error as one line: code and message of the service where it answered, else what went wrong on the way.
pub(crate) fn explain<E, R>(error: &aws_sdk_sqs::error::SdkError<E, R>) -> String
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match error.as_service_error() {
        Some(service) => match (service.code(), service.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => service.to_string(),
        },
        None => aws_sdk_sqs::error::DisplayErrorContext(error).to_string(),
    }
}
