//! The lock file beside the database, which marks the owner.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::path::lock_path;
use super::{create, proc_locks};
use crate::{Cause, StoreError};

/// The delay between the two attempts to take the lock.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Takes the lock beside the database. The system releases it when the process ends, however it ends.
pub(crate) fn own(path: &Path) -> Result<File, StoreError> {
    let lock = lock_path(path);
    let cannot = |error: std::io::Error| StoreError::Open {
        path: path.display().to_string(),
        why: Cause::with(format!("its lock {}", paths::cannot(&lock, "opened", &error)), error),
    };
    let mut file = create::open_lock(&lock).map_err(cannot)?;
    let locked = file.try_lock().or_else(|_| {
        // A command that checks whether a bridge is running holds the lock for a moment.
        std::thread::sleep(LOCK_RETRY);
        file.try_lock()
    });
    if let Err(error) = locked {
        if let TryLockError::Error(error) = error {
            return Err(cannot(error));
        }
        // The note in the file may be from an earlier owner, so the holder that the system reports takes precedence.
        let holder = proc_locks::holder(&lock).map(|pid| format!("process {pid}"));
        let owner = holder.or_else(|| noted(&mut file)).unwrap_or_else(|| "another process".to_owned());
        return Err(StoreError::InUse { path: path.display().to_string(), owner });
    }
    let note = format!("process {}\n", std::process::id());
    file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(cannot)?;
    file.write_all(note.as_bytes()).map_err(cannot)?;
    Ok(file)
}

/// Returns the note that the owner wrote into the lock file.
fn noted(file: &mut File) -> Option<String> {
    let mut note = String::new();
    file.take(64).read_to_string(&mut note).ok()?;
    Some(note.trim().to_owned()).filter(|note| !note.is_empty())
}
