//! What a test's bridge is like before it runs: a configuration as one writes it, and handlers.

use std::sync::Arc;

use salesbot_bridge::config::Sources;
use salesbot_bridge::{Bridge, Clock, Config, Handler};
use simulator::Simulator;
use tempfile::TempDir;
use toml::{Table, Value};

use crate::bridge::TestBridge;

type Registration = Box<dyn FnOnce(Bridge) -> Bridge + Send>;

/// A bridge that does not run yet. It has the built-in handler `echo`, a folder of its own, and an account
/// for each simulator: `accounts.kommo1`, `accounts.kommo2`, ….
pub struct Setup {
    config: Table,
    handlers: Vec<Registration>,
    clock: Option<Clock>,
    folder: Arc<TempDir>,
}

impl Setup {
    pub fn with(simulators: &[&Simulator]) -> Self {
        let options = simulators[0].options();
        let hosts: Vec<&str> = simulators.iter().map(|simulator| host(simulator)).collect();
        let setup = Self {
            config: Table::new(),
            handlers: Vec::new(),
            clock: None,
            folder: Arc::new(tempfile::tempdir().unwrap()),
        };
        let mut setup = setup.config(&format!(
            r#"
            server.listen = "127.0.0.1:0"
            admin.listen = "127.0.0.1:0"
            # A disk that is slow because the machine is busy fails the tests of the deadline alone.
            server.ack_deadline = "30s"
            integrations.main = {{ client_uuid = "{}", client_secret = "{}" }}
            handlers.echo.kind = "echo"
            workers.grace = "10s"
            delivery = {{ allowed_hosts = {hosts:?}, insecure = true, request_timeout = "5s", rate_per_account = 1000 }}
            "#,
            options.client_uuid, options.client_secret,
        ));
        for (number, simulator) in (1..).zip(simulators) {
            let (url, token) = (simulator.base_url(), &simulator.options().access_token);
            setup = setup.config(&format!(
                r#"accounts.kommo{number} = {{ base_url = "{url}", access_token = "{token}" }}"#
            ));
        }
        setup
    }

    /// Lays `text` over the configuration.
    pub fn config(mut self, text: &str) -> Self {
        lay_over(&mut self.config, text.parse().unwrap());
        self
    }

    /// Takes a table out of a section of the configuration.
    pub fn without(mut self, section: &str, name: &str) -> Self {
        self.config[section].as_table_mut().unwrap().remove(name).unwrap();
        self
    }

    pub fn handler(mut self, name: &'static str, handler: impl Handler) -> Self {
        self.handlers.push(Box::new(move |bridge| bridge.handler(name, handler)));
        self
    }

    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// In the folder, and so on the store, of a bridge that ran before.
    pub fn folder(mut self, folder: &Arc<TempDir>) -> Self {
        self.folder = folder.clone();
        self
    }

    pub async fn start(self) -> TestBridge {
        let bridge = Bridge::new(Config::load(&self.sources()).unwrap());
        let bridge = self.handlers.into_iter().fold(bridge, |bridge, register| register(bridge));
        let bridge = match self.clock {
            Some(clock) => bridge.clock(clock),
            None => bridge,
        };
        TestBridge::start(bridge, self.folder).await
    }

    /// The file that was written, as `--config` names it.
    pub fn sources(&self) -> Sources {
        let mut config = self.config.clone();
        let store = format!("store.url = \"sqlite:{}\"", self.folder.path().join("bridge.db").display());
        lay_over(&mut config, store.parse().unwrap());
        let file = self.folder.path().join("bridge.toml");
        std::fs::write(&file, config.to_string()).unwrap();
        Sources { file: Some(file), env: Vec::new() }
    }
}

/// `127.0.0.1:PORT`, as `delivery.allowed_hosts` names it.
pub fn host(simulator: &Simulator) -> &str {
    simulator.base_url().strip_prefix("http://").unwrap()
}

fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
