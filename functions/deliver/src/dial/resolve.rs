//! Names to addresses.

use std::io;
use std::net::IpAddr;
use tokio::sync::Semaphore;

/// Most look-ups under way at once: each holds a thread, and a dead name server must not take all of them.
const LOOKUPS: usize = 64;

/// Turns a name into addresses. The guard judges them afterwards, all of them.
#[async_trait::async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a name, in the order they should be tried.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: `/etc/hosts`, search lists and name servers as every other program has them.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Semaphore,
}

impl Default for SystemResolver {
    fn default() -> Self {
        SystemResolver {
            lookups: Semaphore::new(LOOKUPS),
        }
    }
}

#[async_trait::async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let _turn = self.lookups.acquire().await.map_err(io::Error::other)?;
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
