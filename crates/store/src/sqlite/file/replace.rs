//! Replaces a store that no process serves: with a backup, or with a smaller copy of itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::open::BUSY_TIMEOUT;
use super::path::{file_of, must_exist, not_a_store, refuse_folder, with};
use super::{copy, create, owner_lock, verify};
use crate::records::Copied;
use crate::{Cause, StoreError};

/// A store that was replaced with a backup.
pub(crate) struct Replaced {
    /// What is in the store now.
    pub(crate) copied: Copied,
    /// Where the replaced store is; `None` if there was none.
    pub(crate) aside: Option<PathBuf>,
}

/// Replaces the store at `url` with the backup `from`. Keeps the replaced store beside it, with `stamp` in its name.
/// `inspect` says what is wrong with the content of the backup. `change` changes the new store before it is in place, and
/// gets what the backup holds.
pub(crate) fn restore(
    url: &str,
    from: &Path,
    stamp: &str,
    inspect: impl FnOnce(&Connection) -> Result<Vec<String>, StoreError>,
    change: impl FnOnce(&Connection, Copied) -> Result<(), StoreError>,
) -> Result<Replaced, StoreError> {
    let path = file_of(url)?;
    refuse_folder(&path)?;
    let _lock = own(&path)?;
    if verify::is_foreign(&path) {
        return Err(not_a_store(&path, verify::FOREIGN));
    }
    let refused = |why: Cause| StoreError::Restore { path: from.display().to_string(), why };
    if copy::is_same(&path, from) {
        return Err(refused("it is the store itself: choose a backup".into()));
    }
    if !from.exists() {
        return Err(refused("file not found: check the path".into()));
    }
    if from.is_dir() {
        return Err(refused("it is a folder: choose one of the backups in it".into()));
    }
    if !from.is_file() {
        return Err(refused("it is not a regular file: choose a backup".into()));
    }
    let no_backup = |error| refused(no_backup(from, error));
    let backup = verify::verify(from, || false).map_err(no_backup)?;
    let wrong = verify::open_store(from).and_then(|backup| inspect(&backup)).map_err(no_backup)?;
    if !wrong.is_empty() {
        let why = format!("its content is wrong ({}): choose another backup", wrong.join("; "));
        return Err(refused(why.into()));
    }
    let ready = with(&path, ".restoring");
    let copied =
        copy::copy_and_change(from, &ready, || false, |copy| change(copy, backup)).map_err(refused)?;
    let aside = put_aside(&path, stamp).map_err(|error| refused(Cause::of(error)))?;
    fs::rename(&ready, &path).map_err(|error| refused(Cause::of(error)))?;
    create::sync_names(create::folder_of(&path));
    Ok(Replaced { copied, aside })
}

/// Rewrites the store at `url` without its free pages. `change` changes the smaller store before it is in place, and gets
/// the size of the old one in bytes. Returns both sizes.
pub(crate) fn vacuum(
    url: &str,
    change: impl FnOnce(&Connection, u64) -> Result<(), StoreError>,
) -> Result<(u64, u64), StoreError> {
    let path = file_of(url)?;
    must_exist(&path)?;
    let _lock = own(&path)?;
    // Before anything writes into a file that may not be a store.
    drop(verify::open_store(&path)?);
    let refused = |why: Cause| StoreError::Vacuum { path: path.display().to_string(), why };
    // An observer that keeps the old file open would write into a file without a name.
    if !fold_log(&path)? {
        return Err(StoreError::Busy);
    }
    let before = fs::metadata(&path).map_or(0, |file| file.len());
    let ready = with(&path, ".vacuumed");
    let Copied { bytes, .. } =
        copy::copy_and_change(&path, &ready, || false, |copy| change(copy, before)).map_err(refused)?;
    fs::rename(&ready, &path)
        .map_err(|error| refused(Cause::with(paths::cannot(&path, "replaced", &error), error)))?;
    create::sync_names(create::folder_of(&path));
    Ok((before, bytes))
}

/// Takes the owner's lock, so that no bridge starts in the meantime.
fn own(path: &Path) -> Result<File, StoreError> {
    create::make_folder(create::folder_of(path)).map_err(|error| StoreError::Database(Cause::of(error)))?;
    owner_lock::own(path).map_err(|error| match error {
        StoreError::InUse { path, owner } => StoreError::Served { path, owner },
        error => error,
    })
}

/// Says why a file cannot be restored, and what to do.
fn no_backup(from: &Path, error: StoreError) -> Cause {
    let text = match &error {
        StoreError::NotAStore { .. } => {
            "it is empty, or another program's database: choose a backup".to_owned()
        }
        StoreError::NoDatabase => "it is not a database: choose a backup".to_owned(),
        StoreError::Newer { version, .. } => format!(
            "a newer version wrote it (migration {version} is unknown to this one): install that version to restore it"
        ),
        StoreError::Unreleased { .. } => {
            "a version from before 0.1.0 wrote it, which this version cannot read: choose another backup"
                .to_owned()
        }
        StoreError::Damaged(why) => {
            format!("it is damaged, or was not copied completely ({why}): choose another backup")
        }
        StoreError::ReadOnly(why) => format!("{why}; {}", paths::ownership(from)),
        _ => return Cause::of(error),
    };
    Cause::with(text, error)
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

/// Gives the store and the files beside it another name. Returns that name; `None` if there is no store. Until the caller
/// replaces the store, it also has its old name, so that after a crash no bridge starts with a new, empty store.
pub(crate) fn put_aside(path: &Path, stamp: &str) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    // With the log in the database, the store is one file, and a crash in between loses nothing. A damaged store keeps its
    // log.
    let _is_one_file = fold_log(path);
    let aside = free_name(path, stamp);
    // Some file systems have no hard links.
    fs::hard_link(path, &aside).or_else(|_| fs::rename(path, &aside))?;
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
