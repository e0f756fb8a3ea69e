//! A real bridge and a simulated Kommo on this machine, for `demo` and `dev`.
//!
//! The bridge has a real configuration file and a real SQLite file, both in a temporary folder. A stop deletes the folder.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::bridge::{Bridge, Error, Listeners};
use crate::config::{Config, Sources};
use crate::shutdown::Shutdown;
use crate::telemetry;
use simulator::{Options, Simulator};

/// A running bridge, and the Kommo that it serves. Dropping it deletes the folder, but does not wait for the bridge's end.
pub(super) struct Sandbox {
    /// Kommo.
    pub(super) simulator: Simulator,
    /// The origin of the public listener.
    pub(super) public: String,
    /// The origin of the admin listener.
    pub(super) admin: String,
    folder: TempDir,
    stop: Shutdown,
    bridge: JoinHandle<Result<(), Error>>,
}

impl Sandbox {
    /// Starts both. `more` is TOML with the handlers and other keys of the bridge. Each `-v` in `verbose` logs more, to
    /// stderr. `prepare` may change the bridge before its start.
    ///
    /// # Errors
    /// A part cannot start, or `more` is not a valid configuration.
    pub(super) async fn start(
        more: &str,
        verbose: u8,
        prepare: impl FnOnce(Bridge) -> Bridge,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let simulator = Simulator::start(Options::default()).await.context("cannot start the simulator")?;
        let config = configuration(folder.path(), &simulator, more)?;
        if verbose > 0 {
            let log = super::with_verbosity(config.clone(), verbose).log;
            telemetry::init_log(&log).map_err(Error::Log)?;
            telemetry::log_panics();
        }
        let listeners = Listeners::bind(&config).await?;
        let address = listeners.public.local_addr()?;
        let (public, admin) =
            (format!("http://{address}"), format!("http://{}", listeners.admin.local_addr()?));
        let stop = Shutdown::manual();
        let bridge = prepare(Bridge::new(config)).callbacks_at(address);
        let bridge = tokio::spawn(bridge.run(listeners, stop.clone()));
        Ok(Self { simulator, public, admin, folder, stop, bridge })
    }

    /// The configuration file; the store is beside it.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// Waits until the bridge ends, which it does only if a part of it fails. Returns why.
    pub(super) async fn ended(&mut self) -> String {
        why((&mut self.bridge).await)
    }

    /// Stops both, and deletes the folder. `forced` ends the wait for work in progress.
    ///
    /// # Errors
    /// The bridge does not stop cleanly, or the folder cannot be deleted.
    pub(super) async fn stop(self, forced: &CancellationToken) -> anyhow::Result<()> {
        let Self { simulator, folder, stop, mut bridge, .. } = self;
        stop.ask();
        let ended = if let Some(ended) = forced.run_until_cancelled(&mut bridge).await {
            ended
        } else {
            stop.force();
            bridge.await
        };
        simulator.shutdown().await;
        let path = folder.path().to_owned();
        folder.close().with_context(|| format!("cannot delete {}: delete it yourself", path.display()))?;
        match ended {
            Ok(Ok(())) => Ok(()),
            ended => bail!("the bridge did not stop cleanly: {}", why(ended)),
        }
    }
}

/// The name of the configuration file.
const CONFIG: &str = "bridge.toml";

fn configuration(folder: &Path, simulator: &Simulator, more: &str) -> anyhow::Result<Config> {
    let Options { client_uuid, client_secret, access_token, .. } = simulator.options();
    let base_url = simulator.base_url();
    let host = base_url.trim_start_matches("http://");
    let store = quoted(&format!("sqlite:{}", folder.join("bridge.db").display()));
    let text = format!(
        r#"
        server.listen = "127.0.0.1:0"
        admin.listen = "127.0.0.1:0"
        store.url = {store}
        integrations.simulated = {{ client_uuid = "{client_uuid}", client_secret = "{client_secret}" }}
        accounts.simulated = {{ base_url = "{base_url}", access_token = "{access_token}" }}
        # Loopback is neither https nor public.
        delivery.allowed_hosts = ["{host}"]
        delivery.insecure = true
        {more}
        "#,
    );
    let file = folder.join(CONFIG);
    write_secret(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Config::load(&Sources { file: Some(file), env: Vec::new() }).map_err(Error::from)?)
}

/// A text in TOML. The escapes of JSON are valid there.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Writes a file with secrets, which only its owner can read.
fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

fn why(ended: Result<Result<(), Error>, JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "it stopped without a request".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}
