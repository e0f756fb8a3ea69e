//! What backups, restores and the other commands on a whole store report.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::Timestamp;

use super::{DatabaseSizes, FileSizes};

/// A verified copy of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The jobs in it.
    pub jobs: u64,
    /// Those of them that are not finished.
    pub unfinished: u64,
    /// The size of the file.
    pub bytes: u64,
}

/// A backup in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

/// A store that was replaced with a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What is in the store now.
    pub copied: Copied,
    /// Where the replaced store is; `None` if there was none.
    pub replaced: Option<PathBuf>,
    /// When a bridge last served what the backup holds, to within two minutes; `None` if no bridge has.
    pub served_until: Option<Timestamp>,
    /// Whether the restore is in the log of actions. A backup from before that log has no room for it.
    pub is_logged: bool,
}

/// A store that was rewritten without free pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacuumed {
    /// The size of the file before, in bytes.
    pub before: u64,
    /// The size of the file after, in bytes.
    pub after: u64,
    /// Whether this is in the log of actions. A store from before that log has no room for it.
    pub is_logged: bool,
}

/// The sizes of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Those of a SQLite file.
    File(FileSizes),
    /// Those of a PostgreSQL database.
    Database(DatabaseSizes),
}

/// What a check of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong; empty if nothing is.
    pub problems: Vec<String>,
    /// What was not checked, and why.
    pub notes: Vec<String>,
}

/// How much room a store takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A SQLite file.
    File {
        /// The size of the database, in bytes.
        file_bytes: u64,
        /// The size of the write-ahead log, in bytes.
        log_bytes: u64,
        /// The bytes of the database that are free for new rows.
        free_bytes: u64,
    },
    /// A PostgreSQL database.
    Database(DatabaseSizes),
}

/// The sizes and the content of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStats {
    /// How much room it takes.
    pub extent: Extent,
    /// The jobs by state.
    pub jobs: BTreeMap<String, u64>,
    /// The bytes of `data` and completions.
    pub body_bytes: u64,
    /// When the oldest job was received; `None` without jobs.
    pub oldest: Option<Timestamp>,
    /// The jobs that were received in the last 24 hours.
    pub received_in_a_day: u64,
}
