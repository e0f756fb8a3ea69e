//! Collects the problems of a configuration, each with its key and its place.

use super::error::{ConfigError, ConfigProblem};
use super::tree::{Node, Origin};

/// What to do if no file was read.
const NEXT_WITHOUT_FILE: &str = "write one with `init`, or name one with --config";

/// The order of reported problems: what has no line, then the lines of the file, then the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Whole,
    Line(usize),
    Environment,
}

impl Rank {
    const fn of(origin: &Origin) -> Self {
        match origin {
            Origin::BuiltIn => Self::Whole,
            Origin::File { line, .. } | Origin::Text { line } => Self::Line(*line),
            Origin::Environment { .. } => Self::Environment,
        }
    }
}

/// The problems found so far.
pub(super) struct Problems {
    found: Vec<(Rank, ConfigProblem)>,
    /// The keys that an unknown key probably means.
    meant: Vec<String>,
    place: Option<String>,
}

impl Problems {
    /// Starts empty. `place` is where a missing key belongs: problems with it name this place.
    pub(super) const fn new(place: Option<String>) -> Self {
        Self { found: Vec::new(), meant: Vec::new(), place }
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
        self.found.push((Rank::of(origin), ConfigProblem { key: Some(dotted(path)), place, message }));
    }

    /// Records that an unknown key, which is a problem already, probably means the key at `path`.
    pub(super) fn note_meant(&mut self, path: &[&str]) {
        self.meant.push(dotted(path));
    }

    /// Whether the value at `path`, the name of its file, or a table around it was already refused, possibly under a
    /// misspelt key. The value is then not missing.
    pub(super) fn was_refused(&self, path: &[&str]) -> bool {
        let refused = |key: &str| {
            let problems = self.found.iter().filter_map(|(_, problem)| problem.key.as_ref());
            problems.chain(&self.meant).any(|known| known == key)
        };
        let in_file = path.split_last().map(|(last, table)| {
            let last = format!("{last}_file");
            dotted(&[table, &[last.as_str()]].concat())
        });
        in_file.is_some_and(|key| refused(&key))
            || (1..=path.len()).any(|length| refused(&dotted(&path[..length])))
    }

    /// Returns the value if nothing was refused. Otherwise returns the problems in the order of their lines; if no file was read, the error contains the note of
    /// `nothing_read`.
    pub(super) fn into_result<T>(
        mut self,
        value: Option<T>,
        nothing_read: fn() -> String,
    ) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                let no_file =
                    self.place.is_none().then(|| format!("{}; {NEXT_WITHOUT_FILE}", nothing_read()));
                self.found.sort_by_key(|(rank, _)| *rank);
                Err(ConfigError::new(self.found.into_iter().map(|(_, problem)| problem).collect(), no_file))
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
