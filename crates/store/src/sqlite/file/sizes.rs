//! The lengths of the store's files, the free space on their disk, and the processes that read them.

use std::fs;

use super::{create, log, path, proc_locks};
use crate::StoreError;
use crate::records::FileSizes;

/// Returns the sizes of the store at `url`.
///
/// # Errors
/// `url` names no file.
pub(crate) fn sizes(url: &str) -> Result<FileSizes, StoreError> {
    let path = path::file_of(url)?;
    let disk = rustix::fs::statvfs(create::folder_of(&path)).ok();
    Ok(FileSizes {
        file_bytes: fs::metadata(&path).map_or(0, |file| file.len()),
        log_bytes: log::bytes_of(&path),
        free_bytes: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        readers: proc_locks::foreign_readers(&path),
        path,
    })
}
