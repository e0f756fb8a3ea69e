//! The rooms of the store, and which may name which. To Cargo they are one crate. This test keeps the arrows between
//! them in one direction, and the database inside the engine.

use crate::paths::{module_of, named};
use crate::test_items::without_tests;
use crate::tokens::{Kind, Token, tokens};

/// What suits any engine: the vocabulary of the public interface, counters and timers in memory, group commit, and the
/// decisions about jobs and maintenance.
pub(crate) const SHARED: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("records", &[]),
    ("awaiting", &[]),
    ("budget", &[]),
    ("cause", &[]),
    ("feed", &[]),
    ("lock", &[]),
    ("error", &["budget", "cause"]),
    ("retry", &["error"]),
    ("lanes", &["error"]),
    ("commit::message", &[]),
    ("jobs", &["time", "records", "budget", "lanes", "commit::message"]),
    ("commit", &["time", "awaiting", "budget", "feed", "lock", "lanes", "commit::message", "jobs"]),
    ("maintenance", &["time", "budget"]),
];

/// The engines, and what is above them. Besides the listed rooms, each may name the shared ones. A room inside another one
/// has its own line: `postgres::write::writer` carries out commands that `postgres::write` must not name.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("postgres::connect", &[]),
    ("sqlite::error", &["postgres::connect"]),
    ("sqlite::file", &["sqlite::error"]),
    ("sqlite::read", &[]),
    ("sqlite::write", &["sqlite::file"]),
    ("sqlite::engine", &["sqlite::file", "sqlite::write"]),
    ("sqlite::actions", &["sqlite::write", "sqlite::engine"]),
    ("sqlite::jobs", &["sqlite::write", "sqlite::engine", "sqlite::actions"]),
    ("sqlite::accounts", &["sqlite::write", "sqlite::engine", "sqlite::actions"]),
    (
        "sqlite::maintenance",
        &["sqlite::file", "sqlite::read", "sqlite::write", "sqlite::engine", "sqlite::jobs"],
    ),
    ("sqlite::group_commit", &["sqlite::file", "sqlite::write", "sqlite::jobs"]),
    (
        "sqlite::lifecycle",
        &[
            "sqlite::file",
            "sqlite::write",
            "sqlite::engine",
            "sqlite::jobs",
            "sqlite::accounts",
            "sqlite::maintenance",
            "sqlite::group_commit",
        ],
    ),
    ("sqlite::testing", &["sqlite::write", "sqlite::engine", "sqlite::jobs", "sqlite::maintenance"]),
    ("postgres::schema", &[]),
    ("postgres::schedule", &[]),
    ("postgres::write", &["postgres::connect", "postgres::schema", "postgres::schedule"]),
    ("postgres::engine", &["postgres::connect", "postgres::write"]),
    ("postgres::actions", &["postgres::write", "postgres::engine"]),
    (
        "postgres::jobs",
        &[
            "postgres::schema",
            "postgres::schedule",
            "postgres::write",
            "postgres::engine",
            "postgres::actions",
        ],
    ),
    ("postgres::accounts", &["postgres::write", "postgres::engine", "postgres::actions"]),
    (
        "postgres::maintenance",
        &[
            "postgres::connect",
            "postgres::schema",
            "postgres::schedule",
            "postgres::write",
            "postgres::engine",
            "postgres::jobs",
        ],
    ),
    ("postgres::write::writer", &["postgres::connect", "postgres::write", "postgres::jobs"]),
    (
        "postgres::lifecycle",
        &[
            "postgres::connect",
            "postgres::schema",
            "postgres::write",
            "postgres::engine",
            "postgres::jobs",
            "postgres::accounts",
            "postgres::maintenance",
            "postgres::write::writer",
        ],
    ),
    ("postgres::outside", &["postgres::connect", "postgres::schema", "postgres::engine"]),
    ("postgres::doctor", &["postgres::connect", "postgres::outside"]),
    (
        "postgres::testing",
        &[
            "postgres::connect",
            "postgres::schema",
            "postgres::write",
            "postgres::engine",
            "postgres::jobs",
            "postgres::maintenance",
        ],
    ),
    ("file", &["sqlite::file"]),
    ("backup", &["sqlite::file", "sqlite::actions", "sqlite::maintenance"]),
    ("inspect", &["sqlite::maintenance"]),
    ("address", &["postgres::connect"]),
    ("outside", &["address", "file", "inspect", "postgres::outside"]),
    ("database", &["postgres::doctor"]),
    ("engine", &["sqlite::engine", "postgres::connect", "postgres::engine"]),
    ("testing", &["engine", "sqlite::testing", "postgres::testing"]),
    ("handles", &["engine"]),
];

/// The exports of the crate root that come from `handles`. Its other exports are shared.
const HANDLES: [&str; 8] =
    ["Store", "Callbacks", "Errors", "Jobs", "Accounts", "OAuth", "Operator", "Maintenance"];

