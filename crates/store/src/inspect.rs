//! Inspects a whole store for an operator, beside the process that serves it. All functions block.

use model::Timestamp;

use crate::StoreError;
use crate::sqlite::maintenance::inspect;

pub use crate::records::StoreStats;

/// Checks every page, index and reference of the store at `url`, and its counts of jobs and bytes. Returns what is wrong;
/// empty if nothing is. The write-ahead log grows while this runs. Ends early if `stop` returns `true`.
///
/// # Errors
/// The store cannot be read, or `stop` returned `true`.
pub fn check_until(url: &str, stop: impl Fn() -> bool + Send + 'static) -> Result<Vec<String>, StoreError> {
    inspect::check(url, stop)
}

/// [`check_until`] its end.
///
/// # Errors
/// The store cannot be read.
pub fn check(url: &str) -> Result<Vec<String>, StoreError> {
    check_until(url, || false)
}

/// Returns the sizes and the content of the store at `url`.
///
/// # Errors
/// The store cannot be read.
pub fn stats(url: &str, now: Timestamp) -> Result<StoreStats, StoreError> {
    inspect::stats(url, now)
}
