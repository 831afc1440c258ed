//! The tables, and how an older file becomes one of today.

use super::OpenError;
use rusqlite::Connection;
use std::path::Path;

/// Marks the file as ours (`PRAGMA application_id`): "Cari" in ASCII.
const APPLICATION_ID: i64 = 0x4361_7269;

/// Each entry takes the file from version `index` to `index + 1`. Entries are never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// The newest version, which this release reads and writes.
const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Brings the file to the newest version.
pub(super) fn migrate(conn: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (version != 0 || tables != 0) {
        return Err(OpenError::Foreign(file.to_owned()));
    }
    if version > NEWEST {
        return Err(OpenError::Newer {
            file: file.to_owned(),
            found: version,
            known: NEWEST,
        });
    }
    for (index, script) in MIGRATIONS.iter().enumerate() {
        let from = i64::try_from(index).expect("there are few migrations");
        if from < version {
            continue;
        }
        // All of a step or nothing of it: a crash half-way leaves the older version standing.
        let step = conn.transaction()?;
        step.execute_batch(script)?;
        step.pragma_update(None, "user_version", from + 1)?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.commit()?;
    }
    Ok(())
}
