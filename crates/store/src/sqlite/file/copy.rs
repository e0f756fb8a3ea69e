//! Copies a store into one verified file, beside the process that serves it.
//!
//! `VACUUM INTO` reads one snapshot, so the copy holds every job that was acknowledged before it began. It blocks no
//! writer. Unlike SQLite's backup API, it does not start over when another process writes. While it runs, the write-ahead
//! log cannot start over, so the log grows by what is written in that time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::open::BUSY_TIMEOUT;
use super::path::{lock_path, with};
use super::schema::APPLICATION_ID;
use super::{create, verify};
use crate::records::Copied;
use crate::{Cause, StoreError};

/// The free bytes that a copy leaves on its disk, which may be the store's own.
const RESERVED_BYTES: u64 = 64 << 20;
/// The instructions of SQLite between two questions whether to stop.
pub(crate) const STOP_INTERVAL: i32 = 1_000;
/// Where the application id is in the header of a database.
const APPLICATION_ID_OFFSET: u64 = 68;
/// Where the header says whether the database has a write-ahead log.
const WRITE_VERSION_OFFSET: u64 = 18;
/// The value there if it has none.
const WITHOUT_LOG: u8 = 1;

/// Copies the store at `source` to `target`, and verifies the copy. `target` has its old content or the whole new one at
/// any time. An existing `target` must be a copy of a store.
///
/// # Errors
/// [`StoreError::Copy`], and `target` is unchanged.
pub(crate) fn copy(
    source: &Path,
    target: &Path,
    stop: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Copied, StoreError> {
    copy_and_change(source, target, stop, |_| Ok(()))
        .map_err(|why| StoreError::Copy { path: target.display().to_string(), why })
}

/// As [`copy`]. `change` changes the copy before it is verified and gets its name. Returns why there is no copy.
pub(super) fn copy_and_change(
    source: &Path,
    target: &Path,
    stop: impl Fn() -> bool + Clone + Send + 'static,
    change: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<Copied, Cause> {
    may_replace(source, target)?;
    has_room(source, target)?;
    let partial = Partial::create(with(target, ".partial"))?;
    let of_store = |error: rusqlite::Error| Cause::of(StoreError::from(error));
    let reading = verify::open_store(source).map_err(Cause::of)?;
    reading.progress_handler(STOP_INTERVAL, Some(stop.clone())).map_err(of_store)?;
    // Absolute, so that SQLite cannot take it for a URI.
    let name = paths::absolute(&partial.path);
    let name = name.to_str().ok_or("its path is not UTF-8: use another folder")?;
    reading.execute("VACUUM INTO ?", [name]).map_err(|error| match StoreError::from(error) {
        StoreError::Full => Cause::with("its disk is full: free some space".to_owned(), StoreError::Full),
        error => Cause::of(error),
    })?;
    drop(reading);
    let copy = open(&partial.path).map_err(of_store)?;
    // A journal in a file could outlive a crash, and the next copy would take it for its own.
    copy.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(())).map_err(of_store)?;
    change(&copy).map_err(Cause::of)?;
    drop(copy);
    let copied = verify::verify(&partial.path, stop).map_err(Cause::of)?;
    partial.keep(target).map_err(|error| Cause::with(paths::cannot(target, "written", &error), error))?;
    Ok(copied)
}

/// Opens a database to read it. Does not create it. Not read-only, because SQLite ignores the CHECK constraints of such a
/// database, so `integrity_check` would not verify them. A file that this user cannot write is opened read-only anyway.
pub(crate) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Whether both paths name the same file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(one).is_some_and(|file| identity(other) == Some(file))
}

/// Refuses to overwrite anything but an earlier copy.
fn may_replace(source: &Path, target: &Path) -> Result<(), Cause> {
    let there = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Cause::with(paths::cannot(target, "read", &error), error)),
        Ok(there) => there,
    };
    // Must come first: reading the store's own file and closing it would drop the locks that SQLite holds on it.
    if is_same(source, target) {
        return Err("it is the store itself: choose another file".into());
    }
    if !there.is_file() || !is_store(target) {
        return Err("it exists, and is not a copy of a store: choose another name, or move it away".into());
    }
    if is_in_use(target) {
        return Err("it is the store of another bridge, and not a copy: choose another name".into());
    }
    Ok(())
}

/// Whether the file's header is that of a store. Must not be called for a database that this process has open.
fn is_store(path: &Path) -> bool {
    let mut id = [0; 4];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut id, APPLICATION_ID_OFFSET));
    read.is_ok() && i64::from(u32::from_be_bytes(id)) == APPLICATION_ID
}

/// Whether a bridge has served the store at `path`, or may serve it: a copy has no write-ahead log, no lock, and no files
/// beside it. What cannot be read counts as in use. Must not be called for a database that this process has open.
fn is_in_use(path: &Path) -> bool {
    let mut version = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut version, WRITE_VERSION_OFFSET));
    let beside = [lock_path(path), with(path, "-wal"), with(path, "-shm"), with(path, "-journal")];
    read.is_err() || version != [WITHOUT_LOG] || beside.iter().any(|file| fs::symlink_metadata(file).is_ok())
}

/// Refuses to fill the disk, which may be the store's own.
fn has_room(source: &Path, target: &Path) -> Result<(), Cause> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let needed = bytes(source) + bytes(&with(source, "-wal")) + RESERVED_BYTES;
    let folder = create::folder_of(target);
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < needed {
        let (needed, free) = (needed / 1_000_000, free / 1_000_000);
        let folder = folder.display();
        return Err(
            format!("it needs {needed} MB, and {folder} has {free} MB free: free some space there").into()
        );
    }
    Ok(())
}

/// A file that is not complete yet. Dropping it deletes it, unless it was kept.
struct Partial {
    path: PathBuf,
    /// Held until the end, so that only one process writes the file. SQLite's own locks are of another kind.
    file: File,
    is_kept: bool,
}

impl Partial {
    /// Creates the file, or empties the one that an interrupted copy has left.
    fn create(path: PathBuf) -> Result<Self, Cause> {
        let failed = |error: io::Error| Cause::with(paths::cannot(&path, "written", &error), error);
        let file = create::open_lock(&path).map_err(failed)?;
        if file.try_lock().is_err() {
            return Err(format!("another process is writing {}: wait until it ends", path.display()).into());
        }
        file.set_len(0).map_err(failed)?;
        Ok(Self { path, file, is_kept: false })
    }

    /// Gives the file its name. Both are on the disk when this returns.
    fn keep(mut self, name: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, name)?;
        self.is_kept = true;
        create::sync_names(create::folder_of(name));
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept {
            // The next copy empties a file that could not be deleted.
            let _is_left = fs::remove_file(&self.path);
        }
    }
}
