//! What `serve` says once at its start: which configuration it runs with, and how its calls leave the machine.

use crate::config::{Config, nothing_read};

/// Logs it.
pub(super) fn note(config: &Config) {
    match &config.file {
        Some(file) => tracing::info!(file = %file.display(), "read the configuration"),
        None if config.from_text => tracing::info!("read the configuration from the program's own TOML"),
        None => tracing::info!("{}; using the environment variables alone", nothing_read()),
    }
    tracing::info!(route = %config.delivery.outgoing, "route of calls to Kommo");
    if let Some(variable) = &config.delivery.ignored_proxy {
        tracing::warn!(
            variable,
            "the proxy of the environment is not used: set delivery.proxy to \"env\" to use it, or unset the variable"
        );
    }
}
