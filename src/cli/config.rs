//! `salesbot-bridge config …`: is it valid, what is it, what may be in it.

use clap::Subcommand;
use serde_json::{Value as Json, json};

use crate::config::{Config, ConfigError, Effective, Sources};

/// What to do with the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Check it and change nothing
    Check,
    /// Print what is in effect and where each value was written; secrets are masked
    Show,
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// What the command has to say on stdout, without a newline at its end.
///
/// # Errors
/// The configuration is refused: the caller says so on stderr and exits 2. `schema` needs no valid one.
pub fn run(command: Command, sources: &Sources, json: bool) -> Result<String, ConfigError> {
    let name = || sources.file().map(|file| file.display().to_string());
    Ok(match command {
        Command::Check => {
            Config::load(sources)?;
            if json {
                pretty(&json!({ "valid": true, "file": name() }))
            } else {
                let name = name().unwrap_or_else(|| "defaults and environment, no file".to_owned());
                format!("configuration is valid: {name}")
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
