//! A store's file, seen from outside: its path, the process that owns it, and the length of its log. Nothing here opens
//! the database.

use std::path::PathBuf;

use crate::StoreError;
use crate::sqlite::file::{log, path, proc_locks, sizes as file_sizes};

pub use crate::records::{FileSizes, LogState, MAX_LOG_BYTES};

/// Returns the absolute path of the file that `url` names.
///
/// # Errors
/// `url` names no file.
pub fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    path::file_of(url)
}

/// Returns the id of the process that owns the store at `url`; `None` if there is none or it cannot be determined.
pub fn owner(url: &str) -> Option<u32> {
    proc_locks::owner(url)
}

/// Whether a process owns the store at `url`; `None` if that cannot be determined.
pub fn is_served(url: &str) -> Option<bool> {
    proc_locks::is_served(url)
}

/// Returns the state of the write-ahead log of the store at `url`.
///
/// # Errors
/// `url` names no file.
pub fn log_state(url: &str) -> Result<LogState, StoreError> {
    log::log_state(url)
}

/// Returns the sizes of the files of the store at `url`.
///
/// # Errors
/// `url` names no file.
pub fn sizes(url: &str) -> Result<FileSizes, StoreError> {
    file_sizes::sizes(url)
}
