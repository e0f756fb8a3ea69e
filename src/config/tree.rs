//! The layers: tables in which every entry remembers where it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::{ConfigError, ConfigProblem};

/// What errors call the TOML that a program passed.
pub(super) const GIVEN_TEXT: &str = "the given TOML";

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `config/default.toml`, or the default of a handler's policy.
    BuiltIn,
    /// A line of a file, from 1.
    File { file: Arc<Path>, line: usize },
    /// A line, from 1, of the TOML that a program passed to [`Config::from_toml`](super::Config::from_toml).
    Text { line: usize },
    /// An environment variable.
    Environment { variable: Arc<str> },
}

impl Origin {
    /// Resolves a path that was written here. A relative path in a file is relative to the folder of that file; any other
    /// relative path stays relative to the working directory.
    pub(super) fn resolve(&self, written: &Path) -> PathBuf {
        match self {
            Self::File { file, .. } => {
                file.parent().map_or_else(|| written.to_owned(), |folder| folder.join(written))
            }
            Self::BuiltIn | Self::Text { .. } | Self::Environment { .. } => written.to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in default"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Text { line } => write!(f, "line {line} of {GIVEN_TEXT}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
        }
    }
}

/// A value or a table, and where it was written. Not `Debug`: it contains secrets.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) content: Content,
}

#[derive(Clone)]
pub(super) enum Content {
    Table(BTreeMap<String, Node>),
    Leaf(toml::Value),
}

impl Node {
    /// Creates an empty table.
    pub(super) fn table(origin: Origin) -> Self {
        Self { origin, content: Content::Table(BTreeMap::new()) }
    }

    /// Creates a value; its tables become tables of the tree, all with the same origin.
    pub(super) fn from_value(value: toml::Value, origin: &Origin) -> Self {
        let content = match value {
            toml::Value::Table(table) => Content::Table(
                table.into_iter().map(|(key, value)| (key, Self::from_value(value, origin))).collect(),
            ),
            leaf => Content::Leaf(leaf),
        };
        Self { origin: origin.clone(), content }
    }

    /// Parses the text of a file; without a `file`, the text is the defaults.
    ///
    /// # Errors
    /// The text is not TOML. The error omits the line itself, which may contain a secret.
    pub(super) fn parse(text: &str, file: Option<&Path>) -> Result<Self, ConfigError> {
        let file: Option<Arc<Path>> = file.map(Arc::from);
        Self::parse_lines(text, |line| match &file {
            None => Origin::BuiltIn,
            Some(file) => Origin::File { file: file.clone(), line },
        })
    }

    /// Reads TOML that a program passed.
    ///
    /// # Errors
    /// Same as [`parse`](Self::parse).
    pub(super) fn parse_given(text: &str) -> Result<Self, ConfigError> {
        Self::parse_lines(text, |line| Origin::Text { line })
    }

