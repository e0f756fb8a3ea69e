//! The room that the disk has for the store: the free space, plus the space that the store already takes.

use std::path::Path;

/// Returns the room for the store at `path` in bytes; `None` if it cannot be determined.
pub(crate) fn room(path: &Path) -> Option<u64> {
    let free = free(path)?;
    let log = super::path::with(path, "-wal");
    let own = [path, &log].map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
    Some(own.into_iter().fold(free, u64::saturating_add))
}

/// Returns the free space on the disk that holds `path`, in bytes; `None` if it cannot be determined.
pub(crate) fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(super::create::folder_of(path)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_includes_the_space_that_the_store_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.db");
        let empty = room(&path).unwrap();
        assert!(empty > 0);
        let file = std::fs::File::create(&path).unwrap();
        // A sparse file takes no space on the disk, so the room grows by its length.
        file.set_len(empty).unwrap();
        assert!(room(&path).unwrap() > empty);
        assert_eq!(room(Path::new("/nowhere/bridge.db")), None);
    }
}
