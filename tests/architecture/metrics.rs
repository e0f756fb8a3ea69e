//! Checks that three lists of metrics are the same: the page `docs/metrics.md`, the lists in `src/meters`, and what the
//! code counts, each with types and labels. `tests/it/metrics.rs` compares the page with a running bridge.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

const LISTS: [&str; 2] = ["src/meters/recorded.rs", "src/meters/scraped.rs"];
const PAGE: &str = "docs/metrics.md";

/// The type and the labels of each metric.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// The texts between quotes, or other pairs of `mark`, in `text`.
fn quoted(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The rows of the page.
fn of_page(page: &str) -> Metrics {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", name, kind, labels, ..] = &cells[..] else { return None };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), (kind.to_owned(), set(&quoted(labels, '`')))))
    };
    page.lines().filter_map(row).collect()
}

/// The calls of `counter`, `gauge` and `histogram` in a list.
fn of_list(list: &str) -> Metrics {
    let list = list.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut metrics = Metrics::new();
    for kind in ["counter", "gauge", "histogram"] {
        for call in list.split(&format!("{kind}(")).skip(1) {
            let Some(name) = quoted(call, '"').first().copied() else { continue };
            let labels = call.split_once("&[").and_then(|(_, rest)| rest.split_once(']'));
            let labels = labels.map(|(labels, _)| quoted(labels, '"')).unwrap_or_default();
            metrics.insert(name.to_owned(), (kind.to_owned(), set(&labels)));
        }
    }
    metrics
}

/// The macros of `metrics` in a source, with literal names.
fn of_source(source: &str) -> Vec<(String, String, BTreeSet<String>)> {
    let mut counted = Vec::new();
    for kind in ["counter", "gauge", "histogram"] {
        for call in source.split(&format!("{kind}!(")).skip(1) {
            let end = end_of_call(call);
            let call = &call[..end];
            let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            let mut before: Vec<&str> = call.split("=>").map(str::trim_end).collect();
            // What follows the last arrow is a value.
            before.pop();
            let labels = before.into_iter().filter_map(|before| before.strip_suffix('"')?.rsplit('"').next());
            let labels: Vec<&str> = labels.collect();
            counted.push((kind.to_owned(), name.to_owned(), set(&labels)));
        }
    }
    counted
}

/// Where the parenthesis that precedes `call` is closed.
fn end_of_call(call: &str) -> usize {
    let mut depth = 1;
    for (at, letter) in call.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    call.len()
}

fn listed() -> io::Result<Metrics> {
    let mut all = Metrics::new();
    for list in LISTS {
        all.extend(of_list(&super::read(list)?));
    }
    Ok(all)
}

#[test]
fn metrics_page_lists_exactly_the_metrics_that_exist() -> io::Result<()> {
    let (page, listed) = (of_page(&super::read(PAGE)?), listed()?);
    assert!(listed.len() > 40, "found only {}", listed.len());
    assert_eq!(page, listed);
    Ok(())
}

#[test]
fn every_metric_that_is_counted_is_listed_with_its_type_and_labels_and_the_other_way_round() -> io::Result<()>
{
    let recorded = of_list(&super::read(LISTS[0])?);
    let mut found = BTreeSet::new();
    for (path, source) in [super::rust_files("src")?, super::rust_files("crates")?].concat() {
        for (kind, name, labels) in of_source(&source) {
            if name.starts_with("test_") {
                continue;
            }
            let known = recorded.get(&name);
            assert_eq!(known, Some(&(kind, labels)), "{path}: `{name}` differs from {}", LISTS[0]);
            found.insert(name);
        }
    }
    // The log's queue names its metric by a constant.
    found.insert("bridge_log_lines_dropped_total".to_owned());
    let listed: BTreeSet<String> = recorded.into_keys().collect();
    assert_eq!(found, listed, "listed, but not counted");
    Ok(())
}

#[test]
fn a_metric_is_read_from_a_page_a_list_and_a_source() {
    let expected = ("counter".to_owned(), set(&["a", "b"]));
    let page = of_page("| metric | type |\n|---|---|\n| `x_total` | counter | `a`, `b` | text |\n");
    assert_eq!(page, [("x_total".to_owned(), expected.clone())].into());
    assert_eq!(of_list("counter(\n \"x_total\",\n &[\"a\", \"b\"],\n \"help (1)\")"), page);
    let source = "counter!(\"x_total\", \"a\" => f(\"z\"), \"b\" => \"v\").increment(1); g(\"c\" => 1)";
    assert_eq!(of_source(source), [(expected.0, "x_total".to_owned(), expected.1)]);
}
