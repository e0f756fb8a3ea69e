//! Checks that comments, strings, test names and documents are in plain English. Each phrase below makes a reader stop, and
//! has a plain replacement. The list only catches the worst; it does not make a sentence good.

use std::io;

use crate::tokens::{Kind, tokens};
use crate::{files, read, rust_files};

/// A phrase, and what to write in its place.
const PHRASES: &[(&str, &str)] = &[
    ("whoever", "anyone who, the caller that"),
    ("nobody", "no one, or name who does not"),
    ("somebody", "someone, or name who"),
    ("told", "the verb that is meant: logs, reports, sets, is given"),
    ("anew", "again, or the verb with re-"),
    ("for ever", "forever, or until when"),
    ("no more", "no longer"),
    ("stand", "is, names, remains"),
    ("stands", "is, names, remains"),
    ("stood", "was, remained"),
    ("is no", "is not a"),
    ("are no", "are not"),
    ("was no", "was not a"),
    ("were no", "were not"),
    ("by itself", "automatically, alone"),
    ("by themselves", "automatically, alone"),
    ("so many", "the number, or how many"),
    ("worth an alarm", "what the operator should do"),
    ("comes of", "the result"),
    ("came of", "the result"),
    ("what is right", "name it"),
];

/// Exceptions: the phrase is plain English directly after this word.
const PLAIN_AFTER: &[(&str, &str)] =
    &[("is no", "there"), ("are no", "there"), ("was no", "there"), ("were no", "there")];
/// Exceptions: the phrase is plain English directly before this word.
const PLAIN_BEFORE: &[(&str, &str)] = &[
    ("is no", "longer"),
    ("are no", "longer"),
    ("was no", "longer"),
    ("were no", "longer"),
    ("is no", "more"),
    ("is no", "one"),
    ("no more", "than"),
    ("stands", "for"),
    ("stand", "for"),
];

/// Exceptions: a file, and the phrase that it may contain; an empty phrase means all.
const ALLOWED: &[(&str, &str)] = &[("tests/architecture/words.rs", "")];

/// A line number, from 1, and the prose on that line.
type Line = (usize, String);

/// The comments, strings and names of functions of a Rust file.
fn prose_of_code(text: &str) -> Vec<Line> {
    let mut prose = Vec::new();
    let mut names_function = false;
    for token in tokens(text) {
        match &token.kind {
            Kind::Text(text) => prose.push((token.line, text.clone())),
            Kind::Word(word) if names_function => prose.push((token.line, word.replace('_', " "))),
            _ => {}
        }
        names_function = token.is_word("fn");
    }
    for (at, line) in text.lines().enumerate() {
        let begins = line.match_indices("//").map(|(begins, _)| begins);
        let comment = begins.into_iter().find(|begins| {
            line[..*begins].chars().all(char::is_whitespace) || line[..*begins].ends_with(' ')
        });
        prose.extend(comment.map(|begins| (at + 1, line[begins..].to_owned())));
    }
    prose
}

/// The lines of a document outside its fenced blocks, which are examples.
fn prose_of_document(text: &str) -> Vec<Line> {
    let mut is_example = false;
    let mut prose = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_example = !is_example;
        } else if !is_example {
            prose.push((at + 1, line.to_owned()));
        }
    }
    prose
}

/// The phrases of the list that are in `text`.
fn found_in(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for (phrase, _) in PHRASES {
        let parts: Vec<&str> = phrase.split(' ').collect();
        for (at, _) in words.windows(parts.len()).enumerate().filter(|(_, window)| **window == parts[..]) {
            let before = at.checked_sub(1).map(|before| words[before]);
            let after = words.get(at + parts.len());
            let is_plain = PLAIN_AFTER.iter().any(|(own, word)| own == phrase && before == Some(word))
                || PLAIN_BEFORE.iter().any(|(own, word)| own == phrase && after == Some(word));
            if !is_plain {
                found.push(*phrase);
            }
        }
    }
    found
}

fn complaints(path: &str, prose: &[Line]) -> Vec<String> {
    let is_allowed =
        |phrase: &str| ALLOWED.iter().any(|(file, own)| *file == path && (own.is_empty() || *own == phrase));
    let mut wrong = Vec::new();
    for (line, text) in prose {
        for phrase in found_in(text).into_iter().filter(|phrase| !is_allowed(phrase)) {
            let instead = PHRASES.iter().find(|(own, _)| *own == phrase).map_or("", |(_, instead)| instead);
            wrong.push(format!("{path}:{line}: `{phrase}`; write: {instead}"));
        }
    }
    wrong
}

#[test]
fn code_is_in_plain_english() -> io::Result<()> {
    let mut wrong = Vec::new();
    for folder in ["src", "crates", "tests", "benches", "examples"] {
        for (path, text) in rust_files(folder)? {
            wrong.extend(complaints(&path, &prose_of_code(&text)));
        }
    }
    for folder in ["config", "migrations"] {
        for path in files(folder)? {
            wrong.extend(complaints(&path, &prose_of_document(&read(&path)?)));
        }
    }
    assert!(wrong.is_empty(), "{} phrases that are not plain English:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn documents_are_in_plain_english() -> io::Result<()> {
    let mut paths = files("docs")?;
    paths.retain(|path| path.ends_with(".md"));
    paths.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned));
    let mut wrong = Vec::new();
    for path in paths {
        wrong.extend(complaints(&path, &prose_of_document(&read(&path)?)));
    }
    assert!(wrong.is_empty(), "{} phrases that are not plain English:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn phrases_are_found_as_whole_words_unless_their_context_is_plain() {
    let table: [(&str, &[&str]); 8] = [
        ("Nobody knows", &["nobody"]),
        ("`x` is no state", &["is no"]),
        ("there is no state, and it is no longer one", &[]),
        ("no more than 7; it comes no more", &["no more"]),
        ("it stands\nstill, standing", &["stands"]),
        ("URL stands for an address", &[]),
        ("retold, threefold, standard", &[]),
        ("told once, told twice", &["told", "told"]),
    ];
    for (text, expected) in table {
        assert_eq!(found_in(text), expected, "{text}");
    }
}

#[test]
fn prose_of_code_is_its_comments_strings_and_function_names() {
    let code = "//! Told here.\nfn nobody_asks() {\n    let told = \"is no URL\"; // anew\n    go(\"https://anew\");\n}\n";
    let found: Vec<String> = complaints("a.rs", &prose_of_code(code));
    let lines: Vec<&str> = found.iter().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!((found.len(), lines), (5, vec!["2", "3", "4", "1", "3"]), "{found:#?}");
}

#[test]
fn examples_in_documents_are_left_alone() {
    let document = "told\n```text\nnobody\n```\nanew";
    assert_eq!(prose_of_document(document), [(1, "told".to_owned()), (5, "anew".to_owned())]);
}
