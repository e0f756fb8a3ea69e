//! Checks the documents against the repository: each path, link and heading that they name exists, the tables of crates
//! and rooms in ARCHITECTURE.md match Cargo and the rules, and the index of decisions lists every page.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::check::May;
use crate::{CRATES, ROOMS, files, manifests, read, rust_files, store};

/// Beginnings of a path in a document, besides the name of a crate or a room.
const FOLDERS: [&str; 8] =
    ["src/", "crates/", "tests/", "docs/", "benches/", "examples/", "migrations/", "config/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents that describe the current state, with their text. A changelog and a superseded decision describe the
/// past.
fn documents() -> io::Result<Vec<(String, String)>> {
    let mut paths = files("docs")?;
    paths.retain(|path| path.ends_with(".md"));
    paths.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned));
    let texts: io::Result<Vec<_>> = paths.into_iter().map(|path| Ok((path.clone(), read(&path)?))).collect();
    let is_superseded = |line: &str| line.starts_with("Decided ") && line.contains("Superseded by");
    Ok(texts?.into_iter().filter(|(_, text)| !text.lines().any(is_superseded)).collect())
}

/// The text of a document without fenced blocks, which are examples.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Whether a text in backticks is a path in this repository.
fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let placeholder = text.contains("NAME") || text.contains("000N");
    let source = text.ends_with(".rs") && text.len() > 3;
    let known = FOLDERS.iter().any(|folder| text.starts_with(folder))
        || text.split_once('/').is_some_and(|(first, _)| !folders_of(first).is_empty());
    plain && !placeholder && (source || known)
}

/// The folders with the sources of the crate or room `name`; empty if there is none.
fn folders_of(name: &str) -> Vec<String> {
    let krate = format!("crates/{name}/src/");
    let mut folders = Vec::new();
    if root().join(&krate).exists() {
        folders.push(krate);
    }
    if ROOMS.iter().any(|(room, _)| *room == name) {
        folders.extend([format!("src/{name}/"), format!("src/{name}.rs")]);
    }
    folders
}

/// Whether `path` exists: relative to the root, relative to the sources of the crate or room that it begins with, or as
/// the end of a longer path, as in a table that has already named the folder.
fn exists(path: &str, all: &[String]) -> bool {
    let end = format!("/{path}");
    let (first, rest) = path.split_once('/').unwrap_or(("", path));
    root().join(path).exists()
        || folders_of(first).iter().any(|folder| root().join(folder).join(rest).exists())
        || all.iter().any(|file| file.ends_with(&end))
}

