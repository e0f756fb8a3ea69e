//! Who can read the files that hold secrets.
//!
//! A file that everybody may read is no leak in a folder that only its owner may enter, so the folders above count too.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::check::Check;

/// Looks at each of these files; none if there are none.
pub(super) fn checks<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Vec<Check> {
    let mut looked = 0;
    let mut checks = Vec::new();
    for file in files {
        looked += 1;
        // A file whose folders keep even us from looking is not open to everybody.
        if modes(file).is_ok_and(|modes| is_open(&modes)) {
            checks.push(Check::warning(
                "secrets",
                format!("{} holds secrets, and every user of this machine can read it", file.display()),
                format!(
                    "run `chmod o= {}`; the user that runs `serve` must still be able to read it",
                    file.display()
                ),
            ));
        }
    }
    if looked > 0 && checks.is_empty() {
        checks.push(Check::ok("secrets", "no file that holds them can be read by everybody"));
    }
    checks
}

/// The permissions of a file, and then those of each folder above it.
fn modes(file: &Path) -> io::Result<Vec<u32>> {
    let file = fs::canonicalize(file)?;
    file.ancestors().map(|path| Ok(fs::metadata(path)?.permissions().mode())).collect()
}

/// Whether those who are neither the owner nor of the group get through all folders and can read the file.
fn is_open(modes: &[u32]) -> bool {
    let Some((file, folders)) = modes.split_first() else { return false };
    file & 0o004 != 0 && folders.iter().all(|folder| folder & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn a_file_is_open_if_everybody_can_reach_and_read_it() {
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
    fn the_folders_above_the_file_that_a_link_leads_to_count() {
        let (closed, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (secret, link) = (closed.path().join("secret"), other.path().join("link"));
        fs::write(&secret, "s").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let modes: Vec<u32> = modes(&link).unwrap().iter().map(|mode| mode & 0o777).collect();
        assert_eq!(modes[..2], [0o644, 0o700]);
        assert_eq!(checks([&link])[0].outcome(), Outcome::Ok);
        assert!(checks([]).is_empty(), "secrets of the environment are in no file");
    }
}
