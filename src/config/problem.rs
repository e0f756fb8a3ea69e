//! What is wrong with a configuration: which key, where it was written, what is allowed.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::tree::{Node, Origin};

/// One thing that is wrong. It never holds the value: that may be a secret under a wrong key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigProblem {
    /// The full name, `server.listen`; none if the trouble is with a whole file.
    pub key: Option<String>,
    /// `FILE:LINE`, `FILE` or `environment variable NAME`; none if nothing was written anywhere.
    pub place: Option<String>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.place, &self.key].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A configuration that is refused. Its text has a line for each problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
    /// That no file was read: often the reason why something is missing.
    no_file: Option<String>,
}

impl ConfigError {
    pub(super) fn one(problem: ConfigProblem) -> Self {
        Self { problems: vec![problem], no_file: None }
    }

    /// Says that no file was read, if so.
    pub fn no_file(&self) -> Option<&str> {
        self.no_file.as_deref()
    }

    /// All that is wrong; at least one.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => only.fmt(f)?,
            all => {
                write!(f, "the configuration has {} problems:", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
            }
        }
        self.no_file.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

/// The problems found so far.
pub(super) struct Problems {
    found: Vec<ConfigProblem>,
    file: Option<PathBuf>,
}

impl Problems {
    /// None yet. `file` is named where a key was written nowhere: that is where it belongs.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { found: Vec::new(), file }
    }

    /// Notes a problem with the value or the table at `path`.
    pub(super) fn refuse(&mut self, tree: &Node, path: &[&str], message: impl Into<String>) {
        let origin = tree.nearest_origin(path);
        self.note(path, origin, message.into());
    }

    /// Notes a problem with something that was written at `origin`.
    pub(super) fn note(&mut self, path: &[&str], origin: &Origin, message: String) {
        let place = match origin {
            Origin::BuiltIn => self.file.as_ref().map(|file| file.display().to_string()),
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

    pub(super) fn into_result<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                let no_file = self.file.is_none().then(super::nothing_read);
                Err(ConfigError { problems: self.found, no_file })
            }
        }
    }
}

/// The name of a key as a person writes it: parts that TOML wants quoted are quoted.
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
