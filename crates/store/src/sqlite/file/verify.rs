//! Verifies that a file is an undamaged store that this program can open.

use std::path::Path;

use rusqlite::Connection;

use super::copy;
use super::migrations::MIGRATIONS;
use super::schema::APPLICATION_ID;
use crate::records::Copied;
use crate::{Cause, StoreError};

/// The most problems that are reported.
const MAX_PROBLEMS: usize = 20;

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
        bytes: unsigned(count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?),
    })
}

/// Checks that the database is a store, and that this version knows its schema.
pub(crate) fn is_ours(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let shown = || path.display().to_string();
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        let why = Cause::from("it is another program's database");
        return Err(StoreError::NotAStore { path: shown(), why });
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
