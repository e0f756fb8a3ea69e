//! A store seen from outside, whatever its engine: the process that serves it, its sizes, its content, and a check. Nothing
//! here opens the store.

use model::Timestamp;

use crate::address::{StoreKind, kind_of};
use crate::{StoreError, file, inspect, postgres};

pub use crate::records::{Checked, DatabaseSizes, Extent, FileSizes, OldestSnapshot, Sizes, StoreStats};

/// Returns where the store at `url` is: the absolute path of its file, or the address of its database without user and
/// password.
///
/// # Errors
/// `url` names neither.
pub fn place(url: &str) -> Result<String, StoreError> {
    match kind_of(url) {
        StoreKind::Sqlite => Ok(file::path_of(url)?.display().to_string()),
        StoreKind::Postgres => postgres::outside::place(url),
    }
}

/// Whether a process serves the store at `url`; `None` if that cannot be determined.
pub async fn is_served(url: &str) -> Option<bool> {
    match kind_of(url) {
        StoreKind::Sqlite => file::is_served(url),
        StoreKind::Postgres => postgres::outside::holder(url).await.ok().map(|holder| holder.is_some()),
    }
}

/// Returns the id of the process on this machine that serves the store at `url`; `None` if there is none, or if that cannot
/// be determined.
pub async fn owner(url: &str) -> Option<u32> {
    match kind_of(url) {
        StoreKind::Sqlite => file::owner(url),
        StoreKind::Postgres => postgres::outside::owner(url).await,
    }
}

/// Returns the sizes of the store at `url`.
///
/// # Errors
/// `url` names no file, or the database cannot be reached.
pub async fn sizes(url: &str) -> Result<Sizes, StoreError> {
    match kind_of(url) {
        StoreKind::Sqlite => {
            let url = url.to_owned();
            blocking(move || file::sizes(&url)).await.map(Sizes::File)
        }
        StoreKind::Postgres => postgres::outside::sizes::sizes(url).await.map(Sizes::Database),
    }
}

/// Returns the sizes and the content of the store at `url`.
///
/// # Errors
/// The store cannot be read.
pub async fn stats(url: &str, now: Timestamp) -> Result<StoreStats, StoreError> {
    match kind_of(url) {
        StoreKind::Sqlite => {
            let url = url.to_owned();
            blocking(move || inspect::stats(&url, now)).await
        }
        StoreKind::Postgres => postgres::outside::stats(url, now).await,
    }
}

/// Checks the store at `url` beside the process that serves it: its counts of jobs and bytes, and its pages and indexes as
/// far as the engine can. Ends early if `stop` returns `true`.
///
/// # Errors
/// The store cannot be read, or `stop` returned `true`.
pub async fn check_until(url: &str, stop: impl Fn() -> bool + Send + 'static) -> Result<Checked, StoreError> {
    match kind_of(url) {
        StoreKind::Sqlite => {
            let url = url.to_owned();
            let problems = blocking(move || inspect::check_until(&url, stop)).await?;
            Ok(Checked { problems, notes: Vec::new() })
        }
        StoreKind::Postgres => postgres::outside::check(url, stop).await,
    }
}

/// Runs `read` on a thread where it may block.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // It fails only if the runtime ends, or if `read` panics.
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed))
}
