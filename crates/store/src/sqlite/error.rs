//! Translates errors of SQLite and of the system into errors of the store.

use std::error::Error;
use std::fmt;
use std::path::Path;

use crate::{Cause, StoreError};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let database = match error {
            sqlx::Error::Database(database) => database,
            sqlx::Error::Io(io) => return Self::Database(Cause::of(io)),
            sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => return Self::Closed,
            sqlx::Error::PoolTimedOut => return Self::Timeout,
            other => return Self::Database(Cause::of(other)),
        };
        // SQLite's extended result codes; the low byte is the primary code.
        let code: i64 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        let message = database.message().to_owned();
        match code & 0xff {
            5 | 6 => Self::Busy,
            8 => Self::ReadOnly(Cause::with(message, database.into_error())),
            13 => Self::Full,
            // SQLITE_IOERR and SQLITE_CANTOPEN: usually a file system that is full, gone or read-only.
            10 | 14 => {
                let text = format!("{message} (SQLite code {code})");
                Self::ReadOnly(Cause::with(text, database.into_error()))
            }
            11 => Self::Damaged(Cause::with(message, database.into_error())),
            26 => Self::NoDatabase,
            _ => Self::Database(Cause::with(message, database.into_error())),
        }
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
