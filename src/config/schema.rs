//! The JSON Schema of the file, and the check of a configuration against it.
//!
//! `config schema` prints the schema that configurations are checked against, so the two cannot differ. The check
//! understands only the keywords that the raw sections use: `type`, `properties`, `additionalProperties`, `items`,
//! `enum`, `minimum`, `maximum`, `writeOnly`.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::problem::{Problems, dotted};
use super::raw::Raw;
use super::tree::{Content, Node};

/// The schema of [`Raw`], or of a part of it.
#[derive(Clone)]
pub(super) struct Schema(Json);

impl Schema {
    /// Generates the schema of the whole file, with `defaults` written into it.
    pub(super) fn of_file(defaults: &Node) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<Raw>().to_value();
        tidy(&mut schema, defaults);
        Self(schema)
    }

    pub(super) fn into_json(self) -> Json {
        self.0
    }

    /// Returns the type that the value at `path` must have; `None` if there is no such key or any type is allowed.
    pub(super) fn wanted_type(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.get("type")?.as_str()
    }

    /// Whether the value at `path` must be masked.
    pub(super) fn is_secret(&self, path: &[&str]) -> bool {
        self.at(path).and_then(|schema| schema.get("writeOnly")).is_some()
    }

    /// Returns what the key at `path` means.
    pub(super) fn description(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.get("description")?.as_str()
    }

    fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(&self.0, |schema, part| below(schema, part))
    }

    /// Removes from `tree` everything that the schema does not allow, and records why.
    pub(super) fn check(&self, tree: &mut Node, problems: &mut Problems) {
        if let Some(sections) = tree.entries_mut() {
            check_entries(sections, &self.0, &mut Vec::new(), problems);
        }
    }
}

/// Returns the schema of a table's entry `key`.
fn below<'a>(table: &'a Json, key: &str) -> Option<&'a Json> {
    let named = table.get("properties").and_then(|known| known.get(key));
    named.or_else(|| table.get("additionalProperties").filter(|schema| schema.is_object()))
}

/// Simplifies the generated schema. TOML has no `null`, so the one that the generator allows is removed.
fn tidy(schema: &mut Json, defaults: &Node) {
    let Json::Object(keywords) = schema else { return };
    if let Some(Json::Array(types)) = keywords.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            keywords.insert("type".to_owned(), only);
        }
    }
    keywords.remove("default");
    // The generator's names for Rust types mean nothing to an operator.
    keywords.remove("format");
    if let Content::Leaf(value) = &defaults.content
        && let Ok(value) = serde_json::to_value(value)
    {
        keywords.insert("default".to_owned(), value);
    }
    let nothing = Node::table(defaults.origin.clone());
    if let Some(Json::Object(known)) = keywords.get_mut("properties") {
        known.iter_mut().for_each(|(key, schema)| tidy(schema, defaults.get(&[key]).unwrap_or(&nothing)));
    }
    if let Some(inner) = keywords.get_mut("additionalProperties") {
        tidy(inner, &nothing);
    }
}

fn check_entries(
    entries: &mut BTreeMap<String, Node>,
    schema: &Json,
    path: &mut Vec<String>,
    problems: &mut Problems,
) {
    entries.retain(|key, node| {
        path.push(key.clone());
        let fits = match below(schema, key) {
            Some(schema) => check_node(node, schema, path, problems),
            None if schema.get("properties").is_none() => true,
            None => {
                let table: Vec<&str> = path[..path.len() - 1].iter().map(String::as_str).collect();
                let meant = meant_key(key, schema);
                note(problems, path, node, unknown_key(meant, schema, &table));
                if let Some(meant) = meant {
                    problems.note_meant(&[table.as_slice(), &[meant]].concat());
                }
                false
            }
        };
        path.pop();
        fits
    });
}

