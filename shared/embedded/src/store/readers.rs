//! Connections that only read, on threads that may block.

use super::outage::Outage;
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Most reads at a time: beyond it they only take the processor from the writer.
const MOST: usize = 4;

/// A small set of connections that are opened when first needed.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    room: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Readers {
            path,
            idle: Arc::default(),
            room: Semaphore::new(MOST),
        }
    }

    fn connect(path: &PathBuf) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.set_prepared_statement_cache_capacity(32);
        // Only a checkpoint that ends as we begin can be in the way, and that is short.
        conn.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(conn)
    }

    /// Runs `work` in one read transaction.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Outage> {
        let _permit = self.room.acquire().await.map_err(|_| Outage::closed())?;
        let idle = self.idle.clone();
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || -> rusqlite::Result<T> {
            let held = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut conn = match held {
                Some(conn) => conn,
                None => Self::connect(&path)?,
            };
            let snapshot = conn.transaction()?;
            let value = work(&snapshot)?;
            snapshot.finish()?;
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(conn);
            Ok(value)
        });
        match task.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Outage("a read was given up".to_owned())),
        }
    }

    /// Closes the idle connections, so that the writer, closing last, folds the log into the file.
    pub(crate) fn close(&self) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
