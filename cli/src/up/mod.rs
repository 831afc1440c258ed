//! `carillon up`: the whole service on one machine.

mod choices;
mod object_store;
pub(crate) mod server;
mod service;
mod settings;

pub(crate) use service::Running;
pub(crate) use settings::{KeyArg, Settings};

use crate::failure::{Failure, Outcome};
use crate::offline::OverlapArg;
use crate::output::say;
use carillon_core::event::parse_span;
use carillon_core::rule::Limits;
use clap::{Args, ValueEnum};
use server::Bounds;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Run the whole service on this machine.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Folder that holds the store; made when it is not there.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "carillon-data",
        env = "CARILLON_DATA"
    )]
    data: PathBuf,
    /// Address to listen on. Without access keys, only a loopback address.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:9324",
        env = "CARILLON_LISTEN",
        value_parser = choices::address
    )]
    listen: SocketAddr,
    /// Access key, with the role admin (the default), read-only, publish or consume. With keys given, requests must be
    /// signed. May be repeated.
    #[arg(
        long = "access-key",
        value_name = "ID:SECRET[:ROLE]",
        env = "CARILLON_ACCESS_KEYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    access_keys: Vec<KeyArg>,
    /// Private or loopback range that pushes may go to; none by default. May be repeated.
    #[arg(
        long,
        value_name = "CIDR",
        env = "CARILLON_ALLOW_ENDPOINTS",
        value_delimiter = ','
    )]
    allow_endpoints: Vec<String>,
    /// Owner of buckets, topics and queues where an event does not say: digits.
    #[arg(long, value_name = "DIGITS", default_value = "000000000000", value_parser = account_id)]
    account_id: String,
    /// Region of what does not say its own.
    #[arg(
        long,
        value_name = "REGION",
        env = "AWS_REGION",
        default_value = "us-east-1"
    )]
    region: String,
    /// Whether several rules may claim one event.
    #[arg(long, value_enum, default_value_t = OverlapArg::Refuse)]
    overlap: OverlapArg,
    /// Where receivers reach this service to fetch the certificate of its signatures, for example
    /// `https://carillon.example.com`; without it, the address it listens on.
    #[arg(long, value_name = "URL", env = "CARILLON_PUBLIC_URL")]
    public_url: Option<String>,
    /// File of decoding settings, as JSON: replication roles, vision selectors and the like (see
    /// functions/ingest/src/settings.rs).
    #[arg(long, value_name = "FILE")]
    ingest_settings: Option<PathBuf>,
    #[command(flatten)]
    choices: choices::Choices,
    /// Most rules of a product.
    #[arg(long, value_name = "N", default_value_t = Limits::default().rules)]
    max_rules: usize,
    /// Most resource patterns of a rule.
    #[arg(long, value_name = "N", default_value_t = Limits::default().patterns)]
    max_patterns: usize,
    /// Most endpoints of a rule.
    #[arg(long, value_name = "N", default_value_t = Limits::default().endpoints)]
    max_endpoints: usize,
    /// Most requests a second, of all callers together; more are answered with 429.
    #[arg(long, value_name = "N")]
    max_requests_per_second: Option<u32>,
    /// Most connections at a time; further ones are turned away.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().connections)]
    max_connections: usize,
    /// Seconds that a connection may be idle, or take for the head of a request, before it is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = Bounds::default().idle.as_secs())]
    idle_timeout: u64,
    /// What a 3xx answer of an endpoint means; it is never followed.
    #[arg(long, value_enum, default_value_t = RedirectArg::Accept)]
    redirects: RedirectArg,
    /// Days that attempts of deliveries are kept for `carillon delivery`.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    keep_attempts: u32,
    /// Of successful attempts one in so many is kept; 0 keeps none. Failures are always kept.
    #[arg(long, value_name = "N", default_value_t = 1)]
    log_one_success_in: u32,
    /// How long accepted events are kept, for `carillon replay` and `carillon rule preview`: 90s, 15m, 24h, 7d; 0 keeps
    /// none.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_span)]
    keep_events: Duration,
    /// Most disk space that they may take, compressed; beyond it the oldest go before their time.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = settings::bytes)]
    keep_events_size: u64,
    /// Which signatures HTTP pushes carry.
    #[arg(long, value_enum, default_value_t = SignArg::Both)]
    sign: SignArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RedirectArg {
    /// The notification is delivered.
    Accept,
    /// The attempt failed, and is retried.
    Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SignArg {
    /// MNS's and Standard Webhooks'.
    Both,
    /// MNS's alone.
    Mns,
    /// Standard Webhooks' alone.
    Webhooks,
    /// None.
    None,
}

fn account_id(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("an account id is 1 to 20 digits, for example 123456789012".into())
    }
}

impl UpArgs {
    pub(crate) fn run(&self) -> Outcome {
        logging();
        if self.access_keys.is_empty() && !self.listen.ip().is_loopback() {
            return Err(Failure::Unusable(format!(
                "--listen {}: without access keys only a loopback address is served; give --access-key ID:SECRET, or listen on 127.0.0.1",
                self.listen
            )));
        }
        let ingest = self
            .ingest_settings
            .as_deref()
            .map_or_else(|| Ok(carillon_ingest::Settings::default()), decoding)?;
        let (ingest, object_store) = self.choices.apply(ingest, &self.region)?;
        let settings = Settings {
            ingest,
            object_store,
            listen: self.listen,
            access_keys: self.access_keys.iter().map(KeyArg::key).collect(),
            allow_endpoints: self.allow_endpoints.clone(),
            account_id: self.account_id.clone(),
            region: self.region.clone(),
            overlap: self.overlap.into(),
            limits: Limits {
                rules: self.max_rules,
                patterns: self.max_patterns,
                endpoints: self.max_endpoints,
            },
            max_requests_per_second: self.max_requests_per_second,
            bounds: Bounds {
                connections: self.max_connections,
                idle: Duration::from_secs(self.idle_timeout),
            },
            redirect_is_success: self.redirects == RedirectArg::Accept,
            keep_attempts: Duration::from_secs(u64::from(self.keep_attempts) * 86_400),
            log_one_success_in: self.log_one_success_in,
            keep_events: self.keep_events,
            keep_event_bytes: self.keep_events_size,
            public_url: self.public_url.clone(),
            sign_mns: matches!(self.sign, SignArg::Both | SignArg::Mns),
            sign_webhooks: matches!(self.sign, SignArg::Both | SignArg::Webhooks),
            ..Settings::new(&self.data)
        };
        runtime()?.block_on(async {
            // Asked for before the service starts: a signal that comes meanwhile must not be lost.
            let stop = stop_signal()?;
            let service = Running::start(settings).await?;
            say!("listening on http://{}", service.address());
            stop.await;
            service.stop().await;
            Ok(())
        })
    }
}

/// Reads a file of decoding settings.
fn decoding(path: &Path) -> Result<carillon_ingest::Settings, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Failure::Unusable(format!("--ingest-settings {}: {error}", path.display()))
    })
}

/// The runtime of a process that serves.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unusable(format!("cannot start threads: {error}")))
}

/// Logs go to stderr; `RUST_LOG` chooses what of them.
pub(crate) fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for people, not for files.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Ends when the process is asked to stop: by Ctrl-C, or by SIGTERM as service managers send it.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed =
        |error: std::io::Error| Failure::Unusable(format!("cannot listen for signals: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let _ = failed;
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
