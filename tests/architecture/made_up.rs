//! Tests the checks on made-up files with made-up rules: each check finds its violations, and nothing else.

use crate::check::{May, Rules, crate_file, length, source_file};

const RULES: Rules = Rules {
    rooms: &[("low", May::Only(&[])), ("mid", May::Only(&["low"])), ("top", May::All)],
    crates: &[("sqlx", &["mid"])],
    sql: "crates/store/",
    lines: 5,
};

fn complaints(path: &str, code: &str) -> Vec<String> {
    source_file(&RULES, path, &format!("//! Doc.\n{code}"))
}

#[test]
fn a_room_names_only_what_it_may() {
    let table = [
        ("src/mid/a.rs", "use crate::{low::X, mid::Y};", None),
        ("src/mid/a.rs", "use crate::top::X;", Some("src/mid/a.rs:2: `mid` names `top`; it may name low")),
        (
            "src/mid/a.rs",
            "\nfn f() { super::super::top::g() }",
            Some("src/mid/a.rs:3: `mid` names `top`; it may name low"),
        ),
        ("src/mid.rs", "use super::top;", Some("src/mid.rs:2: `mid` names `top`; it may name low")),
        ("src/low.rs", "use crate::mid;", Some("src/low.rs:2: `low` names `mid`; it may name no other room")),
        (
            "src/low.rs",
            "use crate::Job;",
            Some("src/low.rs:2: `low` names `Job`, which is not a room; import it from its room"),
        ),
        (
            "src/low.rs",
            "use crate::*;",
            Some("src/low.rs:2: `low` names `*`, which is not a room; import it from its room"),
        ),
        ("src/top.rs", "use crate::{low, mid, Job};", None),
        ("src/mid/a.rs", "#[cfg(test)]\nmod tests { use crate::top::X; }", None),
        ("src/mid/tests.rs", "use crate::top::X;", None),
        ("src/mid/a.rs", "/// Not crate::top.\nconst S: &str = \"crate::top\";", None),
        (
            "src/new/a.rs",
            "",
            Some("src/new/a.rs: unknown room `new`; add it to ROOMS in tests/architecture.rs"),
        ),
    ];
    for (path, code, complaint) in table {
        assert_eq!(complaints(path, code), Vec::from_iter(complaint), "{path}: {code}");
    }
}

#[test]
fn a_dependency_stays_in_its_room() {
    let table = [
        ("src/mid/a.rs", "use sqlx::Row;", None),
        ("src/top.rs", "use sqlx;", Some("src/top.rs:2: `top` names the crate `sqlx`; only mid may")),
        (
            "src/top.rs",
            "#[derive(sqlx::FromRow)]",
            Some("src/top.rs:2: `top` names the crate `sqlx`; only mid may"),
        ),
        ("src/main.rs", "use sqlx::Row;", Some("src/main.rs:2: `main` names the crate `sqlx`; only mid may")),
        ("src/top.rs", "use tokio::sync; let sqlx = other::sqlx::X;", None),
    ];
    for (path, code, complaint) in table {
        assert_eq!(complaints(path, code), Vec::from_iter(complaint), "{path}: {code}");
    }
}

#[test]
fn sql_stays_in_the_store() {
    let table = [
        ("crates/store/src/a.rs", "f(\"SELECT 1\")", None),
        ("crates/kommo/src/tests/a.rs", "f(\"SELECT 1\")", None),
        (
            "crates/kommo/src/a.rs",
            "f(\"SELECT 1\")",
            Some("crates/kommo/src/a.rs:2: SQL is only allowed in `crates/store/`"),
        ),
        ("src/top.rs", "f(\"SELECT 1\")", Some("src/top.rs:2: SQL is only allowed in `crates/store/`")),
        (
            "src/top.rs",
            "f(r#\"\n UPDATE jobs SET x = 1\"#)",
            Some("src/top.rs:2: SQL is only allowed in `crates/store/`"),
        ),
        ("src/top.rs", "f(\"Select a job, UPDATE\")", None),
    ];
    for (path, code, complaint) in table {
        let code = format!("//! Doc.\n{code}");
        let check = if path.starts_with("src/") { source_file } else { crate_file };
        assert_eq!(check(&RULES, path, &code), Vec::from_iter(complaint), "{path}: {code}");
    }
}

#[test]
fn lib_holds_no_code() {
    assert_eq!(complaints("src/lib.rs", "pub mod a;\npub use a::B;"), Vec::<String>::new());
    assert_eq!(
        complaints("src/lib.rs", "pub fn f() {}"),
        ["src/lib.rs:2: `fn` in lib.rs, which holds no code; move it to a room"]
    );
}

#[test]
fn a_file_opens_with_a_doc_comment() {
    assert_eq!(
        source_file(&RULES, "src/low.rs", "// Doc."),
        ["src/low.rs:1: must open with `//!`: what the file is, why, and what it guarantees"]
    );
    assert_eq!(source_file(&RULES, "src/lib.rs", "#![doc = include_str!(\"x\")]"), Vec::<String>::new());
}

#[test]
fn unit_tests_are_in_two_places_only() {
    let table = [
        ("src/top/tests.rs", "", None),
        ("src/top/tests/body.rs", "", None),
        ("src/top_tests.rs", "", Some("src/top_tests.rs: unit tests of `x.rs` belong in `x/tests.rs`")),
        (
            "crates/kommo/src/a_tests.rs",
            "",
            Some("crates/kommo/src/a_tests.rs: unit tests of `x.rs` belong in `x/tests.rs`"),
        ),
        (
            "crates/kommo/src/a.rs",
            "#[path = \"b.rs\"]\nmod tests;",
            Some(
                "crates/kommo/src/a.rs:2: remove `#[path]`, and move the module to the file where Cargo looks for it",
            ),
        ),
    ];
    for (path, code, complaint) in table {
        let code = format!("//! Doc.\n{code}");
        let check = if path.starts_with("crates/") { crate_file } else { source_file };
        let found = check(&RULES, path, &code);
        let found = found.iter().filter(|complaint| !complaint.contains("unknown room"));
        assert_eq!(Vec::from_iter(found), Vec::from_iter(complaint), "{path}: {code}");
    }
}

#[test]
fn a_file_that_is_too_long_is_found() {
    assert_eq!(length(&RULES, "tests/a.rs", "1\n2\n3\n4\n5\n"), Vec::<String>::new());
    assert_eq!(
        length(&RULES, "tests/a.rs", "1\n2\n3\n4\n5\n6\n"),
        ["tests/a.rs: 6 lines (at most 5): split it by idea"]
    );
}
