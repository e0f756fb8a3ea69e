//! Creates the store's file and folder, and makes sure that both survive a power cut.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

const OWNER_FOLDER: u32 = 0o700;
const OWNER_FILE: u32 = 0o600;
/// Makes opening a link fail, and opening anything other than a plain file not block.
#[allow(clippy::cast_possible_wrap, reason = "flags of `open`, as the system's own type has them")]
const NOT_THROUGH_LINKS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

/// Returns the folder that contains `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

/// Creates `folder` and its missing parents, accessible only to their owner, whatever the umask. Their names are on the
/// disk when this returns.
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
            // The umask may have removed permissions of the owner too.
            fs::set_permissions(folder, Permissions::from_mode(OWNER_FOLDER))?;
        }
    }
    sync_names(above);
    Ok(())
}

/// Creates the file if it does not exist, accessible only to its owner, whatever the umask: it contains customers'
/// messages and tokens. SQLite gives the same permissions to the files beside it. Nothing is created through a link.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(OWNER_FILE).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !path.is_symlink() => Ok(()),
        made => made?.set_permissions(Permissions::from_mode(OWNER_FILE)),
    }
}

/// Opens the lock file, and creates it if it does not exist. Does not follow a link or truncate an existing file, and
/// rejects anything but a plain file with a single name. If this user owns the file, removes the access of other users,
/// because anyone who can open the file can lock it.
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
        return Err(io::Error::other(
            "it is not a plain file, or it has a second name (a hard link): remove it",
        ));
    }
    if there.uid() == rustix::process::geteuid().as_raw() && there.mode() & 0o777 != OWNER_FILE {
        file.set_permissions(Permissions::from_mode(OWNER_FILE))?;
    }
    Ok(file)
}

/// Syncs the names in `folder` to the disk: a synced file is lost in a power cut if its name is not synced.
///
/// Some file systems cannot do this, and some folders may be written but not read. Syncing is then left to the system,
/// as SQLite does for its own files.
pub(crate) fn sync_names(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, "the store's folder could not be synced");
    }
}
