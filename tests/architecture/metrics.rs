//! Checks that `docs/operations.md` names exactly the metrics that a scrape shows, and that the recorder's list has every
//! metric of the rooms.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

const PREFIX: &str = "bridge_";
/// The files that name metrics.
const NAMED: [&str; 3] = ["src/telemetry/recorder.rs", "src/telemetry/queue.rs", "src/admin/metrics.rs"];

/// The metrics that `text` names directly after one of `marks`.
fn metrics<'t>(text: &'t str, marks: &[&str]) -> BTreeSet<&'t str> {
    let begins =
        text.match_indices(PREFIX).filter(|(at, _)| marks.iter().any(|mark| text[..*at].ends_with(mark)));
    let name = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        let end = rest.find(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
        &rest[..end.unwrap_or(rest.len())]
    };
    begins.map(name).collect()
}

#[test]
fn operations_page_names_exactly_the_metrics_that_exist() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/operations.md"))?;
    let sources: Vec<String> =
        NAMED.iter().map(|path| fs::read_to_string(root.join(path))).collect::<Result<_, _>>()?;
    let existing: BTreeSet<&str> = sources.iter().flat_map(|source| metrics(source, &["\""])).collect();
    assert_eq!(metrics(&page, &["`"]), existing);
    Ok(())
}

#[test]
fn every_metric_that_is_counted_is_in_the_recorders_list() -> io::Result<()> {
    let list = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(NAMED[0]))?;
    let listed = metrics(&list, &["name: \""]);
    for (path, source) in [super::rust_files("src")?, super::rust_files("crates")?].concat() {
        let counted = metrics(&source, &["counter!(\"", "gauge!(\"", "histogram!(\""]);
        let unknown: Vec<&&str> = counted.difference(&listed).collect();
        assert!(unknown.is_empty(), "{path} counts what METRICS does not list: {unknown:?}");
    }
    Ok(())
}
