//! What an error of SQLite means for the store.

use crate::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match error {
                sqlx::Error::Io(io) => Self::Database(io.to_string()),
                sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => Self::Closed,
                sqlx::Error::PoolTimedOut => Self::Timeout,
                other => Self::Database(other.to_string()),
            };
        };
        // SQLite's extended result codes; the low byte is the primary code.
        let code: i64 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        match code & 0xff {
            5 | 6 => Self::Busy,
            8 => Self::ReadOnly(database.message().to_owned()),
            13 => Self::Full,
            // SQLITE_IOERR: most often a file system that is full, gone or read-only.
            10 | 14 => Self::ReadOnly(format!("{} (SQLite code {code})", database.message())),
            11 => Self::Damaged(database.message().to_owned()),
            26 => Self::NoDatabase,
            _ => Self::Database(database.message().to_owned()),
        }
    }
}
