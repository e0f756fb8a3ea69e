//! Checks `docs/guarantees.md`, which names the tests that fail if a promise breaks: each of these tests exists.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Each row's promise, and the tests that it names as `path::test`.
fn rows(page: &str) -> Vec<(&str, Vec<&str>)> {
    let table = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    table
        .filter_map(|row| row.split_once(" | "))
        .filter(|(promise, _)| *promise != "promise" && !promise.starts_with('-'))
        .map(|(promise, tests)| (promise, tests.split('`').skip(1).step_by(2).collect()))
        .collect()
}

/// Whether `source` has a test with this name: a function under a test attribute.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| line.contains(&format!("fn {name}("));
    lines.iter().enumerate().filter(|(_, line)| is_it(line)).any(|(at, _)| {
        let above =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.into_iter().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let mut sources: HashMap<&str, String> = HashMap::new();
    let mut wrong = Vec::new();
    let rows = rows(&page);
    let mut promises = HashSet::new();
    assert!(rows.len() >= 40, "the page has lost rows: {}", rows.len());
    for (promise, tests) in rows {
        if !promises.insert(promise) {
            wrong.push(format!("duplicate promise: {promise}"));
        }
        if tests.is_empty() {
            wrong.push(format!("promise without a test: {promise}"));
        }
        for test in tests {
            let Some((path, name)) = test.split_once("::") else {
                wrong.push(format!("{test} is not a `path::test`: {promise}"));
                continue;
            };
            let source = sources
                .entry(path)
                .or_insert_with(|| fs::read_to_string(root.join(path)).unwrap_or_default());
            if !has_test(source, name) {
                wrong.push(format!("{path} has no test {name}: {promise}"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/guarantees.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_missing_test_is_noticed() {
    let source = "#[test]\nfn one() {}\n\n/// Prose.\n#[tokio::test(start_paused = true)]\n// Why.\nasync fn two() {}\n\nfn three() {}";
    assert!(has_test(source, "one") && has_test(source, "two"));
    assert!(!has_test(source, "three") && !has_test(source, "on"));
    let page = "| promise | tests |\n|---|---|\n| It holds | `a.rs::one`, `b.rs::two` |\n| It does not |  |";
    assert_eq!(rows(page), [("It holds", vec!["a.rs::one", "b.rs::two"]), ("It does not", vec![])]);
}
