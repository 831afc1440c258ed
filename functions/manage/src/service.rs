//! What the control plane works with: its ports, its settings, and the little it remembers.

use crate::ledger::Ledger;
use crate::metrics::Counters;
use crate::throttle::Throttle;
use carillon_core::event::{Event, Timestamp};
use carillon_core::ports::{
    AttemptQuery, Certificates, Clock, DeadLetterAdmin, EventArchive, Marks, MemoryMarks,
    MetricsText, Publisher, QueueAdmin, QueueConsumer, QueueSender, Random, RuleStore, SigningKeys,
    SnsTopics,
};
use carillon_core::ruleset::{Overlap, SnapshotCache};
use carillon_core::topic::Subscription;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Says whether a URL may be subscribed (the address guard's first check); `Err` holds the reason, for a person.
pub type UrlCheck = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Secrets by which a receiver verifies pushes (Standard Webhooks).
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// `whsec_...`: signs with HMAC.
    pub secret: String,
    /// `whpk_...`: verifies what the service's own key signed.
    pub public_key: String,
}

impl std::fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A secret has no place in a log.
        f.debug_struct("WebhookSecrets")
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

/// Reads a body of a source that the control plane does not know itself, of the product named where the body does not
/// say; `Err` holds the reason, for a person. Used by ExplainEvent and PreviewEventRule alone.
pub type Decode = Arc<dyn Fn(&[u8], &str) -> Result<Vec<Event>, String> + Send + Sync>;

/// Finds the secrets of a subscription.
pub type WebhookSecretsOf = Arc<dyn Fn(&Subscription) -> Option<WebhookSecrets> + Send + Sync>;

/// The world, as the control plane sees it. The optional ones answer a clear error when they are not there.
#[derive(Clone)]
pub struct Ports {
    /// Rules, topics, subscriptions.
    pub rules: Arc<dyn RuleStore>,
    /// Makes and unmakes queues.
    pub queues: Arc<dyn QueueAdmin>,
    /// Sends to queues.
    pub sender: Arc<dyn QueueSender>,
    /// Receives from queues.
    pub consumer: Arc<dyn QueueConsumer>,
    /// Takes published events.
    pub publisher: Arc<dyn Publisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub random: Arc<dyn Random>,
    /// The attempt log.
    pub attempts: Option<Arc<dyn AttemptQuery>>,
    /// The dead letters.
    pub dead_letters: Option<Arc<dyn DeadLetterAdmin>>,
    /// Certificates of HTTP pushes.
    pub certificates: Option<Arc<dyn Certificates>>,
    /// Further lines for `/metrics`.
    pub metrics: Vec<Arc<dyn MetricsText>>,
    /// Remembers nonces and client tokens, for all processes of the service and over their restarts. None: this process
    /// remembers them until it ends.
    pub marks: Option<Arc<dyn Marks>>,
    /// The secrets of subscriptions, shown to keys with the admin role.
    pub webhook_secrets: Option<WebhookSecretsOf>,
    /// Checks the URLs of HTTP endpoints; none: every URL that is one.
    pub url_check: Option<UrlCheck>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Looks at everything but secrets, changes nothing.
    ReadOnly,
    /// Publishes events and sends messages to queues.
    Publish,
    /// Receives, peeks, deletes messages and changes their visibility.
    Consume,
}

impl Role {
    /// Reads `admin`, `read-only`, `publish` or `consume`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Role> {
        match text {
            "admin" => Some(Role::Admin),
            "read-only" => Some(Role::ReadOnly),
            "publish" => Some(Role::Publish),
            "consume" => Some(Role::Consume),
            _ => None,
        }
    }

    /// As [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::ReadOnly => "read-only",
            Role::Publish => "publish",
            Role::Consume => "consume",
        }
    }
}

/// A key that requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id; travels with each request.
    pub id: String,
    /// Its secret; never travels.
    pub secret: String,
    /// What it may do.
    pub role: Role,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A secret has no place in a log.
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rules of a product, and what one rule may hold.
    pub rules: carillon_core::rule::Limits,
    /// Topics (MNS limits: 1 000). Shipped: 200 000, since every rule has one.
    pub topics: usize,
    /// Queues (MNS limits: 1 000).
    pub queues: usize,
    /// Subscriptions of a topic (MNS limits: 100).
    pub subscriptions_per_topic: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            rules: carillon_core::rule::Limits::default(),
            topics: 200_000,
            queues: 1_000,
            subscriptions_per_topic: 100,
        }
    }
}

