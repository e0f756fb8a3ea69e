//! A folder with a configuration and a store, for programs that run one after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use simulator::{Options, Simulator};
use tempfile::TempDir;

use crate::own_handlers;
use crate::process::{Ended, program, run};
use crate::serve::Serve;

/// The folder. Dropping it deletes it.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// Creates a folder with a configuration for `simulator`: the handler `echo`, free ports, and the TOML in `more`.
    pub fn new(simulator: &Simulator, more: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.configure(simulator, &home.path("bridge.db"), more);
        home
    }

    /// Rewrites the configuration, with the store at `store`.
    pub fn configure(&self, simulator: &Simulator, store: &Path, more: &str) {
        let Options { client_uuid, client_secret, access_token, .. } = simulator.options();
        let base_url = simulator.base_url();
        let host = base_url.trim_start_matches("http://");
        let store = store.display();
        let text = format!(
            r#"server.listen = "127.0.0.1:0"
            admin.listen = "127.0.0.1:0"
            store.url = "sqlite:{store}"
            integrations.main = {{ client_uuid = "{client_uuid}", client_secret = "{client_secret}" }}
            accounts.main = {{ base_url = "{base_url}", access_token = "{access_token}" }}
            handlers.echo = {{ kind = "echo" }}
            delivery.allowed_hosts = ["{host}"]
            delivery.insecure = true
            delivery.rate_per_account = 500
            {more}"#
        );
        fs::write(self.config(), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("bridge.toml")
    }

    /// A command of the real program with this configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("--config").arg(self.config()).args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs a command of the real program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments))
    }

    /// Starts `serve` of the real program, and waits until it is ready.
    pub fn serve(&self) -> Serve {
        Serve::start(self.command(&["serve"]))
    }

    /// Starts the bridge of [`own_handlers`], and waits until it is ready.
    pub fn serve_own(&self) -> Serve {
        Serve::start(self.own())
    }

    /// The bridge of [`own_handlers`].
    pub fn own(&self) -> Command {
        own_handlers::program(&self.config())
    }
}
