//! The sources of a configuration: which file, and which variables.
//!
//! The file is the one that `--config` names, else `BRIDGE_CONFIG`, else `bridge.toml` in the working directory if it
//! exists. Only [`Sources::of_process`] looks in the working directory, so a program that builds its own sources gets
//! exactly those.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment;
use super::error::{ConfigError, ConfigProblem};
use super::tree::Origin;

/// The file to read if none is named.
const FILE_HERE: &str = "bridge.toml";

/// The inputs of a configuration besides the defaults. Not `Debug`: the environment contains secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file; if `None`, the file that the variable `BRIDGE_CONFIG` names, if it is set.
    pub file: Option<PathBuf>,
    /// Names and values. The bridge reads `BRIDGE_CONFIG`, `BRIDGE_SECTION__KEY` and, for `delivery.proxy`, the
    /// variables that name a proxy: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    pub env: Vec<(String, String)>,
}

impl Sources {
    /// Returns `file` and the environment of this process; nothing else reads the environment. If neither `file` nor
    /// `BRIDGE_CONFIG` names a file, the file is `bridge.toml` in the working directory, if it exists.
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

    /// Returns the file to read, if any.
    pub fn file(&self) -> Option<&Path> {
        let from_environment = || self.variable(environment::FILE_VARIABLE).map(Path::new);
        self.file.as_deref().or_else(from_environment)
    }

    /// Returns the value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.env.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Adds the default file in `folder` if no file is named.
    fn or_in(mut self, folder: Option<&Path>) -> Self {
        if self.file().is_none() {
            self.file = folder.map(|folder| folder.join(FILE_HERE)).filter(|file| is_there(file));
        }
        self
    }
}

/// Whether the file exists. A file that cannot be inspected counts as well: reading it then reports the reason.
fn is_there(file: &Path) -> bool {
    !file.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Says that no file was read, and where the bridge looked.
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
    fn the_working_directorys_file_is_read_only_if_no_file_is_named() {
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
    fn a_dangling_link_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path().join("gone"), folder.path().join(FILE_HERE)).unwrap();
        assert_eq!(Sources::default().or_in(Some(folder.path())).file(), None);
    }
}
