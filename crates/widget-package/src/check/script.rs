//! Runs the script for each block as the bot designer does, and checks what its callbacks return.

use serde_json::Value as Json;

use super::manifest::{blocks_of, defaults_of};
use super::{Files, Findings, steps};
use crate::engine::{self, Observed};

const FILE: &str = "script.js";
/// The callbacks that must return true.
const RETURNS_TRUE: [&str; 5] = ["init", "render", "bind_actions", "settings", "onSave"];
/// The other callbacks that must exist.
const OTHERS: [&str; 3] = ["destroy", "salesbotDesignerSettings", "onSalesbotDesignerSave"];

/// Checks the script with the defaults of each block.
pub(super) fn check(manifest: &Json, texts: &[Json], files: &Files, findings: &mut Findings) {
    let Some(script) = files.get(FILE) else {
        findings.add(FILE, "is missing");
        return;
    };
    let nothing = Json::Object(serde_json::Map::new());
    let texts = texts.first().unwrap_or(&nothing);
    for (code, block) in blocks_of(manifest) {
        match engine::observe(script, code, &defaults_of(block), texts) {
            Ok(observed) => observations(&observed, findings),
            Err(error) => findings.add(FILE, format!("fails: {}", error.trim())),
        }
    }
}

fn observations(observed: &Observed, findings: &mut Findings) {
    for (name, error) in &observed.thrown {
        findings.add(FILE, format!("`{name}` throws {error}"));
    }
    for name in RETURNS_TRUE.into_iter().chain(OTHERS) {
        let is_function = observed.kinds.get(name).is_some_and(|kind| kind == "function");
        findings.unless(is_function, FILE, format!("`{name}` must be a function in this.callbacks"));
    }
    let returned = |name: &str| observed.returned.get(name);
    for name in RETURNS_TRUE {
        findings.unless(
            returned(name) == Some(&Json::Bool(true)),
            FILE,
            format!("`{name}` must return true"),
        );
    }
    let codes = exits(returned("salesbotDesignerSettings"), findings);
    match returned("onSalesbotDesignerSave") {
        Some(Json::String(source)) => {
            for complaint in steps::complaints(source, &codes) {
                findings.add(FILE, format!("`onSalesbotDesignerSave` {complaint}"));
            }
        }
        _ => findings.add(FILE, "`onSalesbotDesignerSave` must return JSON as a string"),
    }
}

/// The codes of the exits that the block declares.
fn exits(returned: Option<&Json>, findings: &mut Findings) -> Vec<String> {
    let exits =
        returned.and_then(|settings| settings["exits"].as_array()).map(Vec::as_slice).unwrap_or_default();
    findings.unless(
        !exits.is_empty(),
        FILE,
        "`salesbotDesignerSettings` must return {exits: [{code, title}]}",
    );
    let mut codes = Vec::new();
    for exit in exits {
        let text = |key: &str| exit[key].as_str().filter(|text| !text.is_empty());
        match (text("code"), text("title")) {
            (Some(code), Some(_)) if !codes.iter().any(|known| known == code) => codes.push(code.to_owned()),
            (Some(code), Some(_)) => findings.add(FILE, format!("the exit `{code}` is declared twice")),
            _ => findings.add(FILE, "each exit must have a code and a title"),
        }
    }
    codes
}