fn check_node(node: &mut Node, schema: &Json, path: &mut Vec<String>, problems: &mut Problems) -> bool {
    let is_not_json = contains_non_json(node);
    let message = match (&mut node.content, schema.get("type").and_then(Json::as_str)) {
        (_, None) => is_not_json
            .then(|| "contains a date, inf or nan, which JSON cannot express; put it in quotes".to_owned()),
        (Content::Table(entries), Some("object")) => {
            check_entries(entries, schema, path, problems);
            None
        }
        (Content::Table(_), Some(wanted)) => Some(format!("must be {}, not a table", article(wanted))),
        (Content::Leaf(_), Some("object")) => Some(wanted_table(schema)),
        (Content::Leaf(value), Some(wanted)) => refusal(value, wanted, schema),
    };
    if let Some(message) = message {
        note(problems, path, node, message);
        return false;
    }
    true
}

/// Whether `node` contains a value that JSON cannot express. The body of a continue could not contain it.
fn contains_non_json(node: &Node) -> bool {
    fn in_value(value: &toml::Value) -> bool {
        match value {
            toml::Value::Datetime(_) => true,
            toml::Value::Float(number) => !number.is_finite(),
            toml::Value::Array(items) => items.iter().any(in_value),
            toml::Value::Table(entries) => entries.values().any(in_value),
            _ => false,
        }
    }
    match &node.content {
        Content::Table(entries) => entries.values().any(contains_non_json),
        Content::Leaf(value) => in_value(value),
    }
}

/// Returns why a value does not fit. The text names the value's type, never the value.
fn refusal(value: &toml::Value, wanted: &str, schema: &Json) -> Option<String> {
    let number = |keyword: &str| schema.get(keyword).and_then(Json::as_i64);
    let range = match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        _ => String::new(),
    };
    match (wanted, value) {
        ("integer", toml::Value::Integer(found)) => {
            let fits = number("minimum").is_none_or(|least| least <= *found)
                && number("maximum").is_none_or(|most| *found <= most);
            (!fits).then(|| format!("must be a whole number{range}"))
        }
        ("string", toml::Value::String(found)) => {
            let allowed = schema.get("enum").and_then(Json::as_array)?;
            let fits = allowed.iter().any(|name| name == found);
            (!fits).then(|| format!("must be one of {}", joined(allowed.iter().filter_map(Json::as_str))))
        }
        ("boolean", toml::Value::Boolean(_)) => None,
        ("array", toml::Value::Array(items)) => {
            let schema = schema.get("items")?;
            let wanted = schema.get("type")?.as_str()?;
            let refused = items.iter().find_map(|item| refusal(item, wanted, schema));
            refused.map(|why| format!("each entry {why}"))
        }
        ("object", toml::Value::Table(_)) => None,
        _ => Some(format!("must be {}{range}, not {}", article(wanted), article(value.type_str()))),
    }
}

/// The known key that `key` is probably meant to be.
fn meant_key<'a>(key: &str, schema: &'a Json) -> Option<&'a str> {
    let near = known_keys(schema).min_by_key(|name| distance(key, name));
    near.filter(|name| distance(key, name) <= 2)
}

fn unknown_key(meant: Option<&str>, schema: &Json, table: &[&str]) -> String {
    let guess = meant.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
    let place = if table.is_empty() { "here".to_owned() } else { format!("in [{}]", dotted(table)) };
    format!("unknown key{guess}; allowed {place}: {}", joined(known_keys(schema)))
}

fn wanted_table(schema: &Json) -> String {
    let known = joined(known_keys(schema));
    if known.is_empty() {
        "must be a table".to_owned()
    } else {
        format!("must be a table with the keys {known}")
    }
}

fn known_keys(schema: &Json) -> impl Iterator<Item = &str> {
    let known = schema.get("properties").and_then(Json::as_object);
    known.into_iter().flat_map(|known| known.keys()).map(String::as_str)
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn article(type_name: &str) -> &str {
    match type_name {
        "integer" => "a whole number",
        "string" => "a string in quotes",
        "boolean" => "true or false",
        "array" => "a list",
        "object" | "table" => "a table",
        "float" => "a number with a fraction",
        "datetime" => "a date",
        other => other,
    }
}

fn note(problems: &mut Problems, path: &[String], node: &Node, message: String) {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    problems.note(&path, &node.origin, message);
}

/// The edit distance: how many letters to insert, delete or change to turn one name into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..to.len() {
            let changed = diagonal + usize::from(letter != to[j]);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
