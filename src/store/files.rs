//! The store's file and its folder as the file system has them: that they are there, and still will be
//! after a power cut.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The folder that holds `path`.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

/// Makes `folder` and those above it that are missing. Their names are on the disk when it returns.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    make_folder(above)?;
    match DirBuilder::new().create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    sync_names(above);
    Ok(())
}

/// Makes the file, if it is not there, for its owner alone: it holds what customers wrote, and tokens. SQLite gives the
/// same permissions to the files beside it.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Brings the names in `folder` to the disk: a file that is synced is lost all the same, if its name is not.
///
/// Some file systems cannot, and some folders may be written but not read: then it is left to the system, as SQLite
/// does with its own files.
pub(super) fn sync_names(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, "the names in the store's folder could not be synced");
    }
}
