//! Who owns a store: the process that holds the lock beside it.

use std::fs;

use super::open;

/// The id of the process that serves the store of `url` on this machine; `None` if there is none, or it cannot be
/// told: only Linux says which files a process has open, and only to its user.
///
/// Unlike an attempt to lock it, the look disturbs nobody who is about to.
pub(crate) fn owner(url: &str) -> Option<u32> {
    let lock = open::lock_path(&open::resolved(open::path(url).ok()?)).canonicalize().ok()?;
    let note = fs::read_to_string(&lock).ok()?;
    let pid: u32 = note.trim().strip_prefix("process ")?.parse().ok()?;
    // The note outlives its process, and another one may have got the number since.
    let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    open.any(|file| fs::read_link(file.path()).is_ok_and(|link| link == lock)).then_some(pid)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_who_holds_the_lock_open_and_not_who_once_did() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        assert_eq!(owner(&url), None, "nobody was ever there");
        let path = folder.path().join("bridge.db.lock");
        fs::write(&path, format!("process {}\n", std::process::id())).unwrap();
        assert_eq!(owner(&url), None, "the note is old");
        let held = fs::File::open(&path).unwrap();
        assert_eq!(owner(&url), Some(std::process::id()));
        drop(held);
        fs::write(&path, "nonsense").unwrap();
        assert_eq!(owner(&url), None);
    }
}
