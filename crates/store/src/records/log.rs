//! The write-ahead log of a store, seen from outside.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The store warns about a log longer than this, and truncates it once it can: 128 MiB, twice what a burst leaves behind.
pub const MAX_LOG_BYTES: u64 = 128 << 20;

/// The files of a store, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSizes {
    /// The path of the database.
    pub path: PathBuf,
    /// Its length in bytes; 0 if there is none.
    pub file_bytes: u64,
    /// The length of its write-ahead log in bytes.
    pub log_bytes: u64,
    /// The free bytes on its disk; `None` if unknown.
    pub free_bytes: Option<u64>,
    /// The processes that read it in a transaction at the moment, except this one and the owner. On some systems they are
    /// unknown.
    pub readers: BTreeSet<u32>,
}

/// The state of a store's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The length of its file in bytes.
    pub bytes: u64,
    /// Processes with an open read transaction, other than the owner and this process.
    pub readers: BTreeSet<u32>,
}
