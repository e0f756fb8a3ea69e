//! Turns the three layers into a valid configuration.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::error::{ConfigError, ConfigProblem};
use super::problem::Problems;
use super::raw::Raw;
use super::schema::Schema;
use super::sections::Config;
use super::source::{Sources, nothing_read};
use super::tree::{GIVEN_TEXT, Node};
use super::{check, environment, list, policy};

/// The defaults, with comments.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// A valid configuration, with the place where each value was written.
pub struct Effective {
    /// The configuration itself.
    pub config: Config,
    pub(super) tree: Node,
    pub(super) schema: Schema,
}

impl Effective {
    /// Merges the sources over the defaults, and checks the result.
    ///
    /// # Errors
    /// A file cannot be read or is not TOML; a key is unknown; a value is missing or not allowed. All problems are
    /// reported together.
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
        let mut defaults = tree.clone();
        let mut problems = Problems::new(place);
        if let Some(written) = written {
            tree.merge(written);
        }
        tree.merge(environment::layer(&sources.env, &schema, &mut problems));
        policy::add_policies(&mut tree);
        policy::add_defaults(&mut defaults, &tree);
        schema.check(&mut tree, &mut problems);
        let raw = read_raw(&mut tree, &mut problems);
        let config = check::config(raw, sources, &tree, &mut problems);
        let mut config = problems.into_result(config, nothing_read)?;
        config.settings = list::list(&tree, &defaults, &schema).into();
        Ok(Self { config, tree, schema })
    }
}

impl Config {
    /// Merges the sources over the defaults, and checks the result.
    ///
    /// # Errors
    /// A file cannot be read or is not TOML; a key is unknown; a value is missing or not allowed. All problems are
    /// reported together.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Effective::load(sources).map(|effective| effective.config)
    }

    /// Loads the configuration of this process: the file that `BRIDGE_CONFIG` names, else `bridge.toml` in the
    /// working directory if it exists, overridden by `BRIDGE_SECTION__KEY` variables.
    ///
    /// # Errors
    /// Same as [`Config::load`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::load(&Sources::of_process(None)?)
    }

    /// Returns the path of the file that was read. If none was, says so and where the bridge looked.
    pub fn read_from(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None if self.from_text => GIVEN_TEXT.to_owned(),
            None => nothing_read(),
        }
    }

    /// Returns the JSON Schema of the file, with descriptions and defaults.
    ///
    /// # Errors
    /// The compiled-in defaults are not TOML; the tests rule this out.
    pub fn schema() -> Result<Json, ConfigError> {
        Ok(Schema::of_file(&Node::parse(DEFAULTS, None)?).into_json())
    }
}

/// Refuses a path that only a shell would expand: no shell expands the value of a variable.
fn literal(file: &Path) -> Result<&Path, ConfigError> {
    let refused = file.to_str().and_then(|text| paths::literal(text).err());
    refused.map_or(Ok(file), |why| {
        let (place, message) = (Some(file.display().to_string()), format!("is not a usable path: {why}"));
        Err(ConfigError::one(ConfigProblem { key: None, place, message }))
    })
}

fn read(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|error| {
        let why = paths::cannot(file, "read", &error);
        let message = format!("{why}; set the path with --config or BRIDGE_CONFIG");
        ConfigError::one(ConfigProblem { key: None, place: None, message })
    })
}

/// Reads the sections. A value that cannot be read is reported and removed, and reading starts again.
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

/// Returns the key of a table's entry; `None` for a list's entry, because a list counts as one value.
fn key_of(segment: &serde_path_to_error::Segment) -> Option<String> {
    match segment {
        serde_path_to_error::Segment::Map { key } => Some(key.clone()),
        _ => None,
    }
}
