//! What `serve` logs once at its start: the program, the configuration it runs with, and the route of its calls.

use crate::config::{Config, nothing_read};

/// The program that runs the bridge: its name, and its version if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProgramVersion {
    pub(crate) name: &'static str,
    pub(crate) version: Option<&'static str>,
}

impl Default for ProgramVersion {
    fn default() -> Self {
        Self { name: env!("CARGO_PKG_NAME"), version: Some(env!("CARGO_PKG_VERSION")) }
    }
}

/// Logs the program, the source of the configuration, and the route of calls to Kommo.
pub(super) fn log_start(program: ProgramVersion, config: &Config) {
    let ProgramVersion { name, version } = program;
    tracing::info!(program = name, version, bridge_version = env!("CARGO_PKG_VERSION"), "starting");
    match &config.file {
        Some(file) => tracing::info!(file = %file.display(), "read the configuration"),
        None if config.from_text => tracing::info!("read the configuration from the program's own TOML"),
        None => tracing::info!("{}; using only environment variables", nothing_read()),
    }
    tracing::info!(route = %config.delivery.outgoing, "route of calls to Kommo");
    if let Some(variable) = &config.delivery.ignored_proxy {
        tracing::warn!(
            variable,
            "ignoring the proxy in this environment variable: set delivery.proxy to \"env\" to use it, or unset the variable"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_names_the_program_and_the_bridge() {
        test_log::prepare();
        let config = Config::from_toml(
            "[integrations.main]\nclient_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"s3cret-of-main\"",
        );
        let log = test_log::collect(tracing::Level::INFO);
        log_start(ProgramVersion { name: "greeter", version: Some("1.2.0") }, &config.unwrap());
        let text = log.text();
        let first = text.lines().next().unwrap();
        assert!(first.contains("starting program=\"greeter\" version=\"1.2.0\""), "{first}");
        assert!(first.contains(&format!("bridge_version=\"{}\"", env!("CARGO_PKG_VERSION"))), "{first}");
        assert!(text.contains("read the configuration from the program's own TOML"), "{text}");
    }
}
