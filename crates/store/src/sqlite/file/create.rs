//! The store's file and its folder as the file system has them: that they are there, and still will be
//! after a power cut.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

const OWNER_FOLDER: u32 = 0o700;
const OWNER_FILE: u32 = 0o600;
/// A link fails to open, and nothing that is not a file can make the open wait.
#[allow(clippy::cast_possible_wrap, reason = "flags of `open`, as the system's own type has them")]
const NOT_THROUGH_LINKS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

/// Makes `folder` and those above it that are missing, for their owner alone, whatever the umask. Their names are on the
/// disk when it returns.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    make_folder(above)?;
    match DirBuilder::new().mode(OWNER_FOLDER).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => {
            made?;
            // The umask may have taken from the owner too.
            fs::set_permissions(folder, Permissions::from_mode(OWNER_FOLDER))?;
        }
    }
    sync_names(above);
    Ok(())
}

/// Makes the file, if it is not there, for its owner alone, whatever the umask: it holds what customers wrote, and tokens.
/// SQLite gives the same permissions to the files beside it. Nothing is made through a link.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(OWNER_FILE).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !path.is_symlink() => Ok(()),
        made => made?.set_permissions(Permissions::from_mode(OWNER_FILE)),
    }
}

/// Opens the file that is locked, and makes it if it is not there. What was at its path before is not followed, not cut
/// and not locked unless it is a plain file with this one name; if it is ours, it is closed to others, because anyone who
/// can open it can lock it.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_FILE)
        .custom_flags(NOT_THROUGH_LINKS)
        .open(path)?;
    let there = file.metadata()?;
    if !there.is_file() || there.nlink() != 1 {
        return Err(io::Error::other("it is not a plain file of this name alone: remove it"));
    }
    if there.uid() == rustix::process::geteuid().as_raw() && there.mode() & 0o777 != OWNER_FILE {
        file.set_permissions(Permissions::from_mode(OWNER_FILE))?;
    }
    Ok(file)
}

/// Brings the names in `folder` to the disk: a file that is synced is lost all the same, if its name is not.
///
/// Some file systems cannot, and some folders may be written but not read: then it is left to the system, as SQLite
/// does with its own files.
pub(crate) fn sync_names(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, "the names in the store's folder could not be synced");
    }
}
