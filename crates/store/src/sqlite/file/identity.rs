//! Whether the open files are still those at the store's path.
//!
//! An open file outlives its name: after somebody deleted or replaced it, every commit succeeds and the next
//! start finds nothing of it. So nothing is acknowledged while the names lead elsewhere. What was acknowledged
//! before is worked off from the open files, and when the store is closed, they are written back.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::SqliteConnection;

use super::create;
use super::path::with;
use crate::{Cause, StoreError};

/// Where the store is, and what was there when it was opened.
pub(crate) struct FileIdentity {
    path: PathBuf,
    file: Identity,
    /// The files beside it, which SQLite makes at the first write.
    beside: [(PathBuf, OnceLock<Identity>); 2],
    told: AtomicBool,
}

/// What makes a file the same file: its device and its number on it.
type Identity = (u64, u64);

impl FileIdentity {
    /// The store at `path`, which is open by now.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let beside = ["-wal", "-shm"].map(|ending| (with(path, ending), OnceLock::new()));
        let file = identity(&fs::metadata(path)?);
        Ok(Self { path: path.to_owned(), file, beside, told: AtomicBool::new(false) })
    }

    /// Where the store is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written now is found by the next start. Says in the log when that changes.
    ///
    /// # Errors
    /// [`StoreError::Moved`], with what a person can do.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let result = self.compare().map_err(|what| StoreError::Moved { what });
        match &result {
            Err(error) if !self.told.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "requests are refused")
            }
            Ok(()) if self.told.swap(false, Ordering::Relaxed) => {
                tracing::info!("the store's file is in its place again; requests are taken");
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
                    return Err(format!("another file was put in the place of {shown}"));
                }
                (Ok(_), _) | (Err(_), None) => {}
                (Err(error), Some(_)) if error.kind() == ErrorKind::NotFound => {
                    return Err(format!("{shown} was deleted or moved away"));
                }
                (Err(error), Some(_)) => {
                    return Err(format!(
                        "{shown} cannot be seen any more: {error}; {}",
                        paths::ownership(path)
                    ));
                }
            }
        }
        for (path, known) in &self.beside {
            if known.get().is_none()
                && let Ok(there) = fs::metadata(path)
            {
                // Two who find it at once find the same.
                let _known_already = known.set(identity(&there));
            }
        }
        Ok(())
    }

    /// Writes what the open files hold to where the next start looks; beside it, if something else is there. Does nothing
    /// where the file is in its place: then closing it brings in what is beside it.
    pub(crate) async fn write_back(&self, connection: &mut SqliteConnection) {
        let target = match fs::metadata(&self.path) {
            Ok(there) if identity(&there) == self.file => return,
            Ok(_) => free_name(&self.path),
            // A link that leads nowhere is not followed either: nothing is made through it.
            Err(_) if self.path.is_symlink() => free_name(&self.path),
            Err(_) => self.path.clone(),
        };
        let shown = target.display().to_string();
        match self.copy(connection, &target).await {
            Ok(()) => {
                tracing::warn!(store = shown, "the store's file was gone; what was open is written there")
            }
            Err(error) => {
                tracing::error!(%error, store = shown, "the store's file was gone, and what was open cannot be written there: its jobs are lost")
            }
        }
    }

    async fn copy(&self, connection: &mut SqliteConnection, target: &Path) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::Database(Cause::of(error));
        let folder = create::folder_of(target);
        create::make_folder(folder).map_err(failed)?;
        create::make(target).map_err(failed)?;
        sqlx::query("VACUUM INTO ?").bind(target.to_string_lossy()).execute(connection).await?;
        File::open(target).and_then(|file| file.sync_all()).map_err(failed)?;
        create::sync_names(folder);
        Ok(())
    }
}

/// Where nothing is yet: what was saved earlier is somebody's jobs too.
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
    fn what_was_saved_is_never_in_the_way_of_what_has_to_be_saved() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("bridge.db");
        for name in ["bridge.db.saved", "bridge.db.saved.1", "bridge.db.saved.2"] {
            let free = free_name(&store);
            assert_eq!(free, folder.path().join(name));
            fs::write(free, "jobs").unwrap();
        }
    }
}
