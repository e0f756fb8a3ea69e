//! What can be learnt of a store in a file without opening it.

use std::path::PathBuf;

use crate::sqlite::file::{log, path, proc_locks};
use crate::{LogState, StoreError};

/// The absolute path of the file that `url` names.
///
/// # Errors
/// It names none.
pub fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    path::file_of(url)
}

/// The process that owns the store at `url`; `None` if it cannot be told, or there is none.
pub fn owner(url: &str) -> Option<u32> {
    proc_locks::owner(url)
}

/// Whether a process owns the store at `url`; `None` if it cannot be told.
pub fn is_served(url: &str) -> Option<bool> {
    proc_locks::is_served(url)
}

/// The write-ahead log of the store at `url`.
///
/// # Errors
/// `url` is not one of a store.
pub fn log_state(url: &str) -> Result<LogState, StoreError> {
    log::log_state(url)
}
