//! What `serve` logs once at its start: the configuration it runs with, and the route of its calls.

use crate::config::{Config, nothing_read};

/// Logs the source of the configuration and the route of calls to Kommo.
pub(super) fn log_start(config: &Config) {
    match &config.file {
        Some(file) => tracing::info!(file = %file.display(), "read the configuration"),
        None => tracing::info!("{}; using only environment variables", nothing_read()),
    }
    tracing::info!(route = %config.delivery.outgoing, "route of calls to Kommo");
    if let Some(variable) = &config.delivery.ignored_proxy {
        tracing::warn!(
            variable,
            "the proxy of the environment is not used: set delivery.proxy to \"env\" to use it, or unset the variable"
        );
    }
}
