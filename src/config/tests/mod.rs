//! Whole configurations through [`Config::load`]: a file in a temporary folder and an environment.

mod defaults;
mod given;
mod http_handlers;
mod layers;
mod problems;
mod refusals;
mod secrets;
mod show;
mod store_url;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Config, ConfigError, Effective, Sources};

/// An integration's id.
const ID: &str = "11111111-0c1e-4d57-8c6e-2f6f3f1f0d11";

/// The smallest valid configuration.
const MINIMAL: &str = "[integrations.main]\nclient_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"s3cret-of-main\"\n";

/// A temporary folder with `bridge.toml` in it.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("bridge.toml", text);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sources(&self, env: &[(&str, &str)]) -> Sources {
        Sources { file: Some(self.path("bridge.toml")), env: owned(env) }
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load(&self.sources(env))
    }

    /// Returns the text of the refusal, without the folder's name.
    fn refusal(&self, env: &[(&str, &str)]) -> String {
        let text = self.load(env).unwrap_err().to_string();
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn owned(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads `MINIMAL` followed by `text`.
fn load_with(text: &str) -> Result<Config, ConfigError> {
    Folder::with(&format!("{MINIMAL}{text}")).load(&[])
}

fn effective(text: &str, env: &[(&str, &str)]) -> Effective {
    Effective::load(&Folder::with(text).sources(env)).unwrap()
}
