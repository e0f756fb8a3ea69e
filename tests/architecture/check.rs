//! The checks. They take the rules and a file's path and text, and return complaints with `file:line` and the rule. They
//! read no files, so tests can show with made-up files that each check works.

use crate::paths::{module_of, named};
use crate::test_items::without_tests;
use crate::tokens::{Kind, Token, tokens};

/// Which rooms a room may name, besides itself.
pub(crate) enum May {
    /// Every room, because it wires them together.
    All,
    /// Only these.
    Only(&'static [&'static str]),
}

/// The rules, as data.
pub(crate) struct Rules {
    /// Every room, and the rooms that it may name.
    pub(crate) rooms: &'static [(&'static str, May)],
    /// A dependency, and the only rooms that may name it (`main` is the program).
    pub(crate) crates: &'static [(&'static str, &'static [&'static str])],
    /// The folder of the only files with SQL.
    pub(crate) sql: &'static str,
    /// The maximum number of lines of a file.
    pub(crate) lines: usize,
}

/// All complaints about a file of `src/`; `path` is relative to the package.
pub(crate) fn source_file(rules: &Rules, path: &str, text: &str) -> Vec<String> {
    let below_src = path.strip_prefix("src/").unwrap_or(path);
    let module = module_of(below_src);
    let mut wrong = length(rules, path, text);
    wrong.extend(opening(path, text));
    wrong.extend(places_of_tests(path, text));
    if is_test_file(below_src) {
        return wrong;
    }
    let code = without_tests(&tokens(text));
    match module[0].as_str() {
        "lib" => wrong.extend(no_code(path, &code)),
        "main" => wrong.extend(dependencies(rules, path, "main", &code)),
        room => {
            wrong.extend(arrows(rules, path, &module, &code));
            wrong.extend(dependencies(rules, path, room, &code));
            wrong.extend(sql(rules, path, &code));
        }
    }
    wrong
}

/// All complaints about a file of `crates/`, where Cargo enforces the arrows.
pub(crate) fn crate_file(rules: &Rules, path: &str, text: &str) -> Vec<String> {
    let mut wrong = length(rules, path, text);
    wrong.extend(opening(path, text));
    wrong.extend(places_of_tests(path, text));
    if !is_test_file(path) {
        wrong.extend(sql(rules, path, &without_tests(&tokens(text))));
    }
    wrong
}

/// Checks the length of a file, tests included.
pub(crate) fn length(rules: &Rules, path: &str, text: &str) -> Vec<String> {
    let (lines, most) = (text.lines().count(), rules.lines);
    (lines > most)
        .then(|| format!("{path}: {lines} lines (at most {most}): split it by idea"))
        .into_iter()
        .collect()
}

/// The file that compiles the tests of the store's public interface once more, for the second engine.
const SHARED_TESTS: &str = "crates/store/src/postgres/tests/mod.rs";

/// Unit tests are in the file itself or in `x/tests.rs`, where Cargo finds them without `#[path]`.
fn places_of_tests(path: &str, text: &str) -> Vec<String> {
    let beside =
        path.ends_with("_tests.rs").then(|| format!("{path}: unit tests of `x.rs` belong in `x/tests.rs`"));
    let elsewhere = text
        .lines()
        .enumerate()
        .filter(|(_, line)| path != SHARED_TESTS && line.trim_start().starts_with("#[path"));
    let elsewhere = elsewhere.map(|(at, _)| {
        format!(
            "{path}:{}: remove `#[path]`, and move the module to the file where Cargo looks for it",
            at + 1
        )
    });
    beside.into_iter().chain(elsewhere).collect()
}

fn is_test_file(below_src: &str) -> bool {
    below_src.ends_with("/tests.rs") || below_src.contains("/tests/")
}

fn opening(path: &str, text: &str) -> Option<String> {
    let opens = text.starts_with("//!") || (path == "src/lib.rs" && text.starts_with("#![doc"));
    (!opens).then(|| format!("{path}:1: must open with `//!`: what the file is, why, and what it guarantees"))
}

