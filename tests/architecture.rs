//! Checks what Cargo cannot: which room of the bridge may name which, which rooms may use which dependency, how long a
//! file may be, and that the documents name only what exists. The rules are the tables below; to add a room, add its
//! line. `check` applies them. `paths` and `tokens` read the source as text, so a wrong arrow is reported with its file
//! and line even if the code does not compile.

#[path = "architecture/check.rs"]
mod check;
#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/guarantees.rs"]
mod guarantees;
#[path = "architecture/made_up.rs"]
mod made_up;
#[path = "architecture/manifests.rs"]
mod manifests;
#[path = "architecture/metrics.rs"]
mod metrics;
#[path = "architecture/operator_routes.rs"]
mod operator_routes;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/store.rs"]
mod store;
#[path = "architecture/test_items.rs"]
mod test_items;
#[path = "architecture/tokens.rs"]
mod tokens;
#[path = "architecture/words.rs"]
mod words;

use std::fs;
use std::io;
use std::path::Path;

use check::{May, Rules};

/// The other rooms that each room of the bridge may name. Data flows one way: receive → store → work → store → deliver.
const ROOMS: &[(&str, May)] = &[
    ("shutdown", May::Only(&[])),
    ("secrets", May::Only(&[])),
    ("terminal", May::Only(&[])),
    ("problem", May::Only(&[])),
    ("panics", May::Only(&[])),
    ("log_limiter", May::Only(&[])),
    ("health", May::Only(&["schema"])),
    ("meters", May::Only(&[])),
    ("schema", May::Only(&[])),
    ("listed_account", May::Only(&["schema"])),
    ("listed_setting", May::Only(&[])),
    ("telemetry", May::Only(&["config", "meters", "panics", "terminal"])),
    ("job_log", May::Only(&["log_limiter", "meters"])),
    ("history", May::Only(&["meters", "schema"])),
    ("listener", May::Only(&["problem", "log_limiter", "meters"])),
    ("config", May::Only(&["listed_setting"])),
    ("handler", May::Only(&[])),
    ("handlers", May::Only(&["config", "handler", "secrets"])),
    ("request_body", May::Only(&[])),
    ("callback", May::Only(&["handler", "log_limiter", "problem", "request_body", "work"])),
    ("stage", May::Only(&[])),
    ("receive", May::Only(&["health", "log_limiter", "meters", "problem", "request_body", "terminal"])),
    ("work", May::Only(&["stage", "handler", "job_log", "meters", "panics"])),
    ("deliver", May::Only(&["stage", "accounts", "health", "job_log", "meters"])),
    ("accounts", May::Only(&["health", "listed_account", "secrets"])),
    ("oauth", May::Only(&["accounts", "problem", "log_limiter"])),
    (
        "admin",
        May::Only(&[
            "handler",
            "health",
            "history",
            "job_log",
            "listed_account",
            "listed_setting",
            "log_limiter",
            "meters",
            "problem",
            "request_body",
            "schema",
            "secrets",
            "terminal",
        ]),
    ),
    ("testing", May::Only(&["bridge", "config", "handler", "shutdown", "work"])),
    ("bridge", May::All),
    ("cli", May::All),
    ("fuzzing", May::Only(&["receive", "deliver"])),
];

/// The crates that only some rooms of the bridge may name. Cargo enforces the arrows between crates.
const CRATES: &[(&str, &[&str])] = &[
    ("paths", &["config", "cli"]),
    (
        "store",
        &[
            "config", "schema", "stage", "receive", "callback", "work", "deliver", "history", "accounts",
            "admin", "bridge", "cli", "testing",
        ],
    ),
    ("kommo", &["handler", "handlers", "work", "accounts", "deliver", "bridge", "cli", "testing", "fuzzing"]),
    ("simulator", &["cli", "testing"]),
    ("load", &["cli"]),
    ("widget_package", &["cli"]),
    ("reqwest", &["handlers", "cli", "testing"]),
    ("anyhow", &["main", "cli"]),
    ("maud", &["admin", "oauth"]),
    ("utoipa", &["schema", "problem", "health", "history", "listed_account", "admin"]),
];

const RULES: Rules = Rules { rooms: ROOMS, crates: CRATES, sql: "crates/store/", lines: 400 };

#[test]
fn the_source_follows_the_rules() -> io::Result<()> {
    let files = rust_files("src")?;
    assert!(files.iter().any(|(path, _)| path == "src/lib.rs"), "read the wrong folder");
    report(files.iter().flat_map(|(path, text)| check::source_file(&RULES, path, text)));
    Ok(())
}

#[test]
fn the_crates_follow_the_rules() -> io::Result<()> {
    let files = rust_files("crates")?;
    assert!(files.iter().any(|(path, _)| path == "crates/store/src/lib.rs"), "read the wrong folder");
    let each = files.iter().flat_map(|(path, text)| check::crate_file(&RULES, path, text));
    let below = files.iter().filter_map(|(path, text)| Some((path.strip_prefix("crates/store/src/")?, text)));
    report(each.chain(below.flat_map(|(path, text)| store::store_file(path, text))));
    Ok(())
}

#[test]
fn no_test_example_or_bench_is_too_long() -> io::Result<()> {
    for folder in ["tests", "benches", "examples"] {
        let files = rust_files(folder)?;
        report(files.iter().flat_map(|(path, text)| check::length(&RULES, path, text)));
    }
    Ok(())
}

#[test]
fn every_name_in_the_rules_is_a_room() {
    let known = |name: &&str| *name == "main" || ROOMS.iter().any(|(room, _)| room == name);
    let allowed = ROOMS.iter().flat_map(|(_, may)| match may {
        May::All => &[],
        May::Only(others) => *others,
    });
    let named = RULES.crates.iter().flat_map(|(_, rooms)| *rooms).chain(allowed);
    assert_eq!(named.filter(|name| !known(name)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

/// Fails with all complaints at once, so that one run shows everything to fix.
fn report(wrong: impl Iterator<Item = String>) {
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} violations of the rules:\n{}", wrong.len(), wrong.join("\n"));
}

/// The `.rs` files below `folder` of the package, sorted, with their text; empty if the folder does not exist.
fn rust_files(folder: &str) -> io::Result<Vec<(String, String)>> {
    let files = files(folder)?.into_iter().filter(|path| path.ends_with(".rs"));
    files.map(|path| Ok((path.clone(), read(&path)?))).collect()
}

/// The files below `folder` of the package, sorted; empty if the folder does not exist.
fn files(folder: &str) -> io::Result<Vec<String>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(package.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if !entry.file_type()?.is_dir() {
                files.push(path);
            } else if !path.ends_with("/target") {
                // A folder `target` contains only build output.
                folders.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a file of the package.
fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}
