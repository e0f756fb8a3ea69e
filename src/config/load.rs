//! From the three layers to a valid configuration.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::error::{ConfigError, ConfigProblem};
use super::problem::Problems;
use super::raw::Raw;
use super::schema::Schema;
use super::sections::Config;
use super::source::{Sources, nothing_read};
use super::tree::{GIVEN_TEXT, Node, Origin};
use super::values::Span;
use super::{check, environment};
use model::HandlerPolicy;

/// The defaults, with their reasons.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// A valid configuration together with where each of its values was written.
pub struct Effective {
    /// The configuration itself.
    pub config: Config,
    pub(super) tree: Node,
    pub(super) schema: Schema,
}

impl Effective {
    /// Lays the sources over the defaults, and checks the result.
    ///
    /// # Errors
    /// A file cannot be read or is no TOML; a key is unknown; a value is missing or not allowed.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let file = sources.file().map(literal).transpose()?.map(paths::absolute);
        let written = file.as_deref().map(|file| Node::parse(&read(file)?, Some(file))).transpose()?;
        let place = file.as_ref().map(|file| file.display().to_string());
        let mut effective = Self::merge(written, place, sources)?;
        effective.config.file = file;
        Ok(effective)
    }

    /// Merges what was `written` at `place`, and then the environment of `sources`, over the defaults; checks the result.
    pub(super) fn merge(
        written: Option<Node>,
        place: Option<String>,
        sources: &Sources,
    ) -> Result<Self, ConfigError> {
        let mut tree = Node::parse(DEFAULTS, None)?;
        let schema = Schema::of_file(&tree);
        let mut problems = Problems::new(place);
        if let Some(written) = written {
            tree.merge(written);
        }
        tree.merge(environment::layer(&sources.env, &schema, &mut problems));
        add_policies(&mut tree);
        schema.check(&mut tree, &mut problems);
        let raw = read_raw(&mut tree, &mut problems);
        let config = check::config(raw, sources, &tree, &mut problems);
        problems.into_result(config, nothing_read).map(|config| Self { config, tree, schema })
    }
}

impl Config {
    /// Lays the sources over the defaults, and checks the result.
    ///
    /// # Errors
    /// A file cannot be read or is no TOML; a key is unknown; a value is missing or not allowed. All that
    /// is wrong is reported together.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Effective::load(sources).map(|effective| effective.config)
    }

    /// The configuration of this process: the file that `BRIDGE_CONFIG` names, else `bridge.toml` in the working directory if
    /// there is one; and `BRIDGE_SECTION__KEY` variables over it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::load(&Sources::of_process(None)?)
    }

    /// Says which file was read; or that none was, and where one was looked for.
    pub fn read_from(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None if self.from_text => GIVEN_TEXT.to_owned(),
            None => nothing_read(),
        }
    }

    /// The JSON Schema of the file, with descriptions and defaults.
    ///
    /// # Errors
    /// Never for a build whose tests pass: it means that the compiled-in defaults are no TOML.
    pub fn schema() -> Result<Json, ConfigError> {
        Ok(Schema::of_file(&Node::parse(DEFAULTS, None)?).into_json())
    }
}

/// A variable is read by no shell.
fn literal(file: &Path) -> Result<&Path, ConfigError> {
    let refused = file.to_str().and_then(|text| paths::literal(text).err());
    refused.map_or(Ok(file), |why| {
        let (place, message) = (Some(file.display().to_string()), format!("names no file: {why}"));
        Err(ConfigError::one(ConfigProblem { key: None, place, message }))
    })
}

fn read(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|error| {
        let why = paths::cannot(file, "read", &error);
        let message = format!("{why}; name the file with --config or BRIDGE_CONFIG");
        ConfigError::one(ConfigProblem { key: None, place: None, message })
    })
}

/// Gives each handler that is named the values of the standard policy that it does not set.
fn add_policies(tree: &mut Node) {
    let handlers = tree.entries_mut().and_then(|sections| sections.get_mut("handlers"));
    let Some(handlers) = handlers.and_then(Node::entries_mut) else { return };
    let policy = HandlerPolicy::default();
    let text = |span: Span| toml::Value::String(span.to_string());
    let standard = [
        ("max_attempts", Some(toml::Value::Integer(policy.max_attempts.into()))),
        ("attempt_timeout", Some(text(Span(policy.attempt_timeout)))),
        ("answer_within", Some(text(Span(policy.answer_within)))),
        ("fallback", toml::Value::try_from(&policy.fallback).ok()),
    ];
    for handler in handlers.values_mut().filter_map(Node::entries_mut) {
        for (key, value) in &standard {
            if let Some(value) = value {
                let node = || Node::from_value(value.clone(), &Origin::BuiltIn);
                handler.entry((*key).to_owned()).or_insert_with(node);
            }
        }
    }
}

/// Reads the sections; a value that cannot be read is noted and taken out, and the rest is tried again.
fn read_raw(tree: &mut Node, problems: &mut Problems) -> Raw {
    loop {
        let error = match serde_path_to_error::deserialize(tree.to_toml()) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let path: Vec<String> = error.path().iter().filter_map(key_of).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        problems.refuse(tree, &path, in_entry(error.path(), error.inner().message()));
        if !tree.remove(&path) {
            return Raw::default();
        }
    }
}

fn in_entry(path: &serde_path_to_error::Path, message: &str) -> String {
    match path.iter().next_back() {
        Some(serde_path_to_error::Segment::Seq { index }) => format!("entry {} {message}", index + 1),
        _ => message.to_owned(),
    }
}

/// A list is one value, so its entries have no key.
fn key_of(segment: &serde_path_to_error::Segment) -> Option<String> {
    match segment {
        serde_path_to_error::Segment::Map { key } => Some(key.clone()),
        _ => None,
    }
}