    fn parse_lines(text: &str, origin_of: impl Fn(usize) -> Origin) -> Result<Self, ConfigError> {
        let lines = LineStarts::of(text);
        let origin = |offset: usize| origin_of(lines.line_of(offset));
        let refused = |offset: usize, message: String| {
            ConfigError::one(ConfigProblem { key: None, place: Some(origin(offset).to_string()), message })
        };
        let invalid = |error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start);
            refused(offset, format!("invalid TOML: {}", first_line(error.message())))
        };
        let table = DeTable::parse(text).map_err(invalid)?.into_inner();
        // The parser's own message would quote the value.
        let unreadable = |offset| {
            refused(
                offset,
                "invalid TOML: a number is out of range; if it is meant as text, put it in quotes".to_owned(),
            )
        };
        let content = read_table(table, &origin).map_err(unreadable)?;
        // The root has no line, so neither does a section that is missing.
        Ok(Self { origin: Origin::BuiltIn, content })
    }

    /// Merges `later` over this: its values win, and tables are merged.
    ///
    /// `x` and `x_file` are two ways to write one value, so either of them replaces the other.
    pub(super) fn merge(&mut self, later: Self) {
        match (&mut self.content, later.content) {
            (Content::Table(mine), Content::Table(theirs)) => {
                if self.origin == Origin::BuiltIn {
                    self.origin = later.origin;
                }
                // Only values have such a twin: two handlers may be called `x` and `x_file`.
                let values = theirs.iter().filter(|(_, node)| matches!(node.content, Content::Leaf(_)));
                let twins: Vec<String> = values.map(|(key, _)| twin(key)).collect();
                mine.retain(|key, node| {
                    let replaced = twins.contains(key) && !theirs.contains_key(key);
                    !replaced || matches!(node.content, Content::Table(_))
                });
                for (key, node) in theirs {
                    match mine.get_mut(&key) {
                        Some(existing) => existing.merge(node),
                        None => drop(mine.insert(key, node)),
                    }
                }
            }
            (mine, content) => (*mine, self.origin) = (content, later.origin),
        }
    }

    /// Puts `node` at `path`, and creates the tables on the way.
    pub(super) fn insert(&mut self, path: &[&str], node: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if let Content::Leaf(_) = self.content {
            self.content = Content::Table(BTreeMap::new());
        }
        if let Content::Table(entries) = &mut self.content {
            let table = || Self::table(node.origin.clone());
            entries.entry((*first).to_owned()).or_insert_with(table).insert(rest, node);
        }
    }

    /// Returns the entries of a table; `None` for a value.
    pub(super) fn entries_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match &mut self.content {
            Content::Table(entries) => Some(entries),
            Content::Leaf(_) => None,
        }
    }

    /// Returns the entry at `path`.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, part| match &node.content {
            Content::Table(entries) => entries.get(*part),
            Content::Leaf(_) => None,
        })
    }

    /// Returns where the entry at `path`, or else the nearest table around it, was written.
    pub(super) fn nearest_origin(&self, path: &[&str]) -> &Origin {
        (0..=path.len())
            .rev()
            .find_map(|length| self.get(&path[..length]))
            .map_or(&self.origin, |node| &node.origin)
    }

    /// Removes the entry at `path`, or else the value around it. Returns whether there was one.
    pub(super) fn remove(&mut self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let Content::Table(entries) = &mut self.content else { return false };
        let inside = entries.get_mut(*first).is_some_and(|node| node.remove(rest));
        inside || entries.remove(*first).is_some()
    }

    /// Converts to TOML, without the origins.
    pub(super) fn to_toml(&self) -> toml::Value {
        match &self.content {
            Content::Leaf(value) => value.clone(),
            Content::Table(entries) => {
                toml::Value::Table(entries.iter().map(|(key, node)| (key.clone(), node.to_toml())).collect())
            }
        }
    }
}

/// The error is the offset of a value that cannot be read.
fn read_table(table: DeTable<'_>, origin: &impl Fn(usize) -> Origin) -> Result<Content, usize> {
    let entries = table.into_iter().map(|(key, value)| {
        let offset = key.span().start;
        let content = read_value(value, origin)?;
        Ok((key.into_inner().into_owned(), Node { origin: origin(offset), content }))
    });
    entries.collect::<Result<_, _>>().map(Content::Table)
}

fn read_value(value: Spanned<DeValue<'_>>, origin: &impl Fn(usize) -> Origin) -> Result<Content, usize> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => read_table(table, origin),
        leaf => {
            let offset = span.start;
            toml::Value::deserialize(ValueDeserializer::from(Spanned::new(span, leaf)))
                .map(Content::Leaf)
                .map_err(|_| offset)
        }
    }
}

/// Returns `x` for `x_file`, and the reverse.
fn twin(key: &str) -> String {
    key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned)
}

/// Where the lines of a text begin, without the first. Counting them for each value would take the square of the time for
/// the thousands of accounts that a file may name.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(offset, _)| offset + 1).collect())
    }

    /// The line of the byte at `offset`, from 1.
    fn line_of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset) + 1
    }
}

/// Keeps only the first line of a TOML error, because further lines may quote the file.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_after_each_line_break() {
        let lines = LineStarts::of("ab\n\nc\n");
        assert_eq!([0, 2, 3, 4, 5, 6].map(|offset| lines.line_of(offset)), [1, 1, 2, 3, 3, 4]);
    }
}
