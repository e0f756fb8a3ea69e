//! Where a configuration comes from: which file, and which variables.
//!
//! The file is the one of `--config`, else that of `BRIDGE_CONFIG`, else `bridge.toml` in the working directory, if there is
//! one. Only [`Sources::of_process`] looks into the working directory, so that sources that a program puts together are
//! just what it says.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment;
use super::problem::{ConfigError, ConfigProblem};
use super::tree::Origin;

/// The file that is read where none is named.
const FILE_HERE: &str = "bridge.toml";

/// What a configuration is made of, besides the defaults. Not `Debug`: the environment holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file; if there is none, that of the variable `BRIDGE_CONFIG`, if there is one.
    pub file: Option<PathBuf>,
    /// Names and values. `BRIDGE_CONFIG` and `BRIDGE_SECTION__KEY` are looked at; and, for `delivery.proxy`, the variables
    /// that name a proxy: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    pub env: Vec<(String, String)>,
}

impl Sources {
    /// `file` and the environment of this process: the one place that reads it. If neither `file` nor `BRIDGE_CONFIG` names
    /// a file, it is `bridge.toml` in the working directory, if that exists.
    ///
    /// # Errors
    /// A `BRIDGE_…` variable is not UTF-8.
    pub fn of_process(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let ours = |name: &str| name.starts_with("BRIDGE_");
        let mut env = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => env.push((name, value)),
                Err(_) if ours(&name) => {
                    let place = Some(Origin::Environment { variable: name.into() }.to_string());
                    let message = "its value must be UTF-8".to_owned();
                    return Err(ConfigError::one(ConfigProblem { key: None, place, message }));
                }
                Err(_) => {}
            }
        }
        Ok(Self { file, env }.or_in(std::env::current_dir().ok().as_deref()))
    }

    /// The file that is read, if there is one.
    pub fn file(&self) -> Option<&Path> {
        let from_environment = || self.variable(environment::FILE_VARIABLE).map(Path::new);
        self.file.as_deref().or_else(from_environment)
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.env.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The same; where no file is named, with the one that lies in `folder`.
    fn or_in(mut self, folder: Option<&Path>) -> Self {
        if self.file().is_none() {
            self.file = folder.map(|folder| folder.join(FILE_HERE)).filter(|file| is_there(file));
        }
        self
    }
}

/// A file that cannot be looked at counts as well: reading it then says why it cannot be read.
fn is_there(file: &Path) -> bool {
    !file.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Says that no file was read, and where one was looked for.
pub(crate) fn nothing_read() -> String {
    let here = paths::absolute(Path::new("."));
    format!(
        "no configuration file was read: no --config, no {}, no ./{FILE_HERE} in {}",
        environment::FILE_VARIABLE,
        here.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_working_directory_is_read_only_where_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join(FILE_HERE);
        let found = |file: Option<&str>, variable: &str| {
            let env = vec![("BRIDGE_CONFIG".to_owned(), variable.to_owned())];
            let sources = Sources { file: file.map(PathBuf::from), env };
            sources.or_in(Some(folder.path())).file().map(Path::to_owned)
        };
        assert_eq!(found(None, ""), None, "there is none");
        std::fs::write(&here, "").unwrap();
        assert_eq!(found(None, ""), Some(here));
        assert_eq!(found(None, "/by/variable.toml"), Some("/by/variable.toml".into()));
        assert_eq!(found(Some("/by/option.toml"), "/by/variable.toml"), Some("/by/option.toml".into()));
        assert_eq!(Sources::default().or_in(None).file(), None);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path().join("gone"), folder.path().join(FILE_HERE)).unwrap();
        assert_eq!(Sources::default().or_in(Some(folder.path())).file(), None);
    }
}