#[test]
fn every_path_in_a_document_exists() -> io::Result<()> {
    let all = [files("src")?, files("crates")?, files("tests")?, files("benches")?].concat();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (document, text) in documents()? {
        let text = prose(&text);
        for path in text.split('`').skip(1).step_by(2).filter(|text| is_path(text)) {
            count += 1;
            if !exists(path, &all) {
                wrong.push(format!("{document}: `{path}`"));
            }
        }
    }
    assert!(count > 200, "found only {count} paths");
    assert!(wrong.is_empty(), "no such file:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_document_that_the_code_names_exists() -> io::Result<()> {
    let sources =
        [rust_files("src")?, rust_files("crates")?, rust_files("tests")?, rust_files("benches")?].concat();
    let mut wrong = Vec::new();
    for (source, text) in sources {
        for named in text.split("docs/").skip(1) {
            let end = named.find(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)));
            let named = named[..end.unwrap_or(named.len())].trim_end_matches('.');
            if named.ends_with(".md") && !root().join("docs").join(named).exists() {
                wrong.push(format!("{source}: docs/{named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "no such document:\n{}", wrong.join("\n"));
    Ok(())
}

/// The folders and the names of a text such as `kommo::pace::CallKind` or `model::{Backoff, Jitter}`; `None` if it does
/// not begin with a crate or a room.
fn items(text: &str) -> Option<(Vec<String>, Vec<&str>)> {
    let (first, rest) = text.split_once("::")?;
    let last = rest.rsplit("::").next().unwrap_or(rest);
    let names = last.trim_matches(['{', '}']).split(", ").collect();
    let folders = folders_of(first);
    (!folders.is_empty()).then_some((folders, names))
}

/// Whether `line` contains `words`, not followed by more of a name.
fn has_words(line: &str, words: &str) -> bool {
    let behind = |(_, behind): (&str, &str)| !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    line.split_once(words).is_some_and(behind)
}

#[test]
fn every_item_in_a_document_exists() -> io::Result<()> {
    let sources: Vec<(String, String)> = [rust_files("src")?, rust_files("crates")?].concat();
    let declared = |folders: &[String], name: &str| {
        let kinds = ["struct", "enum", "trait", "fn", "type", "mod", "const"];
        let words = kinds.map(|kind| format!("{kind} {name}"));
        let here = sources.iter().filter(|(path, _)| folders.iter().any(|folder| path.starts_with(folder)));
        here.flat_map(|(_, text)| text.lines()).any(|line| words.iter().any(|words| has_words(line, words)))
    };
    let mut wrong = Vec::new();
    for (document, text) in documents()? {
        let text = prose(&text);
        for item in text.split('`').skip(1).step_by(2) {
            let Some((folders, names)) = items(item) else { continue };
            wrong.extend(
                names
                    .iter()
                    .filter(|name| !declared(&folders, name))
                    .map(|name| format!("{document}: `{name}` of `{item}`")),
            );
        }
    }
    assert!(wrong.is_empty(), "no item with this name:\n{}", wrong.join("\n"));
    Ok(())
}

/// The anchor of a heading: lower case, spaces as hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_in_a_document_has_a_target() -> io::Result<()> {
    let mut wrong = Vec::new();
    for (document, text) in documents()? {
        let folder = Path::new(&document).parent().unwrap();
        let prose = prose(&text);
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|(target, _)| !target.contains(':')) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { PathBuf::from(&document) } else { folder.join(path) };
            let file = root().join(file);
            let headings = || fs::read_to_string(&file).unwrap_or_default();
            let found = file.exists()
                && (heading.is_empty()
                    || headings()
                        .lines()
                        .any(|l| l.starts_with('#') && anchor(l.trim_start_matches('#')) == heading));
            if !found {
                wrong.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "broken links:\n{}", wrong.join("\n"));
    Ok(())
}

/// The cells of the table below `header`, without the separator line.
fn table(text: &str, header: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The names in backticks in a cell.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_table_of_crates_matches_cargo() -> io::Result<()> {
    let crates = manifests::crates()?;
    let rows = table(&read("ARCHITECTURE.md")?, "| crate |");
    let rows: Vec<&Vec<String>> = rows.iter().filter(|row| row[0] != "`src/`").collect();
    let listed: BTreeSet<String> =
        rows.iter().map(|row| row[0].replace("crates/", "").replace('`', "")).collect();
    assert_eq!(listed, crates);
    for row in rows {
        let folder = row[0].replace('`', "");
        let manifest = manifests::manifest(&folder)?;
        let own = manifests::dependencies(&manifest).into_iter();
        let named: BTreeSet<String> = own.filter(|name| crates.contains(name)).collect();
        assert_eq!(names(&row[2]), named, "what {folder} names");
        assert!(
            manifest.contains(&format!("name = \"{}\"", row[3].replace('`', ""))),
            "the package of {folder}"
        );
    }
    Ok(())
}

#[test]
fn the_table_of_rooms_matches_the_rules() -> io::Result<()> {
    let rows = table(&read("ARCHITECTURE.md")?, "| room |");
    let listed: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
    assert_eq!(listed, ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect());
    let crates = manifests::crates()?;
    for (room, may) in ROOMS {
        let row = rows.iter().find(|row| row[0] == format!("`{room}`")).unwrap();
        match may {
            May::All => assert_eq!(row[2], "all", "the rooms that {room} may name"),
            May::Only(others) => {
                let others = others.iter().map(|other| (*other).to_owned()).collect();
                assert_eq!(names(&row[2]), others, "the rooms that {room} may name");
            }
        }
        let of_crates = CRATES.iter().filter(|(_, rooms)| rooms.contains(room));
        let of_crates = of_crates.map(|(name, _)| name.replace('_', "-"));
        let of_crates: BTreeSet<String> = of_crates.filter(|name| crates.contains(name)).collect();
        assert_eq!(names(&row[3]), of_crates, "the crates that {room} may name");
    }
    Ok(())
}

#[test]
fn the_table_of_store_rooms_matches_the_rules() -> io::Result<()> {
    let rows = table(&read("docs/architecture/store.md")?, "| store room |");
    let rows: Vec<(BTreeSet<String>, BTreeSet<String>)> =
        rows.iter().map(|row| (names(&row[0]), names(&row[2]))).collect();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let rules = store::SHARED.iter().chain(store::ROOMS).map(|(room, may)| (owned(&[room]), owned(may)));
    assert_eq!(rows, rules.collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_index_of_decisions_lists_every_page() -> io::Result<()> {
    let index = read("docs/decisions/README.md")?;
    let mut pages = files("docs/decisions")?;
    pages.retain(|path| path != "docs/decisions/README.md");
    for path in pages {
        let page = read(&path)?;
        let name = path.trim_start_matches("docs/decisions/");
        let title = page.lines().next().unwrap().trim_start_matches("# ");
        assert_eq!(
            index.matches(&format!("- [{title}]({name})\n")).count(),
            1,
            "{path} in the index, by its title"
        );
        assert!(
            ['.', ';'].iter().any(|end| page.contains(&format!("\nDecided {}{end} ", &name[..10]))),
            "{path} must have the date of its name"
        );
        assert!(page.lines().count() < 40, "{path} is too long");
    }
    Ok(())
}

#[test]
fn paths_anchors_and_tables_are_recognized() {
    for (text, path) in [
        ("src/lib.rs", true),
        ("kommo/pace/state.rs", true),
        ("decide.rs", true),
        ("docs/", true),
        ("src/handlers/NAME.rs", false),
        (".rs", false),
        ("cargo test", false),
        ("store::Lanes", false),
    ] {
        assert_eq!(is_path(text), path, "{text}");
    }
    assert_eq!(anchor(" Secrets, and where a bearer may go"), "secrets-and-where-a-bearer-may-go");
    assert_eq!(table("| a |\n|---|\n| `b`, `c` | d |\n\n| e |", "| a |"), [["`b`, `c`", "d"]]);
}
