//! Checks the finished bytes of a package against Kommo's rules, as far as possible without Kommo: reads the zip
//! back, decodes the images, looks up every text, and runs the script.

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

/// One problem of a package: Kommo would refuse the package, or the block would not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file in the package; `widget.zip` for the archive itself.
    pub file: String,
    /// What is wrong, and what Kommo requires.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

/// The findings so far.
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

/// Checks a package. Returns everything that is wrong; empty if the package can be uploaded.
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

/// The version of a package; `None` if it cannot be read.
pub fn version_of(archive: &[u8]) -> Option<Version> {
    let files = Files::read(archive, &mut Findings::default())?;
    let manifest = json(&files, "manifest.json", &mut Findings::default())?;
    manifest["widget"]["version"].as_str()?.parse().ok()
}

/// Reads a file that must exist and contain JSON.
fn json(files: &Files, name: &str, findings: &mut Findings) -> Option<Json> {
    let Some(bytes) = files.get(name) else {
        findings.add(name, "is missing");
        return None;
    };
    serde_json::from_slice(bytes)
        .map_err(|error| findings.add(name, format!("is not valid JSON: {error}")))
        .ok()
}
