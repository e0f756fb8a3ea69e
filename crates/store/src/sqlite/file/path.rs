//! Where a store's file is, and the names of the files beside it.

use std::path::{Path, PathBuf};

use crate::{Cause, StoreError};

/// Whether the file of `url` exists.
pub(crate) fn is_there(url: &str) -> Result<bool, StoreError> {
    Ok(path(url)?.exists())
}

/// The absolute path of the file that `url` names.
///
/// # Errors
/// It names none.
pub(crate) fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    path(url).map(resolved)
}

/// The file behind a link: whatever name it is opened by, its lock lies beside it. The path is absolute.
fn resolved(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| paths::absolute(&path))
}

fn path(url: &str) -> Result<PathBuf, StoreError> {
    paths::of_sqlite(url).map_err(|why| StoreError::Url(Cause::of(why)))
}

/// The file beside `path` whose name has this `ending`.
pub(crate) fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The file beside the database that its owner holds locked.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    with(path, ".lock")
}
