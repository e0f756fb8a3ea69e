//! Checks who can read the files that hold secrets.
//!
//! A world-readable file is safe in a folder that only its owner can enter, so the check includes the folders above.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::check::Check;

/// Checks each of these files. Returns no check if there are no files.
pub(super) fn checks<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Vec<Check> {
    let mut count = 0;
    let mut checks = Vec::new();
    for file in files {
        count += 1;
        // If even this user cannot enter a folder above the file, other users cannot either.
        if modes(file).is_ok_and(|modes| is_open(&modes)) {
            checks.push(Check::warning(
                "secrets",
                format!("every user of this machine can read {}, which holds secrets", file.display()),
                format!(
                    "run `chmod o= {}`; the user that runs `serve` must still be able to read it",
                    file.display()
                ),
            ));
        }
    }
    if count > 0 && checks.is_empty() {
        checks.push(Check::ok("secrets", "no file with secrets is readable by every user"));
    }
    checks
}

/// The permissions of a file, followed by those of each folder above it.
fn modes(file: &Path) -> io::Result<Vec<u32>> {
    let file = fs::canonicalize(file)?;
    file.ancestors().map(|path| Ok(fs::metadata(path)?.permissions().mode())).collect()
}

/// Whether users who are neither the owner nor in the group can enter all folders and read the file.
fn is_open(modes: &[u32]) -> bool {
    let Some((file, folders)) = modes.split_first() else { return false };
    file & 0o004 != 0 && folders.iter().all(|folder| folder & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn a_file_is_open_if_every_user_can_reach_and_read_it() {
        for (modes, open) in [
            (&[0o100_644, 0o755, 0o755][..], true),
            (&[0o100_604, 0o711, 0o755], true),
            (&[0o100_640, 0o755, 0o755], false),
            (&[0o100_600, 0o1777, 0o755], false),
            (&[0o100_644, 0o700, 0o755], false),
            (&[0o100_644, 0o755, 0o750], false),
            (&[], false),
        ] {
            assert_eq!(is_open(modes), open, "{modes:?}");
        }
    }

    #[test]
    fn a_link_is_checked_by_the_folders_above_its_target() {
        let (closed, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (secret, link) = (closed.path().join("secret"), other.path().join("link"));
        fs::write(&secret, "s").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let modes: Vec<u32> = modes(&link).unwrap().iter().map(|mode| mode & 0o777).collect();
        assert_eq!(modes[..2], [0o644, 0o700]);
        assert_eq!(checks([&link])[0].outcome(), Outcome::Ok);
        assert!(checks([]).is_empty(), "secrets from the environment are in no file");
    }
}