/// Settings of the control plane.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Owner of topics and queues: decimal digits.
    pub account_id: String,
    /// Region in endpoint names.
    pub region: String,
    /// See [`Limits`].
    pub limits: Limits,
    /// See [`Overlap`].
    pub overlap: Overlap,
    /// Keys. Empty: requests are not signed, and only such as name a loopback host are answered.
    pub access_keys: Vec<AccessKey>,
    /// Further `Host` values that are answered without keys, for example the listen address.
    pub hosts: Vec<String>,
    /// Largest request body, in bytes; those of the queue interface may be half as large again.
    pub max_body: usize,
    /// Largest body of ApplyEventRules, in bytes: a file of 100 000 rules. One request at a time may be larger than
    /// [`max_body`](Self::max_body).
    pub max_rule_file: usize,
    /// Most requests a second, of all callers together; more are answered with 429. None: as many as come.
    pub max_requests_per_second: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            limits: Limits::default(),
            overlap: Overlap::default(),
            access_keys: Vec::new(),
            hosts: Vec::new(),
            // Sixteen messages of 64 KiB are exactly this.
            max_body: 1024 * 1024,
            max_rule_file: 64 * 1024 * 1024,
            max_requests_per_second: None,
        }
    }
}

/// The control plane. Make one per process and give it to [`router`](crate::router).
pub struct Service {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    /// See [`Service::decoding_with`].
    pub(crate) decode: Option<Decode>,
    /// See [`Service::remembering`].
    pub(crate) archive: Option<Arc<dyn EventArchive>>,
    /// The rules as events are judged by them; loaded when first asked for.
    pub(crate) snapshots: SnapshotCache,
    /// See [`Service::with_sns`].
    pub(crate) sns: Option<Arc<dyn SnsTopics>>,
    /// See [`Service::turning_keys_over`].
    pub(crate) signing_keys: Option<Arc<dyn SigningKeys>>,
    /// Rules, topics and subscriptions as this process knows them.
    pub(crate) ledger: Ledger,
    /// Nonces seen within the clock window, so that a replayed request is refused, and tokens of requests that succeeded.
    pub(crate) marks: Arc<dyn Marks>,
    /// Holds the rate of requests.
    pub(crate) throttle: Throttle,
    /// Numbers for `/metrics`.
    pub(crate) counters: Counters,
    /// Held by the one request whose body may be larger than the others'.
    pub(crate) large: Arc<Semaphore>,
}

impl Service {
    /// A control plane over these ports.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings) -> Self {
        Service {
            ledger: Ledger::new(ports.rules.clone(), settings.limits.rules, settings.overlap),
            marks: ports
                .marks
                .clone()
                .unwrap_or_else(|| Arc::new(MemoryMarks::default())),
            throttle: Throttle::default(),
            counters: Counters::default(),
            large: Arc::new(Semaphore::new(1)),
            decode: None,
            archive: None,
            snapshots: SnapshotCache::new(ports.rules.clone()),
            sns: None,
            signing_keys: None,
            ports,
            settings,
        }
    }

    /// Lets ExplainEvent and PreviewEventRule take every body that `decode` reads, beside OSS events.
    #[must_use]
    pub fn decoding_with(mut self, decode: Decode) -> Self {
        self.decode = Some(decode);
        self
    }

    /// Gives the service the history of accepted events, for ReplayEvents and PreviewEventRule.
    #[must_use]
    pub fn remembering(mut self, archive: Arc<dyn EventArchive>) -> Self {
        self.archive = Some(archive);
        self
    }

    /// Lets rules and subscriptions name topics of SNS. Without it they are refused.
    #[must_use]
    pub fn with_sns(mut self, sns: Arc<dyn SnsTopics>) -> Self {
        self.sns = Some(sns);
        self
    }

    /// Lets an operator list, rotate and retire the keys that sign pushes, and shows the keys of subscriptions as these
    /// have them; [`Ports::webhook_secrets`] is not asked then.
    #[must_use]
    pub fn turning_keys_over(mut self, keys: Arc<dyn SigningKeys>) -> Self {
        self.signing_keys = Some(keys);
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// A request id as SMQ gives them: a UUID in upper case.
    pub(crate) fn request_id(&self) -> String {
        let (a, b) = (self.ports.random.draw(), self.ports.random.draw());
        format!(
            "{:08X}-{:04X}-{:04X}-{:04X}-{:012X}",
            a >> 32,
            (a >> 16) & 0xFFFF,
            // Version 4 and variant 1 of RFC 9562, so that strict readers take it.
            (a & 0x0FFF) | 0x4000,
            ((b >> 48) & 0x3FFF) | 0x8000,
            b & 0xFFFF_FFFF_FFFF
        )
    }

    /// A request id as the MNS queue interface gives them: 24 hex digits.
    pub(crate) fn mns_request_id(&self) -> String {
        format!(
            "{:016X}{:08X}",
            self.ports.random.draw(),
            self.ports.random.draw() & 0xFFFF_FFFF
        )
    }
}
