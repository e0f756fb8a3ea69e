//! The path of a store's file, and the names of the files beside it.

use std::path::{Path, PathBuf};

use crate::{Cause, StoreError};

/// Whether the file of `url` exists.
pub(crate) fn is_there(url: &str) -> Result<bool, StoreError> {
    Ok(path(url)?.exists())
}

/// Returns the absolute path of the file that `url` names.
///
/// # Errors
/// `url` names no file.
pub(crate) fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    path(url).map(resolved)
}

/// Returns the absolute path without links, so that all names of a store share one lock.
fn resolved(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| paths::absolute(&path))
}

fn path(url: &str) -> Result<PathBuf, StoreError> {
    paths::of_sqlite(url).map_err(|why| StoreError::Url(Cause::of(why)))
}

/// Returns `path` with `ending` appended to its name.
pub(crate) fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Returns the path of the lock file beside the database.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    with(path, ".lock")
}
