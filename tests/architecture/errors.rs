//! Checks that no error prints its source: the text of an error contains its causes, and `source()` is `None`, so a
//! printer that follows the sources prints each cause once.

use std::io;

use crate::rust_files;

/// All complaints about the `#[error(…)]` attributes of a file.
fn repeated_sources(path: &str, text: &str) -> Vec<String> {
    let code: String =
        text.split_inclusive('\n').map(|line| if is_comment(line) { "\n" } else { line }).collect();
    let errors = code.match_indices("#[error(");
    errors.filter_map(|(at, opening)| {
        let (attribute, after) = code[at + opening.len()..].split_once(")]")?;
        let end = ["#[error(", "\n}", ";\n"].iter().filter_map(|end| after.find(end)).min();
        let source = source_of(&after[..end.unwrap_or(after.len())])?;
        let line = code[..at].lines().count() + 1;
        prints(attribute, source).then(|| {
            format!("{path}:{line}: the text contains the source `{source}`: remove `#[source]` or `#[from]`, or rename the field")
        })
    }).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The field of a variant that thiserror returns as the source; `None` if there is none.
fn source_of(variant: &str) -> Option<&str> {
    let marked = ["#[source]", "#[from]"].iter().find_map(|mark| variant.split_once(mark));
    match marked {
        Some((_, field)) => {
            let field = field.trim_start().trim_start_matches("pub ");
            let name = field.split(|c| !is_of_a_name(c)).next().unwrap_or_default();
            let rest = &field[name.len()..];
            Some(if rest.starts_with(": ") { name } else { "0" })
        }
        None => {
            variant.split(|c| !is_of_a_name(c) && c != ':').any(|word| word == "source:").then_some("source")
        }
    }
}

/// Whether the text of the attribute contains this field.
fn prints(attribute: &str, field: &str) -> bool {
    let (literal, arguments) = attribute.rsplit_once('"').unwrap_or((attribute, ""));
    let in_braces = literal.split('{').skip(1).any(|inner| inner.split(['}', ':']).next() == Some(field));
    in_braces || arguments.split(|c| !is_of_a_name(c)).any(|word| word == field)
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn no_error_prints_its_source() -> io::Result<()> {
    let mut wrong = Vec::new();
    for (path, text) in [rust_files("src")?, rust_files("crates")?].concat() {
        if !path.ends_with("model/src/error_chain.rs") {
            wrong.extend(repeated_sources(&path, &text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn each_way_to_print_a_source_is_found() {
    for (error, is_wrong) in [
        (r#"#[error("no: {0}")] A(#[from] B),"#, true),
        (r#"#[error("no: {0}")] A(B),"#, false),
        (r#"#[error(transparent)] A(#[from] B),"#, false),
        (r#"#[error("no")] A(#[source] B),"#, false),
        (r#"#[error("no: {source}")] A { name: String, source: B },"#, true),
        (r#"#[error("no: {why:?}")] A { #[source] why: B },"#, true),
        (r#"#[error("{}", text(source))] A { source: B },"#, true),
        (r#"#[error("{}", text(.0))] A(#[source] B),"#, true),
        (r#"#[error("the source: {name}")] A { name: String, source: B },"#, false),
        ("#[error(\"{0}\")]\npub struct A(String);\nstruct C { source: B }", false),
        ("#[error(\"{0}\")]\npub struct A(#[source] B);", true),
    ] {
        assert_eq!(repeated_sources("a.rs", error).len(), usize::from(is_wrong), "{error}");
    }
}
