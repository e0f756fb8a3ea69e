//! Checks `docs/kommo-api.md`: every function, command and test that it lists for Kommo's documentation exists.

use std::fs;
use std::path::{Path, PathBuf};

fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All source code below a folder.
fn source(folder: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![package(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// The words in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_function_and_test_on_the_page_exists() {
    let page = fs::read_to_string(package("docs/kommo-api.md")).unwrap();
    let (client, tests) = (source("crates/kommo/src"), source("tests") + &source("crates/kommo/src"));
    let mut rows = [0, 0];
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match cells[..] {
            [method, functions, _, test] if method.starts_with('`') => {
                rows[0] += 1;
                for function in quoted(functions) {
                    let there = ["(", "<"].iter().any(|end| {
                        client.contains(&format!("pub async fn {function}{end}"))
                            || client.contains(&format!("pub fn {function}{end}"))
                    });
                    assert!(there, "{function} of {line}");
                }
                has_tests(test, &tests, line);
            }
            [status, _, test] if is_status(status) => {
                rows[1] += 1;
                has_tests(test, &tests, line);
            }
            _ => {}
        }
    }
    assert!(rows[0] >= 5 && rows[1] >= 10, "the page has lost rows: {rows:?}");
}

/// Whether a cell begins with a status, such as `404` or `404 of widgets`.
fn is_status(cell: &str) -> bool {
    cell.split(' ').next().is_some_and(|number| number.parse::<u16>().is_ok())
}

fn has_tests(cell: &str, tests: &str, line: &str) {
    assert!(quoted(cell).count() > 0, "no test in {line}");
    for test in quoted(cell) {
        assert!(tests.contains(&format!("fn {test}(")), "the test {test} of {line}");
    }
}

#[test]
fn every_command_on_the_page_exists() {
    let page = fs::read_to_string(package("docs/kommo-api.md")).unwrap();
    let commands = source("src/cli");
    for command in ["list", "show", "install", "uninstall"] {
        assert!(page.contains(&format!("`widgets {command}")), "{command}");
        let variant = format!("{}{}", command[..1].to_uppercase(), &command[1..]);
        assert!(commands.contains(&format!("{variant}(")) || commands.contains(&format!("{variant} {{")));
    }
}
