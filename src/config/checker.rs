//! What all checks share: where each value was written, the problems found so far, and checks of single values.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::problem::Problems;
use super::secret::{self, SecretFile};
use super::source::Sources;
use super::tree::{Node, Origin};
use super::values::{Span, Text};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The tree, which knows where each value was written, and the problems found so far.
pub(super) struct Checker<'a> {
    pub(super) tree: &'a Node,
    pub(super) problems: &'a mut Problems,
    /// The files that secrets were read from.
    pub(super) files: Vec<SecretFile>,
    /// The folder of the configuration file, if one was read.
    pub(super) folder: Option<PathBuf>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(tree: &'a Node, sources: &Sources, problems: &'a mut Problems) -> Self {
        let file = sources.file().map(paths::absolute);
        let folder = file.and_then(|file| file.parent().map(|folder| folder.components().collect()));
        Self { tree, problems, files: Vec::new(), folder }
    }

    /// Resolves the path that is the value at `key`: see [`Origin::resolve`]. A default counts as written in the
    /// configuration file, so a store does not depend on the working directory if a file was read.
    pub(super) fn resolve(&self, key: &[&str], written: &Path) -> PathBuf {
        match (self.tree.nearest_origin(key), &self.folder) {
            (Origin::BuiltIn, Some(folder)) => folder.join(written),
            (origin, _) => origin.resolve(written),
        }
    }

    pub(super) fn refuse(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.refuse(self.tree, path, message);
    }

    /// Requires a value. A value that was refused earlier is not reported as missing too.
    pub(super) fn require<T>(&mut self, path: &[&str], value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() && !self.problems.was_refused(path) {
            self.refuse(path, format!("is required: {what}"));
        }
        value
    }

    pub(super) fn secret(
        &mut self,
        path: &[&str],
        value: Option<SecretString>,
        file: Option<String>,
        kind: secret::Kind,
    ) -> Option<SecretString> {
        let found = secret::resolve(path, value, file, kind, self.tree, self.problems)?;
        self.files.extend(found.file);
        Some(found.secret)
    }

    pub(super) fn span(
        &mut self,
        path: &[&str],
        value: Option<Text<Span>>,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Text(Span(span)) = self.require(path, value, "a duration")?;
        if allowed.contains(&span) {
            return Some(span);
        }
        let (least, most) = (Span(*allowed.start()), Span(*allowed.end()));
        self.refuse(path, format!("must be a duration from {least} to {most}"));
        None
    }

    pub(super) fn count(&mut self, path: &[&str], value: Option<u32>) -> Option<usize> {
        self.require(path, value, "a whole number").and_then(|count| usize::try_from(count).ok())
    }
}

/// Whether a URL has only scheme, host and port.
pub(super) fn is_origin(url: &Url) -> bool {
    url.path() == "/" && url.query().is_none()
}
