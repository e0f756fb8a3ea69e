//! Configuration errors: which key, where it was written, what is allowed.

use std::fmt;

use serde::Serialize;

/// One problem of a configuration. It never contains the value, which may be a misplaced secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigProblem {
    /// The full name, `server.listen`; `None` if the problem concerns a whole file.
    pub key: Option<String>,
    /// `FILE:LINE`, `FILE` or `environment variable NAME`; `None` if there is none, such as for a missing key without a
    /// file.
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

/// A refused configuration. Its text has a line for each problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
    /// Says that no file was read, which is often why a value is missing.
    no_file: Option<String>,
}

impl ConfigError {
    pub(super) fn one(problem: ConfigProblem) -> Self {
        Self::new(vec![problem], None)
    }

    pub(super) const fn new(problems: Vec<ConfigProblem>, no_file: Option<String>) -> Self {
        Self { problems, no_file }
    }

    /// Returns a note that no configuration file was read; `None` if one was.
    pub fn no_file(&self) -> Option<&str> {
        self.no_file.as_deref()
    }

    /// Returns all problems; at least one.
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
