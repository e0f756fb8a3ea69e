//! A configuration that a program passes as text, for programs and tests that have no file.

use super::error::ConfigError;
use super::load::Effective;
use super::sections::Config;
use super::source::Sources;
use super::tree::{GIVEN_TEXT, Node};

impl Config {
    /// Reads the configuration from TOML: the text replaces the configuration file and overrides the same defaults.
    ///
    /// Reads neither the environment nor any file, except the files that keys like `token_file` name. A relative path is
    /// relative to the working directory.
    ///
    /// ```
    /// use salesbot_bridge::Config;
    ///
    /// let secret = "kX2vZb7Qm4tR9wYc"; // from the place where the program keeps its secrets
    /// let config = Config::from_toml(&format!(
    ///     r#"
    ///     [integrations.main]
    ///     client_uuid = "9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11"
    ///     client_secret = "{secret}"
    ///     "#
    /// ))?;
    /// assert_eq!(config.read_from(), "the given TOML");
    ///
    /// let error = Config::from_toml("[server]\nlisten = 8080").unwrap_err();
    /// assert!(error.to_string().contains("line 2 of the given TOML: server.listen: "));
    /// # Ok::<(), salesbot_bridge::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The text is not TOML; a key is unknown; a value is missing or not allowed. The error names each problem with its line
    /// in the text.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let written = Node::parse_given(text)?;
        let effective = Effective::merge(Some(written), Some(GIVEN_TEXT.to_owned()), &Sources::default())?;
        Ok(Self { from_text: true, ..effective.config })
    }
}
