//! Replaces a store that no process serves: with a backup, or with a smaller copy of itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::open::BUSY_TIMEOUT;
use super::path::{file_of, with};
use super::{copy, create, owner_lock, verify};
use crate::records::{Copied, Restored, Vacuumed};
use crate::{Cause, StoreError};

/// Replaces the store at `url` with the backup `from`. Keeps the replaced store beside it, with `stamp` in its name.
pub(crate) fn restore(url: &str, from: &Path, stamp: &str) -> Result<Restored, StoreError> {
    let path = file_of(url)?;
    let _lock = own(&path)?;
    let refused = |why: Cause| StoreError::Restore { path: from.display().to_string(), why };
    if copy::is_same(&path, from) {
        return Err(refused("it is the store itself: choose a backup".into()));
    }
    if !from.is_file() {
        return Err(refused("there is no such file".into()));
    }
    verify::verify(from, || false).map_err(|error| refused(Cause::of(error)))?;
    let ready = with(&path, ".restoring");
    let copied = copy::copy(from, &ready, || false)?;
    let replaced = put_aside(&path, stamp).map_err(|error| refused(Cause::of(error)))?;
    fs::rename(&ready, &path).map_err(|error| refused(Cause::of(error)))?;
    create::sync_names(create::folder_of(&path));
    Ok(Restored { copied, replaced })
}

/// Rewrites the store at `url` without its free pages.
pub(crate) fn vacuum(url: &str) -> Result<Vacuumed, StoreError> {
    let path = file_of(url)?;
    if !path.is_file() {
        let why = Cause::from("there is no such file: correct store.url");
        return Err(StoreError::NotAStore { path: path.display().to_string(), why });
    }
    let _lock = own(&path)?;
    // An observer that keeps the old file open would write into a file without a name.
    if !fold_log(&path)? {
        return Err(StoreError::Busy);
    }
    let before = fs::metadata(&path).map_or(0, |file| file.len());
    let ready = with(&path, ".vacuumed");
    let Copied { bytes, .. } = copy::copy(&path, &ready, || false)?;
    fs::rename(&ready, &path).map_err(|error| {
        StoreError::Database(Cause::with(paths::cannot(&path, "replaced", &error), error))
    })?;
    create::sync_names(create::folder_of(&path));
    Ok(Vacuumed { before, after: bytes })
}

/// Takes the owner's lock, so that no bridge starts in the meantime.
fn own(path: &Path) -> Result<File, StoreError> {
    create::make_folder(create::folder_of(path)).map_err(|error| StoreError::Database(Cause::of(error)))?;
    owner_lock::own(path)
}

/// Copies the write-ahead log into the database and deletes it. Returns whether no other process has the store open,
/// which is the condition for that.
fn fold_log(path: &Path) -> Result<bool, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    match mode.map_err(StoreError::from) {
        Ok(mode) => Ok(mode == "delete"),
        Err(StoreError::Busy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames the store and the files beside it. Returns its new name; `None` if there is no store.
fn put_aside(path: &Path, stamp: &str) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    // With the log in the database, one rename moves the store, and a crash in between loses nothing. A damaged store keeps
    // its log.
    let _is_one_file = fold_log(path);
    let aside = free_name(path, stamp);
    fs::rename(path, &aside)?;
    for ending in ["-wal", "-shm"] {
        match fs::rename(with(path, ending), with(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    create::sync_names(create::folder_of(path));
    Ok(Some(aside))
}

fn free_name(path: &Path, stamp: &str) -> PathBuf {
    let name = with(path, &format!(".before-restore-{stamp}"));
    let mut more = (2_u32..).map(|number| with(&name, &format!(".{number}")));
    if fs::symlink_metadata(&name).is_err() {
        return name;
    }
    more.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or(name)
}
