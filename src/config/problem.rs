//! Collects the problems of a configuration, each with its key and its place.

use super::error::{ConfigError, ConfigProblem};
use super::tree::{Node, Origin};

/// The problems found so far.
pub(super) struct Problems {
    found: Vec<ConfigProblem>,
    place: Option<String>,
}

impl Problems {
    /// Starts empty. `place` is where a missing key belongs: problems with it name this place.
    pub(super) const fn new(place: Option<String>) -> Self {
        Self { found: Vec::new(), place }
    }

    /// Records a problem with the value or the table at `path`.
    pub(super) fn refuse(&mut self, tree: &Node, path: &[&str], message: impl Into<String>) {
        let origin = tree.nearest_origin(path);
        self.note(path, origin, message.into());
    }

    /// Records a problem with something written at `origin`.
    pub(super) fn note(&mut self, path: &[&str], origin: &Origin, message: String) {
        let place = match origin {
            Origin::BuiltIn => self.place.clone(),
            written => Some(written.to_string()),
        };
        self.found.push(ConfigProblem { key: Some(dotted(path)), place, message });
    }

    /// Whether the value at `path`, or a table around it, was already refused.
    pub(super) fn was_refused(&self, path: &[&str]) -> bool {
        (1..=path.len()).any(|length| {
            let key = dotted(&path[..length]);
            self.found.iter().any(|problem| problem.key.as_ref() == Some(&key))
        })
    }

    /// Returns the value if nothing was refused. Otherwise, if no file was read, the error contains the note of
    /// `nothing_read`.
    pub(super) fn into_result<T>(
        self,
        value: Option<T>,
        nothing_read: fn() -> String,
    ) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                let no_file = self.place.is_none().then(nothing_read);
                Err(ConfigError::new(self.found, no_file))
            }
        }
    }
}

/// Formats a key as an operator writes it, quoting the parts that TOML requires to be quoted.
pub(super) fn dotted(path: &[&str]) -> String {
    path.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

/// Formats one part of a key for TOML.
pub(super) fn quoted(part: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !part.is_empty() && part.bytes().all(bare) {
        part.to_owned()
    } else {
        toml::Value::String(part.to_owned()).to_string()
    }
}
