//! What can be set about the service on one machine.

use super::object_store::ObjectStore;
use carillon_core::rule::Limits;
use carillon_manage::{AccessKey, Overlap, Role};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Settings of the service.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Folder of the store.
    pub(crate) data: PathBuf,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Keys; none: requests are not signed.
    pub(crate) access_keys: Vec<AccessKey>,
    /// Ranges that pushes may go to although they are private, as CIDR.
    pub(crate) allow_endpoints: Vec<String>,
    /// Owner of what does not name its owner.
    pub(crate) account_id: String,
    /// Region of what does not name its region.
    pub(crate) region: String,
    /// Whether several rules may claim one event.
    pub(crate) overlap: Overlap,
    /// How bodies are decoded; its account and region are overruled by those above.
    pub(crate) ingest: carillon_ingest::Settings,
    /// The store that is asked for objects' metadata, when ingest's settings want that.
    pub(crate) object_store: Option<Arc<ObjectStore>>,
    /// How much there may be of rules.
    pub(crate) limits: Limits,
    /// Most requests a second; none: as many as come.
    pub(crate) max_requests_per_second: Option<u32>,
    /// How many connections, and for how long an idle one.
    pub(crate) bounds: super::server::Bounds,
    /// Whether a 3xx answer of an endpoint counts as delivered.
    pub(crate) redirect_is_success: bool,
    /// How long attempts are kept.
    pub(crate) keep_attempts: Duration,
    /// Of successful attempts one in so many is kept.
    pub(crate) log_one_success_in: u32,
    /// How long accepted events are kept for replay and preview; zero: not at all.
    pub(crate) keep_events: Duration,
    /// Most bytes that they may take.
    pub(crate) keep_event_bytes: u64,
    /// Where receivers reach this service to fetch its certificate; none: the address it listens on.
    pub(crate) public_url: Option<String>,
    /// Whether pushes carry MNS's signature.
    pub(crate) sign_mns: bool,
    /// Whether pushes carry Standard Webhooks' signatures.
    pub(crate) sign_webhooks: bool,
}

impl Settings {
    /// The shipped settings, on a folder.
    pub(crate) fn new(data: &Path) -> Self {
        Settings {
            data: data.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9324)),
            access_keys: Vec::new(),
            allow_endpoints: Vec::new(),
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            overlap: Overlap::default(),
            ingest: carillon_ingest::Settings::default(),
            object_store: None,
            limits: Limits::default(),
            max_requests_per_second: None,
            bounds: super::server::Bounds::default(),
            redirect_is_success: true,
            keep_attempts: Duration::from_secs(7 * 86_400),
            log_one_success_in: 1,
            keep_events: Duration::from_secs(86_400),
            keep_event_bytes: 1 << 30,
            public_url: None,
            sign_mns: true,
            sign_webhooks: true,
        }
    }
}

/// Reads a number of bytes: `1GiB`, `512MiB`, `64KiB`, or the bare number.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("", 1),
    ];
    units
        .into_iter()
        .find_map(|(unit, size)| {
            let number = text.strip_suffix(unit)?.trim_end();
            number.parse::<u64>().ok()?.checked_mul(size)
        })
        .ok_or_else(|| "write a size like 1GiB, 512MiB or 65536".to_owned())
}

/// `ID:SECRET` or `ID:SECRET:ROLE`.
#[derive(Clone, Debug)]
pub(crate) struct KeyArg(AccessKey);

impl KeyArg {
    pub(crate) fn key(&self) -> AccessKey {
        self.0.clone()
    }
}

impl FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The value is a secret: an error must not repeat it.
        let form =
            "write ID:SECRET or ID:SECRET:ROLE, with the role admin, read-only, publish or consume";
        let mut parts = text.splitn(3, ':');
        let (id, secret) = match (parts.next(), parts.next()) {
            (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() => (id, secret),
            _ => return Err(form.into()),
        };
        let role = parts
            .next()
            .map_or(Some(Role::Admin), Role::parse)
            .ok_or(form)?;
        Ok(KeyArg(AccessKey {
            id: id.into(),
            secret: secret.into(),
            role,
        }))
    }
}
