//! The ports of Carillon on AWS: rules in DynamoDB, stages and users' queues in SQS, topics of SNS, keys in Secrets
//! Manager.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use carillon_aws::{Clients, DynamoRules, Settings};
//! use carillon_core::ports::RuleStore;
//!
//! let settings = Settings::from_environment()?;
//! let clients = Clients::connect().await;
//! let rules = DynamoRules::new(&clients, &settings.table);
//! println!("the rules are at version {}", rules.version().await?);
//! # Ok(())
//! # }
//! ```
//!
//! # Exact rules
//!
//! * **One table.** Rules, topics and subscriptions lie under one partition key with one version item; dead letters lie
//!   beside them. A commit is one transaction on the version item: two racing commits on one version cannot both
//!   succeed. See [`DynamoRules`] for commits larger than a transaction of DynamoDB.
//! * **Batches everywhere.** Sends go ten entries and 1 MiB to a request, several requests at once; each entry has its
//!   own result, and entries that SQS did not take because of its own trouble are sent again, alone, before they count
//!   as failed.
//! * **Nothing waits for ever.** Every request has a time limit, and a bounded number of tries with jitter between them.
//! * **One TLS stack**: rustls on ring. Clients are made when first used.
//!
//! # What it will not do
//!
//! It decides nothing: what is sent, when and again is the handlers' business. It reads the environment in one place,
//! [`Settings::from_environment`].

mod archive;
mod attempts;
mod certificates;
mod clients;
mod dead_letters;
mod keys;
#[cfg(feature = "lambda")]
pub mod lambda;
mod marks;
mod memory;
pub mod metrics;
mod object_metadata;
#[cfg(feature = "operator")]
pub mod operator;
mod put;
mod queue;
mod settings;
mod sns;
mod store;
mod world;

pub use archive::EventBucket;
pub use attempts::AttemptLines;
pub use certificates::CertificateShelf;
pub use clients::{Clients, Lazy};
pub use dead_letters::DynamoDeadLetters;
pub use keys::Secret;
pub use marks::DynamoMarks;
pub use memory::{DynamoSizes, DynamoWindow};
pub use object_metadata::S3ObjectMetadata;
pub use queue::{MAX_ENTRIES, MAX_REQUEST_BYTES, Queues, StageQueues, requests, sqs_delay};
pub use settings::{InvalidSetting, Settings, StageUrls};
pub use sns::SnsPublisher;
pub use store::{DynamoRules, MAX_ACTIONS};
pub use world::{SystemClock, SystemRandom};
