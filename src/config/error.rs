//! What is wrong with a configuration: which key, where it was written, what is allowed.

use std::fmt;

use serde::Serialize;

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
        Self::new(vec![problem], None)
    }

    pub(super) const fn new(problems: Vec<ConfigProblem>, no_file: Option<String>) -> Self {
        Self { problems, no_file }
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
