//! Checks whether the open files are still those at the store's path.
//!
//! An open file outlives its name: after someone deletes or replaces it, every commit still succeeds, but the next
//! start finds none of it. So the store acknowledges nothing while the path leads elsewhere. It still processes the
//! jobs that it acknowledged before, from the open files, and writes their content back when it is closed.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::create;
use super::path::with;
use crate::{Cause, StoreError};

/// The store's path, and the files that were there when it was opened.
pub(crate) struct FileIdentity {
    path: PathBuf,
    file: Identity,
    /// The files beside it, which SQLite creates at the first write.
    beside: [(PathBuf, OnceLock<Identity>); 2],
    is_logged: AtomicBool,
}

/// A file's device and its number on that device, which identify the file.
type Identity = (u64, u64);

impl FileIdentity {
    /// Records the identity of the store at `path`, which is already open.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let beside = ["-wal", "-shm"].map(|ending| (with(path, ending), OnceLock::new()));
        let file = identity(&fs::metadata(path)?);
        Ok(Self { path: path.to_owned(), file, beside, is_logged: AtomicBool::new(false) })
    }

    /// Returns the store's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks whether the next start would find the data that is written now. Logs when the result changes.
    ///
    /// # Errors
    /// [`StoreError::Moved`], with instructions for the operator.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let result = self.compare().map_err(|what| StoreError::Moved { what });
        match &result {
            Err(error) if !self.is_logged.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "the bridge refuses requests")
            }
            Ok(()) if self.is_logged.swap(false, Ordering::Relaxed) => {
                tracing::info!("the store's file is back in its place; the bridge accepts requests again");
            }
            _ => {}
        }
        result
    }

    fn compare(&self) -> Result<(), String> {
        let names = std::iter::once((&self.path, Some(&self.file)))
            .chain(self.beside.iter().map(|(path, known)| (path, known.get())));
        for (path, known) in names {
            let shown = path.display();
            match (fs::metadata(path), known) {
                (Ok(there), Some(known)) if identity(&there) != *known => {
                    return Err(format!("{shown} was replaced with another file"));
                }
                (Ok(_), _) | (Err(_), None) => {}
                (Err(error), Some(_)) if error.kind() == ErrorKind::NotFound => {
                    return Err(format!("{shown} was deleted or moved away"));
                }
                (Err(error), Some(_)) => {
                    return Err(format!(
                        "{shown} could not be checked ({error}; {})",
                        paths::ownership(path)
                    ));
                }
            }
        }
        for (path, known) in &self.beside {
            if known.get().is_none()
                && let Ok(there) = fs::metadata(path)
            {
                // Two threads that find the file at the same time record the same identity.
                let _known_already = known.set(identity(&there));
            }
        }
        Ok(())
    }

    /// Writes the content of the open files to the path where the next start looks, or beside it if something else is
    /// there. Does nothing if the file is in its place: closing it then checkpoints the log.
    pub(crate) fn write_back(&self, connection: &Connection) {
        let target = match fs::metadata(&self.path) {
            Ok(there) if identity(&there) == self.file => return,
            Ok(_) => free_name(&self.path),
            // A dangling link is not followed either: nothing is created through a link.
            Err(_) if self.path.is_symlink() => free_name(&self.path),
            Err(_) => self.path.clone(),
        };
        let shown = target.display().to_string();
        match self.copy(connection, &target) {
            Ok(()) => {
                tracing::warn!(store = shown, "the store's file was gone; its content was written back")
            }
            Err(error) => {
                tracing::error!(%error, store = shown, "the store's file was gone and its content cannot be written back: its jobs are lost")
            }
        }
    }

    fn copy(&self, connection: &Connection, target: &Path) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::Database(Cause::of(error));
        let folder = create::folder_of(target);
        create::make_folder(folder).map_err(failed)?;
        create::make(target).map_err(failed)?;
        connection.execute("VACUUM INTO ?", [target.to_string_lossy()])?;
        File::open(target).and_then(|file| file.sync_all()).map_err(failed)?;
        create::sync_names(folder);
        Ok(())
    }
}

/// Returns a name that does not exist yet. Files saved earlier contain jobs too, so they are not overwritten.
fn free_name(path: &Path) -> PathBuf {
    let later = (1_u32..).map(|number| with(path, &format!(".saved.{number}")));
    let mut names = std::iter::once(with(path, ".saved")).chain(later);
    names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_else(|| with(path, ".saved"))
}

fn identity(of: &Metadata) -> Identity {
    (of.dev(), of.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_store_never_overwrites_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("bridge.db");
        for name in ["bridge.db.saved", "bridge.db.saved.1", "bridge.db.saved.2"] {
            let free = free_name(&store);
            assert_eq!(free, folder.path().join(name));
            fs::write(free, "jobs").unwrap();
        }
    }
}
