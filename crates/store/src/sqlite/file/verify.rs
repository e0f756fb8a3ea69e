//! Verifies that a file is an undamaged store that this program can open.

use std::path::Path;

use rusqlite::Connection;

use super::copy;
use super::migrations::MIGRATIONS;
use super::path::{must_exist, not_a_store};
use super::schema::APPLICATION_ID;
use crate::StoreError;
use crate::records::Copied;

/// The most problems that are reported.
const MAX_PROBLEMS: usize = 20;

/// Why a database of another program is not the store.
pub(crate) const FOREIGN: &str = "it is another program's database: set store.url to another file";

/// Opens the store at `path` to read it.
///
/// # Errors
/// It does not exist, cannot be read, is not a store, or a newer version made it.
pub(crate) fn open_store(path: &Path) -> Result<Connection, StoreError> {
    must_exist(path)?;
    let connection = copy::open(path).map_err(|error| StoreError::from(error).at(path))?;
    is_ours(&connection, path).map_err(|error| error.at(path))?;
    Ok(connection)
}

/// Whether the file at `path` is an undamaged database of another program.
pub(crate) fn is_foreign(path: &Path) -> bool {
    let is_ours = || is_ours(&copy::open(path)?, path);
    path.exists() && matches!(is_ours(), Err(StoreError::NotAStore { why, .. }) if why.to_string() == FOREIGN)
}

/// Reads the whole file at `path`, until `stop` returns `true`. Returns what is in it.
///
/// # Errors
/// It is not a store, a newer version made it, or it is damaged; or `stop` returned `true`.
pub(crate) fn verify(path: &Path, stop: impl Fn() -> bool + Send + 'static) -> Result<Copied, StoreError> {
    let connection = copy::open(path).map_err(StoreError::from)?;
    connection.progress_handler(copy::STOP_INTERVAL, Some(stop))?;
    is_ours(&connection, path)?;
    let problems = damage(&connection)?;
    if !problems.is_empty() {
        return Err(StoreError::Damaged(problems.join("; ").into()));
    }
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let unfinished = "SELECT coalesce(sum(jobs), 0) FROM job_counts \
                      WHERE state NOT IN ('delivered', 'gone', 'dead', 'cancelled')";
    Ok(Copied {
        jobs: unsigned(count("SELECT coalesce(sum(jobs), 0) FROM job_counts")?),
        unfinished: unsigned(count(unfinished)?),
        bytes: bytes(&connection)?,
    })
}

/// The size of a database in bytes.
pub(crate) fn bytes(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    Ok(unsigned(connection.query_row(sql, [], |row| row.get(0))?))
}

/// Checks that the database is a store, and that this version knows its schema.
pub(crate) fn is_ours(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let shown = || path.display().to_string();
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        let objects: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let why =
            if objects == 0 { "it is an empty database: set store.url to another file" } else { FOREIGN };
        return Err(not_a_store(path, why));
    }
    let mut applied = connection.prepare("SELECT version, checksum FROM _sqlx_migrations WHERE success")?;
    let applied = applied.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    for migration in applied {
        let (version, checksum) = migration?;
        match MIGRATIONS.iter().find(|known| known.version == version) {
            None => return Err(StoreError::Newer { path: shown(), version }),
            Some(known) if *known.checksum != *checksum => {
                return Err(StoreError::Unreleased { path: shown() });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// What is wrong with the pages, indexes and constraints of a database; empty if nothing is.
fn damage(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut checked = connection.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
    let lines = checked.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Like [`damage`], and also rows that refer to rows that do not exist. A store with such rows can still be backed up.
pub(crate) fn problems(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut problems = damage(connection)?;
    let mut checked = connection.prepare("PRAGMA foreign_key_check")?;
    let dangling = checked.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?)))?;
    for row in dangling.take(MAX_PROBLEMS) {
        let (table, parent) = row?;
        problems.push(format!("a row of {table} refers to a row of {parent} that does not exist"));
    }
    Ok(problems)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