/// All complaints about a file of the store; `below_src` is its path below `crates/store/src/`.
pub(crate) fn store_file(below_src: &str, text: &str) -> Vec<String> {
    let module = module_of(below_src);
    let is_test = below_src.contains("tests/") || below_src.ends_with("tests.rs");
    if is_test || module == ["lib"] || module == ["sqlite"] || module == ["postgres"] {
        return Vec::new();
    }
    let code = without_tests(&tokens(text));
    let Some((room, may)) = room_of(&module) else {
        return vec![format!(
            "{below_src}: unknown room of the store; add it to tests/architecture/store.rs"
        )];
    };
    let allowed = |other: &str| {
        let is_shared = SHARED.iter().any(|(name, _)| *name == other);
        other == room || may.contains(&other) || (is_shared && ROOMS.iter().any(|(name, _)| *name == room))
    };
    let arrows = named(&code, &module).into_iter().filter_map(|named| {
        let other = target(&named.path)?;
        (!allowed(other)).then(|| format!("{below_src}:{}: `{room}` names `{other}`", named.line))
    });
    arrows.chain(database(below_src, room, &code)).collect()
}

/// The room that a path leads to; `None` if the root exports it from a shared room.
fn target(path: &[String]) -> Option<&'static str> {
    let is_handle = path.first().is_some_and(|first| HANDLES.contains(&first.as_str()));
    if is_handle { Some("handles") } else { room_of(path).map(|(name, _)| name) }
}

/// The innermost room that holds a module.
fn room_of(module: &[String]) -> Option<(&'static str, &'static [&'static str])> {
    let holds =
        |name: &str| name.split("::").enumerate().all(|(at, part)| module.get(at).is_some_and(|m| m == part));
    SHARED.iter().chain(ROOMS).filter(|(name, _)| holds(name)).max_by_key(|(name, _)| name.len()).copied()
}

/// Complaints about names of a database outside the engines.
fn database(below_src: &str, room: &str, code: &[Token]) -> Vec<String> {
    let named = |token: &Token| match &token.kind {
        Kind::Word(word) if word == "sqlx" || word == "rusqlite" => {
            Some(format!("{below_src}:{}: `{room}` names `{word}`", token.line))
        }
        _ => None,
    };
    code.iter()
        .filter(|_| !["sqlite", "postgres"].iter().any(|engine| room.starts_with(engine)))
        .filter_map(named)
        .collect()
}

#[test]
fn each_store_room_names_only_rooms_above_it_in_the_table() {
    let mut above = Vec::new();
    for (room, others) in SHARED.iter().chain(ROOMS) {
        for other in *others {
            assert!(above.contains(other), "{room} names {other}, which is not above it in the tables");
        }
        above.push(room);
    }
}

#[test]
fn an_upward_arrow_in_the_store_is_found() {
    for (path, code, expected) in [
        ("sqlite/jobs/a.rs", "use crate::sqlite::write::x;", None),
        ("sqlite/jobs/a.rs", "use crate::{StoreError, time};", None),
        (
            "sqlite/jobs/a.rs",
            "use crate::sqlite::maintenance;",
            Some("`sqlite::jobs` names `sqlite::maintenance`"),
        ),
        (
            "sqlite/jobs/a.rs",
            "use super::super::lifecycle::x;",
            Some("`sqlite::jobs` names `sqlite::lifecycle`"),
        ),
        ("sqlite/jobs/a.rs", "use crate::Store;", Some("`sqlite::jobs` names `handles`")),
        ("sqlite/jobs/tests.rs", "use crate::Store;", None),
        ("postgres/jobs/a.rs", "use crate::postgres::schedule::x; use sqlx::Row;", None),
        ("postgres/write/writer.rs", "use crate::postgres::jobs::x; use super::transaction::y;", None),
        (
            "postgres/write/a.rs",
            "use crate::postgres::jobs::x;",
            Some("`postgres::write` names `postgres::jobs`"),
        ),
        ("postgres/jobs/a.rs", "use crate::sqlite::jobs;", Some("`postgres::jobs` names `sqlite::jobs`")),
        ("jobs/a.rs", "use crate::commit::queue;", Some("`jobs` names `commit`")),
        ("handles/a.rs", "use crate::sqlite::jobs;", Some("`handles` names `sqlite::jobs`")),
        ("records/a.rs", "use sqlx::Row;", Some("`records` names `sqlx`")),
        ("records/a.rs", "use rusqlite::Row;", Some("`records` names `rusqlite`")),
        ("lanes/a.rs", "use crate::records;", Some("`lanes` names `records`")),
        ("new.rs", "", Some("unknown room of the store; add it to tests/architecture/store.rs")),
    ] {
        let complaints = store_file(path, code);
        let found = complaints.first().map(|complaint| complaint.rsplit(": ").next().unwrap_or_default());
        assert_eq!(found, expected, "{path} {code}");
    }
}
