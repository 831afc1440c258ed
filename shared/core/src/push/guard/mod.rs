//! The address guard: which schemes, hosts, ports and addresses a push may go to.
//!
//! ```
//! use carillon_core::push::guard::{AddressGuard, PushUrl};
//!
//! let guard = AddressGuard::default();
//! assert!(guard.check_url(&PushUrl::parse("https://example.com/hook").unwrap()).is_ok());
//! let refused = guard.check_url(&PushUrl::parse("http://169.254.169.254/latest/meta-data/").unwrap());
//! assert!(refused.unwrap_err().to_string().contains("metadata"));
//! ```
//!
//! # Exact rules
//!
//! 1. [`PushUrl::parse`] takes `http` and `https` alone, no userinfo, no fragment, and only hosts with one meaning: a
//!    name of letters, digits, hyphens and underscores, a dotted quad, or a bracketed IPv6 address without zone. Any
//!    other spelling of a number (`0x7f.1`, `2130706433`, `0177.0.0.1`) is refused, not guessed at.
//! 2. [`AddressGuard::check_url`] is for the moment a subscription is saved: port, names that mean "here", literals.
//! 3. [`AddressGuard::check_address`] is for the moment of dialling, for every address a name resolves to. If it refuses
//!    *any* of them, the dialler must dial none: a name with mixed answers is a name under somebody's control.
//! 4. An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as what it is.
//! 5. The allow-list opens ranges, by CIDR. The addresses of cloud metadata services are never opened.

mod cidr;
mod ranges;
mod url;

pub use cidr::{Cidr, InvalidCidr};
pub use url::{Host, InvalidUrl, PushUrl, Scheme};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address or a URL is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address lies in a special range.
    #[error(
        "{address} is {what}: give a public address, or allow its range (--allow-endpoints CIDR)"
    )]
    Address {
        /// The address as resolved or written.
        address: IpAddr,
        /// The range, in words.
        what: &'static str,
    },
    /// A metadata service; no setting opens it.
    #[error("{0} is a cloud metadata service: no setting opens it")]
    Metadata(String),
    /// A name that means this machine or this network.
    #[error(
        "{0:?} names this machine or its own network: give a public name, or allow its range (--allow-endpoints CIDR)"
    )]
    Name(String),
    /// A port that no web server should have.
    #[error("port {0} is refused: {1}")]
    Port(u16, &'static str),
    /// Plain HTTP where HTTPS is demanded.
    #[error("plain http is switched off: give an https URL")]
    PlainHttp,
}

/// The rules of one installation.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    /// Special ranges that pushes may go to all the same. Nothing by default.
    pub allow: Vec<Cidr>,
    /// Only these ports; empty: 80, 443 and every port from 1024 that is not a known service of another protocol.
    pub ports: Vec<u16>,
    /// Whether plain HTTP is refused. MNS takes both.
    pub https_only: bool,
}

impl AddressGuard {
    /// A guard that opens these ranges.
    #[must_use]
    pub fn allowing(allow: Vec<Cidr>) -> Self {
        AddressGuard {
            allow,
            ..Self::default()
        }
    }

    /// Judges a URL as far as that is possible without resolving its name.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_url(&self, url: &PushUrl) -> Result<(), Refusal> {
        if self.https_only && url.scheme() == Scheme::Http {
            return Err(Refusal::PlainHttp);
        }
        self.check_port(url.port())?;
        match url.host() {
            Host::V4(address) => self.check_address(IpAddr::V4(*address)),
            Host::V6(address) => self.check_address(IpAddr::V6(*address)),
            Host::Name(name) => self.check_name(name),
        }
    }

    /// Judges an address that is about to be dialled.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        match address {
            IpAddr::V4(v4) => self.check_v4(v4, address),
            IpAddr::V6(v6) => self.check_v6(v6, address),
        }
    }

    fn check_v4(&self, v4: Ipv4Addr, shown: IpAddr) -> Result<(), Refusal> {
        if ranges::METADATA_V4.contains(&v4) {
            return Err(Refusal::Metadata(shown.to_string()));
        }
        if self.allows(IpAddr::V4(v4)) {
            return Ok(());
        }
        match ranges::special_v4(v4) {
            Some(what) => Err(Refusal::Address {
                address: shown,
                what,
            }),
            None => Ok(()),
        }
    }

    fn check_v6(&self, v6: Ipv6Addr, shown: IpAddr) -> Result<(), Refusal> {
        if ranges::METADATA_V6.contains(&v6) {
            return Err(Refusal::Metadata(shown.to_string()));
        }
        // A mapped address is dialled as IPv4: nothing but the IPv4 rules can judge it.
        if let Some(v4) = v6.to_ipv4_mapped() {
            return self.check_v4(v4, shown);
        }
        if self.allows(IpAddr::V6(v6)) {
            // Opening a translator's prefix opens the public Internet behind it, not the private networks.
            return match ranges::embedded_v4(v6) {
                Some(v4) => self.check_v4(v4, shown),
                None => Ok(()),
            };
        }
        match ranges::special_v6(v6) {
            Some(what) => Err(Refusal::Address {
                address: shown,
                what,
            }),
            None => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|range| range.contains(address))
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if ranges::METADATA_NAMES.contains(&name) {
            return Err(Refusal::Metadata(name.to_owned()));
        }
        // With ranges opened, a local name may well be meant; its addresses are judged when it is dialled.
        if self.allow.is_empty() && ranges::is_local_name(name) {
            return Err(Refusal::Name(name.to_owned()));
        }
        Ok(())
    }

    fn check_port(&self, port: u16) -> Result<(), Refusal> {
        if port == 0 {
            return Err(Refusal::Port(port, "nothing can listen there"));
        }
        if !self.ports.is_empty() {
            return match self.ports.contains(&port) {
                true => Ok(()),
                false => Err(Refusal::Port(
                    port,
                    "it is not on the list of allowed ports",
                )),
            };
        }
        if port < 1024 && port != 80 && port != 443 {
            return Err(Refusal::Port(
                port,
                "of the ports below 1024 only 80 and 443 are allowed",
            ));
        }
        match ranges::FOREIGN_PORTS.contains(&port) {
            true => Err(Refusal::Port(
                port,
                "a service of another protocol commonly listens there",
            )),
            false => Ok(()),
        }
    }
}
