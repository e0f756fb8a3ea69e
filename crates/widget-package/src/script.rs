//! `script.js`: a fixed program with one literal, which contains everything that differs between packages.
//!
//! The literal is JSON. Characters that could end the literal, a line or a `<script>` element are escaped, so
//! an operator's texts stay data wherever the script is embedded.

use serde::Serialize;

use super::i18n;
use super::spec::Spec;

/// Kommo's limit for the steps of one block, in bytes. This crate applies it to the whole script, which is always longer
/// than the steps of a block with its defaults.
pub(super) const MAX_BYTES: usize = 64 * 1024;

const TEMPLATE: &str = include_str!("script.js");
/// The placeholder for the literal.
const MARK: &str = "'@PACKAGE@'";

#[derive(Serialize)]
struct PackageField<'a> {
    key: String,
    path: &'a [String],
    value: &'a str,
}

#[derive(Serialize)]
struct PackageExit<'a> {
    code: &'a str,
    text: String,
    title: &'a str,
}

/// The script of `spec`.
///
/// # Errors
/// The texts cannot be written as JSON, which does not happen with a [`Spec`].
pub(super) fn script(spec: &Spec) -> Result<String, serde_json::Error> {
    let fields = spec.fields.iter().map(|field| {
        serde_json::to_string(&PackageField { key: field.key(), path: field.path(), value: field.value() })
    });
    let exits = spec.exits.iter().map(|exit| {
        let text = i18n::of_exit(exit);
        serde_json::to_string(&PackageExit { code: exit.code(), text, title: spec.title(exit) })
    });
    // One line for each, so that people can read the file.
    let lines = |entries: Vec<String>| entries.join(",\n      ");
    let literal = format!(
        "{{\n    \"url\": {},\n    \"fields\": [\n      {}\n    ],\n    \"exits\": [\n      {}\n    ]\n  }}",
        serde_json::to_string(spec.url.as_str())?,
        lines(fields.collect::<Result<_, _>>()?),
        lines(exits.collect::<Result<_, _>>()?),
    );
    Ok(TEMPLATE.replacen(MARK, &escaped(&literal), 1))
}

/// Equivalent JSON that is safe inside a script and inside a page.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            // In JSON these characters occur only inside strings, where `\u` escapes are equivalent.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{7f}'..='\u{9f}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => safe.push(letter),
        }
    }
    safe
}
