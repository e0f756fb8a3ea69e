//! The layer that comes from the environment: `BRIDGE_SECTION__KEY`.
//!
//! Variables without two underscores are ignored, because an orchestrator sets names like `BRIDGE_PORT` if a service
//! is called "bridge". One exception: a variable that spells a known key with a single underscore is refused.

use std::sync::Arc;

use super::problem::Problems;
use super::schema::Schema;
use super::tree::{Node, Origin};

const PREFIX: &str = "BRIDGE_";
const STEP: &str = "__";
/// Names the configuration file; not a key.
pub(super) const FILE_VARIABLE: &str = "BRIDGE_CONFIG";

/// Returns the keys that `variables` set. A value is read as TOML unless the schema requires a string.
pub(super) fn layer(variables: &[(String, String)], schema: &Schema, problems: &mut Problems) -> Node {
    let mut ours: Vec<_> = variables
        .iter()
        .filter_map(|(name, text)| name.strip_prefix(PREFIX).map(|rest| (name, rest.to_lowercase(), text)))
        .filter(|(name, ..)| *name != FILE_VARIABLE)
        .collect();
    ours.sort();
    let mut root = Node::table(Origin::BuiltIn);
    for (name, rest, text) in ours {
        let origin = Origin::Environment { variable: Arc::from(name.as_str()) };
        if !rest.contains(STEP) {
            refuse_single_underscore(&rest, &origin, schema, problems);
            continue;
        }
        let path: Vec<&str> = rest.split(STEP).collect();
        root.insert(&path, value_of(text, &path, schema, &origin));
    }
    root
}

fn value_of(text: &str, path: &[&str], schema: &Schema, origin: &Origin) -> Node {
    let read = match schema.wanted_type(path) {
        None | Some("string") => None,
        // A value that is not TOML stays text; the schema check then refuses it with the name of its key.
        Some(_) => text.parse::<toml::Value>().ok(),
    };
    Node::from_value(read.unwrap_or_else(|| toml::Value::String(text.to_owned())), origin)
}

fn refuse_single_underscore(rest: &str, origin: &Origin, schema: &Schema, problems: &mut Problems) {
    let Some((section, key)) = rest.split_once('_') else { return };
    if schema.wanted_type(&[section, key]).is_some() {
        let right = format!("{PREFIX}{section}{STEP}{key}").to_uppercase();
        problems.note(
            &[section, key],
            origin,
            format!("section and key are separated by two underscores: write {right}"),
        );
    }
}
