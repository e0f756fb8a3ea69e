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

/// Refuses a folder as the store.
pub(crate) fn refuse_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Err(not_a_store(path, "it is a folder: set store.url to a file in it"));
    }
    Ok(())
}

/// Refuses a path without a store that can be read.
pub(crate) fn must_exist(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Err(not_a_store(
            path,
            "file not found: start `serve`, which creates it, or correct store.url",
        ));
    }
    refuse_folder(path)
}

/// Returns the error for a path that leads to something other than a store.
pub(crate) fn not_a_store(path: &Path, why: &str) -> StoreError {
    StoreError::NotAStore { path: path.display().to_string(), why: why.into() }
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
