//! `config`: checks the configuration, shows it, and prints its schema.

use clap::Subcommand;
use serde_json::{Value as Json, json};

use crate::config::{Config, ConfigError, Effective, Sources};

use super::examples;

/// The subcommands of `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Check the configuration without changing anything
    #[command(after_help = examples::CONFIG_CHECK)]
    Check,
    /// Print the values in effect and the source of each, with secrets masked
    #[command(after_help = examples::CONFIG_SHOW)]
    Show,
    /// Print the JSON Schema of the configuration file
    #[command(after_help = examples::CONFIG_SCHEMA)]
    Schema,
}

/// Returns the command's output for stdout, without a newline at the end.
///
/// # Errors
/// The configuration is refused; the caller reports it on stderr and exits with 2. `schema` needs no configuration.
pub fn run(command: Command, sources: &Sources, json: bool) -> Result<String, ConfigError> {
    Ok(match command {
        Command::Check => {
            let config = Config::load(sources)?;
            if json {
                pretty(&json!({ "valid": true, "file": config.file }))
            } else {
                format!("configuration is valid: {}", config.read_from())
            }
        }
        Command::Show if json => pretty(&Effective::load(sources)?.show_json()),
        Command::Show => Effective::load(sources)?.show().trim_end().to_owned(),
        Command::Schema => pretty(&Config::schema()?),
    })
}

fn pretty(value: &Json) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_prints_text_and_json() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bridge.toml");
        std::fs::write(&file, "[integrations.main]\nclient_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"s\"\n").unwrap();
        let sources = Sources { file: Some(file.clone()), env: Vec::new() };
        let checked = run(Command::Check, &sources, false).unwrap();
        assert_eq!(checked, format!("configuration is valid: {}", file.display()));
        for command in [Command::Check, Command::Show, Command::Schema] {
            let printed = run(command, &sources, true).unwrap();
            assert!(serde_json::from_str::<Json>(&printed).unwrap().is_object());
        }
        assert!(run(Command::Show, &sources, false).unwrap().contains("[integrations.main]"));
    }

    #[test]
    fn only_the_schema_works_without_a_valid_configuration() {
        let nothing = Sources::default();
        assert!(run(Command::Schema, &nothing, false).is_ok());
        assert!(run(Command::Check, &nothing, false).is_err(), "an integration is missing");
        assert!(run(Command::Show, &nothing, false).is_err(), "an integration is missing");
    }
}
