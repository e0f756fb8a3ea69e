//! Whether the store's files and their folder are their owner's alone.
//!
//! The bridge makes them so. Files of an older version, or that came by another way, may be open to others, who could read
//! what customers wrote, or hold the lock that keeps `serve` from starting.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::Check;

/// The bit of a folder in which every user may make files, and only their owner may remove them.
const STICKY: u32 = 0o1000;

/// What the system says of a file or folder.
struct FileFacts {
    path: PathBuf,
    is_folder: bool,
    mode: u32,
    uid: u32,
}

/// Looks at the store at `path`, the files beside it, and the folder.
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
        return vec![Check::ok("permissions", "the store's folder and files are their owner's alone")];
    }
    checks
}

fn inspect(path: PathBuf) -> Option<FileFacts> {
    let there = fs::symlink_metadata(&path).ok()?;
    Some(FileFacts { path, is_folder: there.is_dir(), mode: there.mode() & 0o1777, uid: there.uid() })
}

/// What is wrong with one of them, where the store is `owner`'s.
fn decide(found: &FileFacts, owner: u32) -> Option<Check> {
    let path = found.path.display();
    // A folder that is root's lets no one else in by that.
    if found.uid != owner && !(found.is_folder && found.uid == 0) {
        return Some(Check::warning(
            "permissions",
            format!("{path} belongs to user {}, the store to user {owner}", found.uid),
            format!("run `chown {owner} {path}`, or remove what does not belong there"),
        ));
    }
    // Who may list a folder reads none of its files; who may write in it can put others in their place.
    let (too_wide, what, right) =
        if found.is_folder { (0o022, "written", "700") } else { (0o077, "opened", "600") };
    (found.mode & too_wide != 0).then(|| {
        // A folder of the system, like /tmp, is meant for all users: to close it would break their programs.
        let todo = if found.uid == owner && found.mode & STICKY == 0 {
            format!("run `chmod {right} {path}`")
        } else {
            format!("stop the bridge, and move the store into a folder that belongs to user {owner} alone (store.url)")
        };
        Check::warning(
            "permissions",
            format!("{path} can be {what} by other users of this machine (mode {:o})", found.mode),
            todo,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_to_others_or_of_another_is_a_table() {
        for (is_folder, mode, uid, said) in [
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
            assert_eq!(check.is_some(), said.is_some(), "{mode:o} {uid}: {check:?}");
            if let (Some(check), Some(said)) = (check, said) {
                assert!(check.contains(said), "{mode:o} {uid}: {check}");
            }
        }
    }
}
