//! A bridge for a test before it runs: handlers, configuration, clock, accounts.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;
use toml::{Table, Value};

use crate::bridge::Bridge;
use crate::config::{Config, Sources};
use model::clock::Clock;
use simulator::{Options, Simulator, TimeSource};

use super::{TEST_TIMEOUT, TestBridge, TestKommo};

type Registration = Box<dyn FnOnce(Bridge) -> Bridge + Send>;

/// The folder of a [`TestBridge`], with its store. It is deleted with its last clone.
#[derive(Clone, Debug)]
pub struct TestFolder(Arc<TempDir>);

impl TestFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Builds a [`TestBridge`]: see [`TestBridge::builder`].
pub struct TestBridgeBuilder {
    registrations: Vec<Registration>,
    config: Table,
    clock: Option<Clock>,
    accounts: Vec<Account>,
    folder: TestFolder,
    may_leave_jobs: bool,
    timeout: Duration,
}

/// An account for the configuration.
struct Account {
    url: String,
    options: Options,
    is_connected: bool,
}

impl Account {
    fn of(kommo: &Simulator) -> Self {
        Self { url: kommo.base_url().to_owned(), options: kommo.options().clone(), is_connected: true }
    }
}

impl TestBridgeBuilder {
    pub(super) fn new() -> Self {
        Self {
            registrations: Vec::new(),
            config: Table::new(),
            clock: None,
            accounts: Vec::new(),
            folder: TestFolder(Arc::new(tempfile::tempdir().expect("a temporary folder"))),
            may_leave_jobs: false,
            timeout: TEST_TIMEOUT,
        }
    }

    /// Registers handlers: `|bridge| bridge.handler("greet", Greeter)`.
    #[must_use]
    pub fn handlers(mut self, register: impl FnOnce(Bridge) -> Bridge + Send + 'static) -> Self {
        self.registrations.push(Box::new(register));
        self
    }

    /// Adds configuration, written as in `bridge.toml`: `handlers.greet.max_attempts = 2`. A later value replaces an earlier
    /// one.
    ///
    /// # Panics
    /// If it is not TOML.
    #[must_use]
    #[track_caller]
    pub fn config(mut self, toml: &str) -> Self {
        match toml.parse() {
            Ok(table) => lay_over(&mut self.config, table),
            Err(error) => panic!("the configuration is not TOML: {error}"),
        }
        self
    }

    /// Makes the bridge, and the Kommo that it starts with, depend on this clock, for example on
    /// [`ManualClock::clock`](crate::ManualClock::clock).
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Connects the bridge to a simulated account of the test, instead of one of its own. Called again, it connects to a further
    /// one. The first account's integration is the bridge's.
    #[must_use]
    pub fn account(mut self, kommo: &Simulator) -> Self {
        self.accounts.push(Account::of(kommo));
        self
    }

    /// Leaves the token of one of these accounts out: its bots can ask, but the account is not connected.
    #[must_use]
    pub fn without_token(mut self, kommo: &Simulator) -> Self {
        for account in self.accounts.iter_mut().filter(|account| account.url == kommo.base_url()) {
            account.is_connected = false;
        }
        self
    }

    /// Uses the folder, and with it the store, of a bridge that was stopped. The accounts have to be the test's own, because the
    /// bots of another Kommo do not wait there.
    #[must_use]
    pub fn folder(mut self, folder: &TestFolder) -> Self {
        self.folder = folder.clone();
        self
    }

    /// Accepts that jobs are unfinished when the bridge stops.
    #[must_use]
    pub fn allow_unfinished_jobs(mut self) -> Self {
        self.may_leave_jobs = true;
        self
    }

    /// Waits at most this long for each event, instead of [`TEST_TIMEOUT`]. A shorter time is not for the start.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self { timeout: limit, ..self }
    }

    /// Starts the bridge, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start; the message is the one that an operator would read.
    pub async fn start(mut self) -> TestBridge {
        let own = if self.accounts.is_empty() { Some(start_kommo(self.clock.clone()).await) } else { None };
        if let Some(kommo) = &own {
            self.accounts.push(Account::of(kommo));
        }
        let config = match Config::load(&self.sources()) {
            Ok(config) => config,
            Err(error) => panic!("the configuration is refused: {error}"),
        };
        let bridge = self.registrations.into_iter().fold(Bridge::new(config), |bridge, add| add(bridge));
        let bridge = match self.clock {
            Some(clock) => bridge.clock(clock),
            None => bridge,
        };
        TestBridge::run(bridge, own, self.folder, self.timeout, self.may_leave_jobs).await
    }

    /// Writes the configuration into the folder, for [`Config::load`] or for a program that `BRIDGE_CONFIG` leads there.
    ///
    /// # Panics
    /// If the builder has no account of the test's own.
    pub fn sources(&self) -> Sources {
        let mut config = self.base();
        lay_over(&mut config, self.config.clone());
        let file = self.folder.path().join("bridge.toml");
        std::fs::write(&file, config.to_string()).expect("the folder can be written");
        Sources { file: Some(file), env: Vec::new() }
    }

    /// What the kit decides, for the test to lay its own configuration over.
    fn base(&self) -> Table {
        let Some(Account { options, .. }) = self.accounts.first() else {
            panic!("the bridge has no account yet")
        };
        let hosts: Vec<&str> =
            self.accounts.iter().map(|account| account.url.trim_start_matches("http://")).collect();
        // TOML escapes differ from Rust's.
        let store = Value::String(format!("sqlite:{}", self.folder.path().join("bridge.db").display()));
        let mut text = format!(
            r#"
            store.url = {store}
            server.listen = "127.0.0.1:0"
            admin.listen = "127.0.0.1:0"
            # A disk that is slow because the machine is busy fails no test.
            server.ack_deadline = "30s"
            workers.grace = "10s"
            integrations.main = {{ client_uuid = {:?}, client_secret = {:?} }}
            delivery = {{ allowed_hosts = {hosts:?}, insecure = true, request_timeout = "5s", rate_per_account = 1000 }}
            "#,
            options.client_uuid, options.client_secret,
        );
        for (number, Account { url, options, .. }) in
            (1..).zip(&self.accounts).filter(|(_, account)| account.is_connected)
        {
            let token = &options.access_token;
            text += &format!("accounts.kommo{number} = {{ base_url = {url:?}, access_token = {token:?} }}\n");
        }
        text.parse().expect("the kit writes TOML")
    }
}

/// A Kommo that goes by the clock of the bridge, so that the tokens of its bots are valid there.
async fn start_kommo(clock: Option<Clock>) -> TestKommo {
    let mut options = Options { answer_timeout: TEST_TIMEOUT, ..Options::default() };
    if let Some(clock) = clock {
        let since_epoch = move || Duration::from_millis(u64::try_from(clock.now().as_millis()).unwrap_or(0));
        options.clock = TimeSource::new(move || UNIX_EPOCH + since_epoch());
    }
    TestKommo::with(options).await
}

/// Lays `above` over `below`, table by table.
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
