//! Opening: who owns the directory, what lies in it, and clear words when it cannot be used.

use super::disk::Threads;
use super::inbox::Inbox;
use super::ledger::{Effects, Ledger};
use super::readers::Readers;
use super::writer::Writer;
use super::{Inner, Shared, Store, private, schema};
use crate::archive::Keeping;
use crate::queue::Queues;
use crate::settings::{Durability, Settings};
use crate::stage::Stages;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// The database.
const DATABASE: &str = "carillon.sqlite";
/// The file whose lock is the ownership of the directory.
const LOCK: &str = "carillon.lock";

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data directory {} is in use by another process{}: stop that one, or give this one a directory of its own with --data",
        .data.display(), .owner
    )]
    InUse {
        /// The directory.
        data: PathBuf,
        /// ` (pid 123)`, as far as known.
        owner: String,
    },
    /// The directory or a file in it cannot be made, read or written.
    #[error("{} cannot be used: {error}: give a directory that this user may write, with --data", .path.display())]
    Path {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A newer release wrote the file.
    #[error(
        "{} has schema version {found}, this release knows up to {known}: run the newer release that wrote it", .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{} is a database of another program: move it away, or choose another directory with --data", .0.display())]
    Foreign(PathBuf),
    /// The file is no database, or is damaged.
    #[error("{} is not a database or is damaged ({error}): restore it from a copy, or move it away to begin anew", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// SQLite cannot work with it.
    #[error("the database in {} cannot be opened: {reason}", .data.display())]
    Database {
        /// The directory.
        data: PathBuf,
        /// What SQLite says and what to do.
        reason: String,
    },
    /// As above, while its place was not at hand.
    #[error("the database cannot be opened: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl OpenError {
    fn at(self, data: &Path) -> Self {
        let OpenError::Sqlite(error) = self else {
            return self;
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
                file: data.join(DATABASE),
                error,
            },
            _ => OpenError::Database {
                data: data.to_owned(),
                reason: super::Outage::from(error).0,
            },
        }
    }
}

/// The claim on a data directory. The system ends it with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Ownership {
    _lock: File,
    /// Removed with the store, when it is temporary.
    _directory: Option<tempfile::TempDir>,
}

impl Ownership {
    fn claim(data: &Path, directory: Option<tempfile::TempDir>) -> Result<Self, OpenError> {
        let path = data.join(LOCK);
        let fault = |error| OpenError::Path {
            path: path.clone(),
            error,
        };
        private::directory(data).map_err(|error| OpenError::Path {
            path: data.to_owned(),
            error,
        })?;
        let mut file = private::file(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.take(20).read_to_string(&mut pid);
                let pid = pid.trim();
                let known = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
                return Err(OpenError::InUse {
                    data: data.to_owned(),
                    owner: if known {
                        format!(" (pid {pid})")
                    } else {
                        String::new()
                    },
                });
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        // The number only serves the message above: a disk too full for it must not keep the service from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Ownership {
            _lock: file,
            _directory: directory,
        })
    }
}

pub(super) fn open_temporary(settings: Settings) -> Result<Store, OpenError> {
    let directory = tempfile::Builder::new()
        .prefix("carillon-")
        .tempdir()
        .map_err(|error| OpenError::Path {
            path: std::env::temp_dir(),
            error,
        })?;
    let settings = Settings {
        durability: Durability::System,
        ..settings
    };
    let data = directory.path().to_owned();
    open(&data, Some(directory), settings)
}

