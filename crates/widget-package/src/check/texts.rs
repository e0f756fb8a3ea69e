//! Checks the texts: each language of the manifest needs a file with every key that the manifest names.

use serde_json::Value as Json;

use super::{Files, Findings, json};
use crate::i18n::section_and_key;
use crate::locale::Locale;

/// Checks each language, and returns the texts of those that can be read.
pub(super) fn check(
    manifest: &Json,
    locales: &[Locale],
    files: &Files,
    findings: &mut Findings,
) -> Vec<Json> {
    let mut keys = Vec::new();
    collect(manifest, &mut keys);
    let mut all = Vec::new();
    for locale in locales {
        let name = format!("i18n/{locale}.json");
        let Some(texts) = json(files, &name, findings) else { continue };
        for (section, key) in &keys {
            let there = texts[section][key].as_str().is_some_and(|text| !text.trim().is_empty());
            findings.unless(there, &name, format!("has no text for `{section}.{key}`"));
        }
        all.push(texts);
    }
    all
}

/// Collects every string of the manifest that has the form of a key, without duplicates.
fn collect<'a>(value: &'a Json, keys: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Json::String(text) => {
            if let Some(key) = section_and_key(text).filter(|key| !keys.contains(key)) {
                keys.push(key);
            }
        }
        Json::Array(list) => list.iter().for_each(|value| collect(value, keys)),
        Json::Object(map) => map.values().for_each(|value| collect(value, keys)),
        _ => {}
    }
}
