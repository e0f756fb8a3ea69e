//! What the page of settings shows.

use std::sync::Arc;

use crate::listed_setting::ListedSetting;

/// The configuration that the bridge started with. Contains no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where most of it was read.
    pub source: SettingsSource,
    /// All values, ordered by key.
    pub values: Arc<[ListedSetting]>,
}

/// Where most of a configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsSource {
    /// In this file, or in the program's own TOML.
    Read(String),
    /// No file was read: where the bridge looked.
    Nothing(String),
}

impl Default for Settings {
    /// Defaults only.
    fn default() -> Self {
        Self {
            source: SettingsSource::Nothing("no configuration file was read".to_owned()),
            values: Arc::default(),
        }
    }
}
