//! Collects what is wrong with a configuration, each with its key and its place.

use super::error::{ConfigError, ConfigProblem};
use super::tree::{Node, Origin};

/// The problems found so far.
pub(super) struct Problems {
    found: Vec<ConfigProblem>,
    place: Option<String>,
}

impl Problems {
    /// None yet. `place` is named where a key was written nowhere: that is where it belongs.
    pub(super) const fn new(place: Option<String>) -> Self {
        Self { found: Vec::new(), place }
    }

    /// Notes a problem with the value or the table at `path`.
    pub(super) fn refuse(&mut self, tree: &Node, path: &[&str], message: impl Into<String>) {
        let origin = tree.nearest_origin(path);
        self.note(path, origin, message.into());
    }

    /// Notes a problem with something that was written at `origin`.
    pub(super) fn note(&mut self, path: &[&str], origin: &Origin, message: String) {
        let place = match origin {
            Origin::BuiltIn => self.place.clone(),
            written => Some(written.to_string()),
        };
        self.found.push(ConfigProblem { key: Some(dotted(path)), place, message });
    }

    /// Whether the value at `path`, or a table around it, has been refused already.
    pub(super) fn cover(&self, path: &[&str]) -> bool {
        (1..=path.len()).any(|length| {
            let key = dotted(&path[..length]);
            self.found.iter().any(|problem| problem.key.as_ref() == Some(&key))
        })
    }

    /// The value, if nothing was refused. `nothing_read` says that no file was read; an error has it if so.
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

/// The name of a key as an operator writes it: parts that TOML wants quoted are quoted.
pub(super) fn dotted(path: &[&str]) -> String {
    path.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

/// One part of a key as TOML wants it.
pub(super) fn quoted(part: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !part.is_empty() && part.bytes().all(bare) {
        part.to_owned()
    } else {
        toml::Value::String(part.to_owned()).to_string()
    }
}
