//! Finds the programs of PostgreSQL, and the user that may run them.

use std::fs;
use std::path::{Path, PathBuf};

/// If it is set, a test that cannot run fails instead.
const MUST_RUN: &str = "TESTS_MUST_RUN";

/// The folder with `initdb` and `postgres`, of the newest version; `None` without PostgreSQL.
pub(super) fn folder() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("initdb"));
    // The programs beside the one that a link leads to: `initdb` alone may be linked into the PATH.
    let on_path = on_path.filter_map(|program| program.canonicalize().ok()?.parent().map(Path::to_owned));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    on_path
        .chain(versions.into_iter().rev().map(|(_, folder)| folder))
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// The user and group that run the server: another user if this one is root, because PostgreSQL refuses root.
pub(super) fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (name == wanted).then_some((user, group))
        })
    };
    ["postgres", concat!("no", "body")].into_iter().find_map(find)
}

/// Says that tests are skipped, or fails if they must run.
#[allow(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
pub(super) fn skip() {
    assert!(
        std::env::var_os(MUST_RUN).is_none(),
        "PostgreSQL is required: install it, or set BRIDGE_TEST_POSTGRES"
    );
    eprintln!(
        "\n*** TESTS OF THE POSTGRESQL STORE ARE SKIPPED: no `initdb` on the PATH or under /usr/lib/postgresql, and \
         BRIDGE_TEST_POSTGRES is not set ***\n"
    );
}
