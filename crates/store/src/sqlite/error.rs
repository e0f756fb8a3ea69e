//! Translates errors of sqlx, of SQLite and of the system into errors of the store.

use std::error::Error;
use std::fmt;
use std::path::Path;

use crate::postgres::connect::error::of_postgres;
use crate::{Cause, StoreError};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = match of_postgres(error) {
            Ok(error) => return error,
            Err(error) => error,
        };
        let database = match error {
            sqlx::Error::Database(database) => database,
            sqlx::Error::Io(io) => return Self::Database(Cause::of(io)),
            sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => return Self::Closed,
            sqlx::Error::PoolTimedOut => return Self::Timeout,
            other => return Self::Database(Cause::of(other)),
        };
        let code: i64 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        of_code(code, database.message().to_owned(), database.into_error())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let (code, message) = match &error {
            rusqlite::Error::SqliteFailure(code, message) => {
                (code.extended_code, message.clone().unwrap_or_else(|| code.to_string()))
            }
            _ => return Self::Database(Cause::of(error)),
        };
        of_code(code.into(), message, Box::new(error))
    }
}

/// Returns the error for one of SQLite's extended result codes. The low byte is the primary code.
fn of_code(code: i64, message: String, error: Box<dyn Error + Send + Sync>) -> StoreError {
    match code & 0xff {
        5 | 6 => StoreError::Busy,
        8 => StoreError::ReadOnly(Cause::with(message, error)),
        13 => StoreError::Full,
        // SQLITE_IOERR and SQLITE_CANTOPEN: usually a file system that is full, gone or read-only.
        10 | 14 => StoreError::ReadOnly(Cause::with(format!("{message} (SQLite code {code})"), error)),
        11 => StoreError::Damaged(Cause::with(message, error)),
        26 => StoreError::NoDatabase,
        _ => StoreError::Database(Cause::with(message, error)),
    }
}

/// Returns the error for a store at `path` that cannot be opened.
pub(crate) fn cannot_open(
    path: &Path,
    what: impl fmt::Display,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> StoreError {
    StoreError::Open { path: path.display().to_string(), why: Cause::with(with_owner(path, what), error) }
}

/// Returns `what` with the owner of the file.
pub(crate) fn with_owner(path: &Path, what: impl fmt::Display) -> String {
    format!("{what}; {}", paths::ownership(path))
}
