//! Checks that only the owner can open the store's files, and change the folder that contains them.
//!
//! The bridge creates them that way. Files from an older version or from elsewhere may be open to other users, who could
//! read what customers wrote, or hold the lock that keeps `serve` from starting.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::Check;

/// The mode bit of a folder in which only the owner of a file can remove it, like `/tmp`.
const STICKY: u32 = 0o1000;

/// The facts about a file or folder.
struct FileFacts {
    path: PathBuf,
    is_folder: bool,
    mode: u32,
    uid: u32,
}

/// Checks the store at `path`, the files beside it, and their folder.
pub(super) fn checks(path: &Path) -> Vec<Check> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let folder = path.parent().map(Path::to_owned);
    let beside = ["", "-wal", "-shm", ".lock"].map(|ending| {
        let mut name = OsString::from(&path);
        name.push(ending);
        PathBuf::from(name)
    });
    let found: Vec<FileFacts> = beside.into_iter().chain(folder).filter_map(inspect).collect();
    let Some(owner) = found.first().map(|store| store.uid) else { return Vec::new() };
    let checks: Vec<Check> = found.iter().filter_map(|found| decide(found, owner)).collect();
    if checks.is_empty() {
        return vec![Check::ok(
            "permissions",
            "only their owner can open the store's files and change their folder",
        )];
    }
    checks
}

fn inspect(path: PathBuf) -> Option<FileFacts> {
    let there = fs::symlink_metadata(&path).ok()?;
    Some(FileFacts { path, is_folder: there.is_dir(), mode: there.mode() & 0o1777, uid: there.uid() })
}

/// Checks one file or folder of a store that belongs to `owner`; `None` if it is as expected.
fn decide(found: &FileFacts, owner: u32) -> Option<Check> {
    let path = found.path.display();
    // A folder may also belong to root, which gives no other user access.
    if found.uid != owner && !(found.is_folder && found.uid == 0) {
        return Some(Check::warning(
            "permissions",
            format!("{path} belongs to user {}, but the store to user {owner}", found.uid),
            format!("run `chown {owner} {path}`, or remove it if it does not belong there"),
        ));
    }
    // A user who can list a folder cannot read its files. A user who can write to it can replace them.
    let (too_wide, what, right) =
        if found.is_folder { (0o022, "write to", "700") } else { (0o077, "open", "600") };
    (found.mode & too_wide != 0).then(|| {
        // All users need a system folder like /tmp: closing it would break their programs.
        let todo = if found.uid == owner && found.mode & STICKY == 0 {
            format!("run `chmod {right} {path}`")
        } else {
            format!("stop the bridge, and move the store into a folder that only user {owner} can open (store.url)")
        };
        Check::warning(
            "permissions",
            format!("other users of this machine can {what} {path} (mode {:o})", found.mode),
            todo,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_open_or_belong_to_another_user_are_reported() {
        for (is_folder, mode, uid, advice) in [
            (false, 0o600, 7, None),
            (false, 0o400, 7, None),
            (false, 0o640, 7, Some("chmod 600")),
            (false, 0o644, 7, Some("chmod 600")),
            (false, 0o600, 8, Some("chown 7")),
            (false, 0o600, 0, Some("chown 7")),
            (true, 0o700, 7, None),
            (true, 0o755, 7, None),
            (true, 0o700, 0, None),
            (true, 0o707, 7, Some("chmod 700")),
            (true, 0o770, 7, Some("chmod 700")),
            (true, 0o777, 0, Some("move the store")),
            (true, 0o1777, 7, Some("move the store")),
            (true, 0o1700, 7, None),
            (true, 0o700, 8, Some("chown 7")),
        ] {
            let found = FileFacts { path: "x".into(), is_folder, mode, uid };
            let check = decide(&found, 7).map(|check| serde_json::to_value(check).unwrap().to_string());
            assert_eq!(check.is_some(), advice.is_some(), "{mode:o} {uid}: {check:?}");
            if let (Some(check), Some(advice)) = (check, advice) {
                assert!(check.contains(advice), "{mode:o} {uid}: {check}");
            }
        }
    }
}