pub(super) fn open(
    data: &Path,
    directory: Option<tempfile::TempDir>,
    settings: Settings,
) -> Result<Store, OpenError> {
    let ownership = Ownership::claim(data, directory)?;
    let path = data.join(DATABASE);
    private::file(&path).map_err(|error| OpenError::Path {
        path: path.clone(),
        error,
    })?;
    for beside in ["-wal", "-shm"] {
        private::narrow(&data.join(format!("{DATABASE}{beside}")));
    }
    let conn = connect(&path, &settings).map_err(|error| error.at(data))?;
    let (ledger, version) = recall(conn, settings.clone()).map_err(|error| error.at(data))?;

    let shared = Arc::new(Shared {
        inbox: Inbox::new(),
        readers: Readers::new(path.clone()),
        rules_version: AtomicU64::new(version),
        settings: settings.clone(),
        stage_numbers: Default::default(),
        counters: super::Counters::default(),
        successes: crate::attempts::Successes::default(),
        waiting: super::disk::Waiting::default(),
        next_flight: AtomicU64::new(0),
        attempt_counts: Default::default(),
        attempts: Default::default(),
    });
    // Whoever asks first must not read of empty queues.
    ledger.stages.publish(&shared.stage_numbers);
    let waker = Arc::downgrade(&shared);
    settings.clock.subscribe(Arc::new(move || {
        if let Some(shared) = waker.upgrade() {
            shared.inbox.wake();
        }
    }));
    let disk = Threads::start(&path, &shared).map_err(|error| OpenError::Path {
        path: path.clone(),
        error,
    })?;
    let writer = Writer::new(ledger, shared.clone(), disk);
    let thread = std::thread::Builder::new()
        .name("carillon-store".to_owned())
        .spawn(move || writer.run())
        .map_err(|error| OpenError::Path {
            path: path.clone(),
            error,
        })?;
    Ok(Store {
        inner: Arc::new(Inner {
            shared,
            thread: Mutex::new(Some(thread)),
            path,
            _ownership: ownership,
        }),
    })
}

fn connect(path: &Path, settings: &Settings) -> Result<Connection, OpenError> {
    let mut conn = Connection::open(path)?;
    conn.set_prepared_statement_cache_capacity(128);
    // Readers never block the writer in WAL mode; closing one may, for a moment.
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    // Bodies are up to 64 KiB: larger pages keep their chains short. Counts only for a new file.
    conn.pragma_update(None, "page_size", 8192)?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::Database {
            data: path.to_owned(),
            reason: format!(
                "it does not take write-ahead logging (it stays in mode {mode:?}): is it on a network drive?"
            ),
        });
    }
    conn.pragma_update(
        None,
        "synchronous",
        match settings.durability {
            // The log's own thread waits for the disk, and answers then.
            Durability::Disk => "NORMAL",
            Durability::System => "OFF",
        },
    )?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Kilobytes, when negative.
    conn.pragma_update(None, "cache_size", -65_536)?;
    // A thread of its own folds the log into the file.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // After a burst the log gives its space back.
    conn.pragma_update(None, "journal_size_limit", 128 << 20)?;
    if let Some(bytes) = settings.max_bytes {
        let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page;
        // Answers with the limit in force: never below what the file has already.
        conn.pragma_update_and_check(None, "max_page_count", pages.max(1), |_| Ok(()))?;
    }
    schema::migrate(&mut conn, path)?;
    Ok(conn)
}

/// Reads what the writer keeps in memory.
fn recall(conn: Connection, settings: Settings) -> Result<(Ledger, u64), OpenError> {
    let version: i64 = conn
        .query_row("SELECT value FROM meta WHERE key = 'rules'", [], |row| {
            row.get(0)
        })
        .optional()?
        .unwrap_or(0);
    let next_seq: i64 = conn.query_row(
        "SELECT max(coalesce((SELECT max(seq) FROM queue_messages), 0), coalesce((SELECT max(seq) FROM stage_messages), 0))",
        [],
        |row| row.get(0),
    )?;
    let now = settings.clock.now();
    let queues = Queues::recall(&conn)?;
    let stages = Stages::recall(&conn, next_seq)?;
    let keeping = Keeping::recall(&conn)?;
    let ledger = Ledger {
        conn,
        settings,
        now,
        queues,
        stages,
        keeping,
        effects: Effects::default(),
        broken: None,
        next_seq,
        need_not_sync: false,
    };
    Ok((ledger, u64::try_from(version).unwrap_or(0)))
}
