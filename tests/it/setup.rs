//! A test's bridge before it runs: the test kit's builder, with the built-in handler `echo`.

use salesbot_bridge::config::Sources;
use salesbot_bridge::testing::{TestBridgeBuilder, TestFolder};
use salesbot_bridge::{Clock, Handler};
use simulator::Simulator;

use crate::bridge::TestBridge;

/// A bridge that does not run yet. It has the built-in handler `echo`, its own folder, and an account for each simulator:
/// `accounts.kommo1`, `accounts.kommo2`, ….
pub struct Setup(TestBridgeBuilder);

impl Setup {
    pub fn with(simulators: &[&Simulator]) -> Self {
        let builder = TestBridge::builder().config(r#"handlers.echo.kind = "echo""#);
        Self(simulators.iter().fold(builder, |builder, simulator| builder.account(simulator)))
    }

    /// Merges `text`, which is TOML, into the configuration. Its values win.
    pub fn config(self, text: &str) -> Self {
        Self(self.0.config(text))
    }

    /// Leaves the token of this account out of the configuration.
    pub fn without_token(self, simulator: &Simulator) -> Self {
        Self(self.0.without_token(simulator))
    }

    pub fn handler(self, name: &'static str, handler: impl Handler) -> Self {
        Self(self.0.handlers(move |bridge| bridge.handler(name, handler)))
    }

    pub fn clock(self, clock: Clock) -> Self {
        Self(self.0.clock(clock))
    }

    /// Uses the folder of an earlier bridge, and so its store.
    pub fn folder(self, folder: &TestFolder) -> Self {
        Self(self.0.folder(folder))
    }

    pub async fn start(self) -> TestBridge {
        TestBridge::new(self.0.start().await)
    }

    /// Writes the configuration to a file, and returns its sources as `--config` would.
    pub fn sources(&self) -> Sources {
        self.0.sources()
    }
}

/// `127.0.0.1:PORT`, as `delivery.allowed_hosts` names it.
pub fn host(simulator: &Simulator) -> &str {
    simulator.base_url().strip_prefix("http://").unwrap()
}
