//! Reads a widget package as Kommo does: unpacks the zip and checks its files and manifest. One upload reports
//! all mistakes in them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use serde_json::Value;
use zip::{CompressionMethod, ZipArchive};

use super::{package_images, package_manifest};

const MAX_FILES: usize = 500;
const MAX_UNPACKED_BYTES: u64 = 8 * 1024 * 1024;
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The content of a valid package.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Package {
    pub(super) manifest: Value,
    pub(super) script: String,
    /// The texts of each locale.
    pub(super) i18n: BTreeMap<String, Value>,
}

/// One mistake: the file, or the key in it, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) place: String,
    pub(super) detail: String,
}

pub(super) fn mistake(place: impl Into<String>, detail: impl Into<String>) -> Mistake {
    Mistake { place: place.into(), detail: detail.into() }
}

type Files = BTreeMap<String, Vec<u8>>;

/// Unpacks and checks a package, except for its script. `update` is true if the account already has the widget.
pub(super) fn open(bytes: &[u8], update: bool) -> Result<Package, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let files = unpack(bytes, &mut mistakes)?;
    let manifest = json(&files, "manifest.json", &mut mistakes);
    let script = text(&files, "script.js", &mut mistakes);
    let mut i18n = BTreeMap::new();
    if let Some(manifest) = &manifest {
        for locale in package_manifest::locales(manifest) {
            if let Some(texts) = json(&files, &format!("i18n/{locale}.json"), &mut mistakes) {
                i18n.insert(locale, texts);
            }
        }
        package_manifest::check(manifest, &i18n, update, &mut mistakes);
        package_images::check(&files, &package_manifest::pictures(manifest), &mut mistakes);
    }
    match (manifest, script) {
        (Some(manifest), Some(script)) if mistakes.is_empty() => Ok(Package { manifest, script, i18n }),
        _ => Err(mistakes),
    }
}

fn unpack(bytes: &[u8], mistakes: &mut Vec<Mistake>) -> Result<Files, Vec<Mistake>> {
    let whole = |detail: String| vec![mistake("", detail)];
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| whole(format!("It is not a zip file: {error}.")))?;
    if archive.len() > MAX_FILES {
        return Err(whole(format!("It has {} files (limit: {MAX_FILES}).", archive.len())));
    }
    if archive.has_duplicate_names() {
        mistakes.push(mistake("", "Two of its files have the same name."));
    }
    let mut files = Files::new();
    let mut left = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| whole(format!("Entry {index}: {error}.")))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.is_dir() {
            continue;
        }
        if let Some(detail) = wrong_name(&name) {
            mistakes.push(mistake(&name, detail));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            mistakes.push(mistake(&name, "Its compression must be deflate or none."));
            continue;
        }
        let mut content = Vec::new();
        let read = entry.take(left + 1).read_to_end(&mut content);
        if let Err(error) = read {
            mistakes.push(mistake(&name, format!("It cannot be unpacked: {error}.")));
            continue;
        }
        left = left
            .checked_sub(content.len() as u64)
            .ok_or_else(|| whole("It is larger than 8 MiB unpacked.".into()))?;
        files.insert(name, content);
    }
    Ok(files)
}

fn wrong_name(name: &str) -> Option<&'static str> {
    if name.contains('\\') {
        Some("Its path must use forward slashes.")
    } else if name.starts_with('/') {
        Some("Its path must not begin with a slash.")
    } else if name.split('/').any(|part| part.starts_with('.')) {
        Some("The package must not contain names that begin with a dot.")
    } else if name.ends_with("/manifest.json") {
        Some("It must be at the root of the zip, not in a folder.")
    } else {
        None
    }
}

fn text(files: &Files, name: &str, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let detail = match files.get(name) {
        None => "It is missing.".to_owned(),
        Some(bytes) if bytes.starts_with(BOM) => "It begins with a byte order mark.".to_owned(),
        Some(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => return Some(text),
            Err(_) => "It is not UTF-8.".to_owned(),
        },
    };
    mistakes.push(mistake(name, detail));
    None
}

fn json(files: &Files, name: &str, mistakes: &mut Vec<Mistake>) -> Option<Value> {
    let text = text(files, name, mistakes)?;
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if value.is_object() => return Some(value),
        Ok(_) => mistakes.push(mistake(name, "It must be a JSON object.")),
        Err(error) => mistakes.push(mistake(name, format!("It is not valid JSON: {error}."))),
    }
    None
}
