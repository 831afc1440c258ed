//! The disk's own threads, so that the writer never waits for it.
//!
//! The writer's connection commits without waiting (`synchronous=NORMAL`): a commit is then in the write-ahead log, where
//! the death of the process cannot reach it, but not yet safe from a power cut. The first thread makes it so: it takes all
//! answers that wait, has the system write the log down to the disk, and gives them. Whatever was committed before stands
//! in the same file before it, so one wait covers all. The second folds the log into the database when it has grown.
//!
//! ```text
//!  writer: commit, commit, commit ──► [answers] ──► one wait for the disk ──► answer all
//!                 └── log grew ──► fold most of it, meanwhile commits go on; the writer folds the little rest
//! ```

use super::Shared;
use super::outage::Outage;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Tells whoever asked that the work is on the disk, or why not.
pub(super) type Told = Box<dyn FnOnce(Result<(), &Outage>) + Send>;

/// Pages of log that are worth folding: 64 MiB. Records that live shorter than it takes to fill never reach the database.
const WORTH_FOLDING: i64 = 8192;
/// Pages that the writer folds by itself.
const REST: i64 = 512;
/// Gap between two looks at the log.
const LOOK: Duration = Duration::from_millis(200);

/// Answers that wait for the disk.
#[derive(Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    signal: Condvar,
    /// The log is almost folded: the writer shall do the rest between two commits, and begin the log anew.
    finish: AtomicBool,
}

#[derive(Default)]
struct State {
    answers: Vec<Told>,
    closed: bool,
    /// A wait for the disk failed. What the system has lost of the log then it does not say again: nothing later is sure
    /// until the store is opened anew.
    failed: Option<Outage>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers once everything committed so far is on the disk.
    pub(super) fn push(&self, answers: Vec<Told>) {
        if answers.is_empty() {
            return;
        }
        self.lock().answers.extend(answers);
        self.signal.notify_all();
    }

    /// Gives all answers that still wait, then ends both threads.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.signal.notify_all();
    }

    /// Whether the writer shall fold the rest of the log now. Asked once for each wish.
    pub(super) fn shall_finish(&self) -> bool {
        self.finish.load(Ordering::Relaxed) && self.finish.swap(false, Ordering::Relaxed)
    }
}

/// The two threads.
pub(super) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Starts them. `database` is open already, by the writer, so its log is there.
    pub(super) fn start(database: &Path, shared: &Arc<Shared>) -> std::io::Result<Self> {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        // SQLite keeps the log as long as a connection is open, and holds no lock on it: a second handle is harmless.
        let log = File::options().write(true).open(PathBuf::from(log))?;
        #[cfg(unix)]
        if let Some(folder) = database.parent() {
            // The log's own entry in its folder.
            File::open(folder)?.sync_all()?;
        }
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let of_sync = shared.clone();
        let sync = spawn("carillon-sync", Box::new(move || sync(&of_sync, &log)))?;
        let (of_fold, path) = (shared.clone(), database.to_owned());
        let fold = spawn("carillon-fold", Box::new(move || fold(&of_fold, &path)))?;
        Ok(Threads(vec![sync, fold]))
    }

    /// Waits for their end.
    pub(super) fn join(self) {
        for thread in self.0 {
            // A panic of theirs has been printed; the writer's end must not depend on it.
            let _ = thread.join();
        }
    }
}

fn sync(shared: &Shared, log: &File) {
    let waiting = &shared.waiting;
    loop {
        let mut state = waiting
            .signal
            .wait_while(waiting.lock(), |state| {
                state.answers.is_empty() && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        let answers = std::mem::take(&mut state.answers);
        let (closed, failed) = (state.closed, state.failed.clone());
        drop(state);
        if answers.is_empty() && closed {
            return;
        }
        let fate = match failed {
            Some(outage) => Err(outage),
            None => (shared.settings.sync)(log).map_err(|error| {
                let outage = Outage(format!(
                    "the disk failed ({error}): look into the system's log, then start the service again"
                ));
                tracing::error!(reason = %outage, "nothing can be made durable any more");
                waiting.lock().failed = Some(outage.clone());
                outage
            }),
        };
        shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        for answer in answers {
            answer(fate.as_ref().copied());
        }
    }
}

fn fold(shared: &Shared, database: &Path) {
    let conn = match open(database) {
        Ok(conn) => conn,
        Err(error) => {
            tracing::error!(%error, "the log cannot be folded into the database, and will grow");
            return;
        }
    };
    let waiting = &shared.waiting;
    loop {
        let (state, _) = waiting
            .signal
            .wait_timeout_while(waiting.lock(), LOOK, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return;
        }
        drop(state);
        match fold_most(&conn) {
            Ok(true) => waiting.finish.store(true, Ordering::Relaxed),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the log cannot be folded into the database now");
            }
        }
    }
}

/// Folds the log, when it is worth it, until little is left; tells whether it did.
fn fold_most(conn: &Connection) -> rusqlite::Result<bool> {
    if log(conn, "NOOP")? < WORTH_FOLDING {
        return Ok(false);
    }
    // Each pass folds what stood in the log when it began; what came meanwhile is less each time.
    for _ in 0..4 {
        log(conn, "PASSIVE")?;
        // A pass knows nothing of what came while it ran.
        if log(conn, "NOOP")? <= REST {
            break;
        }
    }
    Ok(true)
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(database)?;
    conn.busy_timeout(Duration::from_secs(1))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

/// Folds (or, with `NOOP`, only looks); gives the pages of the log that are not folded yet.
fn log(conn: &Connection, mode: &str) -> rusqlite::Result<i64> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let (all, folded): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(all - folded)
    })
}
