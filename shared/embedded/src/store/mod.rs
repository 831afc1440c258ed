//! The store: one file, one writer, several readers.
//!
//! ```text
//!  senders ──┐                 ┌─ begin
//!  receivers ┼─► [inbox] ─────►│  every waiting request, each in its own savepoint
//!  stages ───┘   bounded       │  commit: to the log, not to the disk   (the writer thread)
//!      ▲                       └─ hand out what became visible, and what was handed on in memory ──┐
//!      ├───────────────────────────────────────────────────────────────────────────────────────────┘
//!      └── answers ◄── [disk]: one wait for all that was committed meanwhile (see `disk.rs`)
//!  lists, peeks, searches ───► [readers]: connections of their own, never in the writer's way
//! ```

mod commit;
mod disk;
mod inbox;
mod ledger;
mod open;
mod outage;
mod private;
mod readers;
mod schema;
mod writer;

pub(crate) use inbox::{Answer, Care, Job};
pub(crate) use ledger::{Ledger, Outcome};
pub use open::OpenError;
pub(crate) use outage::{FromOutage, Outage};

use crate::settings::Settings;
use inbox::Inbox;
use readers::Readers;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Everything Carillon keeps on one machine; implements all ports of storage. Cheap to clone: clones are handles of the
/// same store. The last one to go closes it.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    path: PathBuf,
    /// Held for as long as the store is open; goes last.
    _ownership: open::Ownership,
}

/// What the handles and the writer thread both see.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox,
    pub(crate) readers: Readers,
    pub(crate) rules_version: AtomicU64,
    pub(crate) settings: Settings,
    pub(crate) stage_numbers: [crate::stage::Numbers; 3],
    pub(crate) attempt_counts: crate::metrics::AttemptCounts,
    /// Moves when attempts were recorded.
    pub(crate) attempts: tokio::sync::watch::Sender<u64>,
    pub(crate) counters: Counters,
    pub(crate) successes: crate::attempts::Successes,
    waiting: disk::Waiting,
    /// Names the next call of a handler.
    pub(crate) next_flight: AtomicU64,
}

/// What the store counts, for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) transactions: AtomicU64,
    pub(crate) syncs: AtomicU64,
    /// Records and messages that were settled before they ever had to be written.
    pub(crate) passed: AtomicU64,
    /// Those that had to be written after all.
    pub(crate) spilled: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.path.display())
    }
}

impl Store {
    /// Opens the store in the directory `data`, and makes both when they are not there. Only one process at a time can
    /// have it open; the claim of a killed process ends with it. Leases on records between stages are free again;
    /// those on users' messages stand, since their consumers are other processes.
    ///
    /// Reads and writes files while it runs: call it before the service takes requests.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(data: impl AsRef<Path>, settings: Settings) -> Result<Store, OpenError> {
        open::open(data.as_ref(), None, settings)
    }

    /// A store in a directory of its own that goes with it, for tests and demonstrations. It survives nothing.
    ///
    /// # Errors
    /// [`OpenError`] when the system's temporary directory cannot be written.
    pub fn open_temporary(settings: Settings) -> Result<Store, OpenError> {
        open::open_temporary(settings)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Finishes what was handed in and closes the store, for all its handles. Later requests are refused.
    pub async fn close(&self) {
        self.inner.shared.inbox.close();
        let thread = self.inner.take_thread();
        if let Some(thread) = thread {
            // The closure cannot panic: a panic of the writer comes back as the join's result.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Does work in the writer's next transaction, and answers when it is durable. `bytes`: how much the work carries.
    pub(crate) async fn write<T, E>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Ledger) -> Outcome<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: FromOutage + Send + 'static,
    {
        self.submit(Care::Durable, bytes, work).await
    }

    /// As [`write`](Self::write), with another care.
    pub(crate) async fn write_with<T, E>(
        &self,
        care: Care,
        bytes: usize,
        work: impl FnOnce(&mut Ledger) -> Outcome<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: FromOutage + Send + 'static,
    {
        self.submit(care, bytes, work).await
    }

    async fn submit<T, E>(
        &self,
        care: Care,
        bytes: usize,
        work: impl FnOnce(&mut Ledger) -> Outcome<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: FromOutage + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let run = Box::new(move |ledger: &mut Ledger| -> Answer {
            let outcome = ledger.alone(work);
            Box::new(move |fate| {
                // Whoever asked may have gone; the work stands all the same.
                let _ = tell.send(match fate {
                    Ok(()) => outcome,
                    Err(outage) => outcome.and_then(|_| Err(E::from_outage(outage.clone()))),
                });
            })
        });
        let shared = &self.inner.shared;
        let pushed = shared.inbox.push(Job::Write { care, run }, bytes).await;
        match pushed {
            Ok(()) => told
                .await
                .unwrap_or_else(|_| Err(E::from_outage(Outage::closed()))),
            Err(outage) => Err(E::from_outage(outage)),
        }
    }

    /// Reads on a connection of its own.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Outage> {
        if self.is_closed() {
            return Err(Outage::closed());
        }
        self.inner.shared.readers.run(work).await
    }

    /// Whether the store was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.shared.inbox.is_closed()
    }

    /// Names a call of a handler.
    pub(crate) fn next_flight(&self) -> u64 {
        self.inner
            .shared
            .next_flight
            .fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn rules_version(&self) -> u64 {
        self.inner.shared.rules_version.load(Ordering::Acquire)
    }
}

impl Inner {
    fn take_thread(&self) -> Option<std::thread::JoinHandle<()>> {
        self.thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.inbox.close();
        if let Some(thread) = self.take_thread() {
            // At most one commit away; the claim on the file may only be given up once the writer is gone.
            let _ = thread.join();
        }
    }
}
