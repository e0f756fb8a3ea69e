//! One value of the configuration as people see it on the page of settings.

use std::sync::Arc;

/// One value, and where it comes from. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSetting {
    /// The section: `handlers`.
    pub section: Arc<str>,
    /// The whole key, as it is written in the file: `handlers.greet.url`.
    pub key: String,
    /// The value as TOML; `***` for a secret.
    pub value: String,
    /// The default as TOML; `None` if the key has no default.
    pub default: Option<String>,
    /// Where the value was written.
    pub origin: SettingOrigin,
    /// What the key means.
    pub about: Option<Arc<str>>,
    /// The use of the file that the value names; `None` if it names no file with a secret.
    pub secret_file: Option<SecretFileUse>,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// Nowhere: it is the default.
    Default,
    /// In the file or in the program's own TOML, at this line: `/etc/bridge.toml:12`.
    File(String),
    /// In the environment variable with this name.
    Environment(String),
}

/// When the bridge reads the file of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFileUse {
    /// At the start, and again on SIGHUP.
    StartAndSignal,
    /// Only at the start.
    Start,
}
