//! Runs a bridge in its own process, so that its CPU time and memory can be measured.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sink::Sink;
use super::token::Integration;
use super::usage::Usage;

/// How to start a bridge. Its configuration has the default durability, the handler `echo`, free ports, and a rate
/// limit too high to matter.
pub struct Start<'a> {
    program: &'a Path,
    folder: &'a Path,
    integration: &'a Integration,
    sinks: &'a [&'a Sink],
    /// The store's file. Default: `bridge.db` in the folder.
    pub store: PathBuf,
    /// TOML to append to the configuration, with dotted keys like `workers.concurrency = 8`.
    pub more: String,
    /// Environment variables like `BRIDGE_WORKERS__CONCURRENCY`; they take precedence over the file.
    pub env: Vec<(OsString, OsString)>,
    /// The time limit until the bridge listens. Default: 30 s.
    pub start_timeout: Duration,
}

/// A running bridge. Dropping it kills it.
#[derive(Debug)]
pub struct BridgeProcess {
    child: Child,
    public: SocketAddr,
    admin: SocketAddr,
    started_in: Duration,
}

/// Why the bridge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be written, or the program cannot be executed.
    #[error("cannot start the bridge: {0}")]
    Io(#[from] io::Error),
    /// The bridge exited.
    #[error("the bridge exited during startup; its last log line: {0}")]
    Ended(String),
    /// The bridge did not listen in time.
    #[error("the bridge did not listen within {0:?}")]
    Slow(Duration),
}

impl<'a> Start<'a> {
    /// Prepares to start `program` as a bridge with its files in `folder`, for the accounts of `sinks`.
    #[must_use]
    pub fn new(
        program: &'a Path,
        folder: &'a Path,
        integration: &'a Integration,
        sinks: &'a [&'a Sink],
    ) -> Self {
        let (more, env) = (String::new(), Vec::new());
        let store = folder.join("bridge.db");
        Self { program, folder, integration, sinks, store, more, env, start_timeout: Duration::from_secs(30) }
    }

    /// Starts the bridge and waits until it listens. Blocks the thread.
    ///
    /// # Errors
    /// The bridge does not start or does not listen in time.
    pub fn run(&self) -> Result<BridgeProcess, StartError> {
        let file = self.folder.join("bridge.toml");
        std::fs::write(&file, self.configuration())?;
        let mut command = Command::new(self.program);
        // The environment may configure another bridge on this machine.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BRIDGE_"))
        {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(["serve", "--config"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        let started = Instant::now();
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let (sender, receiver) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || watch(BufReader::new(stderr), &sender));
        }
        let mut bridge = BridgeProcess { child, public: UNKNOWN, admin: UNKNOWN, started_in: Duration::ZERO };
        match receiver.recv_timeout(self.start_timeout) {
            Ok(Ok((public, admin))) => {
                (bridge.public, bridge.admin, bridge.started_in) = (public, admin, started.elapsed());
                Ok(bridge)
            }
            Ok(Err(last)) => Err(StartError::Ended(last)),
            Err(_) => Err(StartError::Slow(self.start_timeout)),
        }
    }

    fn configuration(&self) -> String {
        let Integration { client_uuid, client_secret } = self.integration;
        let hosts: Vec<String> = self.sinks.iter().map(|sink| sink.origin().replace("http://", "")).collect();
        let mut text = format!(
            "server.listen = \"127.0.0.1:0\"\n\
             server.max_connections = 20000\n\
             admin.listen = \"127.0.0.1:0\"\n\
             store.url = {}\n\
             integrations.load = {{ client_uuid = {client_uuid:?}, client_secret = {client_secret:?} }}\n\
             handlers.echo.kind = \"echo\"\n\
             delivery.allowed_hosts = {hosts:?}\n\
             delivery.insecure = true\n\
             delivery.rate_per_account = 1000000\n\
             log.format = \"json\"\n",
            toml::Value::String(format!("sqlite:{}", self.store.display())),
        );
        for (number, sink) in self.sinks.iter().enumerate() {
            let (base_url, token) = (sink.origin(), &sink.account().access_token);
            text +=
                &format!("accounts.load{number} = {{ base_url = {base_url:?}, access_token = {token:?} }}\n");
        }
        text + &self.more
    }
}

const UNKNOWN: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));

/// Sends the bridge's addresses, or its last log line if it exits first. Keeps reading until the bridge exits, so that
/// the pipe never fills up.
fn watch(lines: impl BufRead, sender: &mpsc::Sender<Result<(SocketAddr, SocketAddr), String>>) {
    let mut last = String::new();
    for line in lines.lines().map_while(Result::ok) {
        let read: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = |key: &str| read[key].as_str().and_then(|text| text.parse().ok());
        if let Some(both) = address("server.listen").zip(address("admin.listen")) {
            // Fails if the receiver has given up.
            let _late = sender.send(Ok(both));
        }
        last = line;
    }
    let _started = sender.send(Err(last));
}

impl BridgeProcess {
    /// The public listener.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// The admin listener.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The time from the start until it listened.
    #[must_use]
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The resources used so far; `None` if the system does not report them.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.pid())
    }

    /// Kills the bridge, as in a crash, and waits for its end.
    ///
    /// # Errors
    /// The process cannot be killed.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends SIGTERM and waits until the bridge exits. Returns whether its exit code is 0.
    ///
    /// Blocks the thread. The bridge first finishes its deliveries, so its sinks must be able to respond: on a
    /// current-thread runtime, call this inside `spawn_blocking`.
    ///
    /// # Errors
    /// The signal cannot be sent, or the bridge has not exited within `timeout`; it is then killed.
    pub fn stop(mut self, timeout: Duration) -> io::Result<bool> {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < timeout {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("the bridge did not stop within {timeout:?}")))
    }
}

impl Drop for BridgeProcess {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
