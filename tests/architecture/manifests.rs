//! Checks the separation of crates in Cargo's manifests, so that a new dependency does not undo it unnoticed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::read;

/// The crates of the workspace: the folders below `crates/`.
pub(crate) fn crates() -> io::Result<BTreeSet<String>> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The manifest of the package in `folder`; the root package is in `.`.
pub(crate) fn manifest(folder: &str) -> io::Result<String> {
    read(&format!("{folder}/Cargo.toml"))
}

/// The dependencies of a package, without those of its tests.
pub(crate) fn dependencies(manifest: &str) -> BTreeSet<String> {
    let below = manifest.split_once("\n[dependencies]\n").map_or("", |(_, below)| below);
    let lines = below.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ']).next()).map(str::to_owned);
    names.filter(|name| !name.is_empty() && name != "#").collect()
}

#[test]
fn only_the_store_depends_on_a_database() -> io::Result<()> {
    for folder in crates()?.iter().map(|name| format!("crates/{name}")).chain([".".to_owned()]) {
        let found = dependencies(&manifest(&folder)?);
        let has_database = ["sqlx", "rusqlite", "libsqlite3-sys"].iter().any(|name| found.contains(*name));
        assert_eq!(has_database, folder == "crates/store", "{folder} depends on {found:?}");
    }
    Ok(())
}

#[test]
fn the_model_depends_on_no_io() -> io::Result<()> {
    let found = dependencies(&manifest("crates/model")?);
    for name in ["axum", "hyper", "hyper-util", "reqwest", "rusqlite", "rustix", "sqlx"] {
        assert!(!found.contains(name), "crates/model depends on {name}");
    }
    let manifest = manifest("crates/model")?;
    let tokio = manifest.lines().find(|line| line.starts_with("tokio = ")).unwrap();
    assert_eq!(
        tokio, "tokio = { workspace = true, features = [\"sync\", \"time\"] }",
        "only locks and timers"
    );
    Ok(())
}

#[test]
fn dependencies_of_tests_do_not_count() {
    let manifest = "[package]\n\n[dependencies]\n# Why.\na.workspace = true\nb = { path = \"b\" }\n\nc.workspace = true\n\n[dev-dependencies]\nd.workspace = true\n";
    assert_eq!(dependencies(manifest), ["a", "b", "c"].map(str::to_owned).into());
}

#[test]
fn the_copied_example_builds_sqlite_like_the_workspace() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let flags = |folder: &str| -> io::Result<Option<String>> {
        let config = fs::read_to_string(root.join(folder).join(".cargo/config.toml"))?;
        Ok(config.lines().find(|line| line.starts_with("LIBSQLITE3_FLAGS = ")).map(str::to_owned))
    };
    let ours = flags("")?;
    assert!(ours.as_ref().is_some_and(|flags| flags.contains("HAVE_FDATASYNC")), "{ours:?}");
    assert_eq!(flags("examples/docker")?, ours);
    Ok(())
}

#[test]
fn image_of_a_copied_example_gets_each_of_its_files() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/docker");
    let list = fs::read_to_string(folder.join("Dockerfile.dockerignore"))?;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_listed = list.lines().any(|line| line.strip_prefix('!') == Some(&name));
        assert!(is_listed || name.starts_with("Dockerfile"), "Dockerfile.dockerignore lacks `!{name}`");
    }
    Ok(())
}
