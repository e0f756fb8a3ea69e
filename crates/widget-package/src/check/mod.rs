//! Holds the finished bytes of a package against what Kommo asks of one, as far as that can be seen without
//! Kommo: it reads the zip back, decodes the pictures, looks every text up, and runs the script.

mod archive;
mod manifest;
mod pictures;
mod script;
mod steps;
mod texts;

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use super::version::Version;

pub(super) use archive::Files;

/// Something that Kommo would refuse, or that would not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file in the package; `widget.zip` for the archive itself.
    pub file: String,
    /// What is wrong, and what Kommo wants.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, file: &str, message: impl Into<String>) {
        self.0.push(Finding { file: file.to_owned(), message: message.into() });
    }

    fn unless(&mut self, holds: bool, file: &str, message: impl Into<String>) {
        if !holds {
            self.add(file, message);
        }
    }
}

/// Everything that is wrong with a package; nothing if it can be uploaded.
pub fn check(archive: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let files = Files::read(archive, &mut findings);
    if let Some(files) = files {
        if let Some(manifest) = json(&files, "manifest.json", &mut findings) {
            let locales = manifest::check(&manifest, &files, &mut findings);
            let texts = texts::check(&manifest, &locales, &files, &mut findings);
            script::check(&manifest, &texts, &files, &mut findings);
        }
        pictures::check(&files, &mut findings);
    }
    findings.0
}

/// The version of a package, if it has a readable one.
pub fn version_of(archive: &[u8]) -> Option<Version> {
    let files = Files::read(archive, &mut Findings::default())?;
    let manifest = json(&files, "manifest.json", &mut Findings::default())?;
    manifest["widget"]["version"].as_str()?.parse().ok()
}

/// A file that must be there and be JSON.
fn json(files: &Files, name: &str, findings: &mut Findings) -> Option<Json> {
    let Some(bytes) = files.get(name) else {
        findings.add(name, "is missing");
        return None;
    };
    serde_json::from_slice(bytes).map_err(|error| findings.add(name, format!("is no JSON: {error}"))).ok()
}