fn no_code(path: &str, code: &[Token]) -> Vec<String> {
    const CODE: [&str; 8] = ["fn", "impl", "struct", "enum", "trait", "const", "static", "macro_rules"];
    code.iter()
        .filter_map(|token| match &token.kind {
            Kind::Word(word) if CODE.contains(&word.as_str()) => Some(format!(
                "{path}:{}: `{word}` in lib.rs, which holds no code; move it to a room",
                token.line
            )),
            _ => None,
        })
        .collect()
}

fn arrows(rules: &Rules, path: &str, module: &[String], code: &[Token]) -> Vec<String> {
    let room = module[0].as_str();
    let Some((_, may)) = rules.rooms.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{path}: unknown room `{room}`; add it to ROOMS in tests/architecture.rs")];
    };
    let is_room = |name: &str| rules.rooms.iter().any(|(known, _)| *known == name);
    let allowed = |name: &str| match may {
        May::All => true,
        May::Only(others) => name == room || others.contains(&name),
    };
    named(code, module)
        .into_iter()
        .filter_map(|named| {
            let line = named.line;
            let target = named.path.first().map_or("the crate root", String::as_str);
            match may {
                May::All => None,
                May::Only(_) if !is_room(target) => Some(format!(
                    "{path}:{line}: `{room}` names `{target}`, which is not a room; import it from its room"
                )),
                May::Only(others) => (!allowed(target)).then(|| {
                    let others =
                        if others.is_empty() { "no other room".to_owned() } else { others.join(", ") };
                    format!("{path}:{line}: `{room}` names `{target}`; it may name {others}")
                }),
            }
        })
        .collect()
}

fn dependencies(rules: &Rules, path: &str, room: &str, code: &[Token]) -> Vec<String> {
    let reason = |name: &str| {
        let restricted =
            rules.crates.iter().find(|(dependency, rooms)| *dependency == name && !rooms.contains(&room));
        restricted.map(|(_, rooms)| format!("only {} may", rooms.join(", ")))
    };
    crate_names(code)
        .filter_map(|(name, line)| {
            reason(name).map(|reason| format!("{path}:{line}: `{room}` names the crate `{name}`; {reason}"))
        })
        .collect()
}

/// Words at the start of a path or directly after `use`, where the name of a dependency can be.
fn crate_names(code: &[Token]) -> impl Iterator<Item = (&str, usize)> {
    code.iter().enumerate().filter_map(|(at, token)| {
        let Kind::Word(name) = &token.kind else { return None };
        let before = at.checked_sub(1).map(|before| &code[before]);
        let starts_path = before.is_none_or(|before| before.kind != Kind::Step)
            && code.get(at + 1).is_some_and(|after| after.kind == Kind::Step);
        let used = before.is_some_and(|before| before.is_word("use"));
        (starts_path || used).then_some((name.as_str(), token.line))
    })
}

fn sql(rules: &Rules, path: &str, code: &[Token]) -> Vec<String> {
    if path.starts_with(rules.sql) {
        return Vec::new();
    }
    code.iter()
        .filter(|token| matches!(&token.kind, Kind::Text(text) if is_sql(text)))
        .map(|token| format!("{path}:{}: SQL is only allowed in `{}`", token.line, rules.sql))
        .collect()
}

/// Whether a text is an SQL statement: it starts with a verb in capitals, unlike a sentence that starts with "Select".
fn is_sql(text: &str) -> bool {
    const VERBS: [&str; 9] =
        ["SELECT", "INSERT", "UPDATE", "DELETE", "PRAGMA", "CREATE", "ALTER", "WITH", "BEGIN"];
    let mut words = text.split_whitespace();
    words.next().is_some_and(|first| VERBS.contains(&first)) && words.next().is_some()
}
