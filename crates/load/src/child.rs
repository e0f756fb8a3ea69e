//! A bridge as a process of its own, so that its CPU and memory are its own.

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

/// How a bridge is started: FULL durability as always, the handler `echo`, free ports, no limit of pace.
pub struct Start<'a> {
    program: &'a Path,
    folder: &'a Path,
    integration: &'a Integration,
    sinks: &'a [&'a Sink],
    /// The store's file. Default: `bridge.db` in the folder.
    pub store: PathBuf,
    /// TOML behind the configuration, in dotted keys as in `workers.concurrency = 8`.
    pub more: String,
    /// Environment variables as in `BRIDGE_WORKERS__CONCURRENCY`; they win over the file.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take until it listens. Default: 30 s.
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

/// Why there is no bridge.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its configuration cannot be written, or it cannot be executed.
    #[error("the bridge cannot be started: {0}")]
    Io(#[from] io::Error),
    /// It ended.
    #[error("the bridge ended before it listened; it said last: {0}")]
    Ended(String),
    /// It did not listen in time.
    #[error("the bridge does not listen after {0:?}")]
    Slow(Duration),
}

impl<'a> Start<'a> {
    /// A bridge of this program with its files in this folder, for the accounts of these sinks.
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

    /// Starts it and waits until it listens. Blocks the thread.
    ///
    /// # Errors
    /// It does not listen.
    pub fn run(&self) -> Result<BridgeProcess, StartError> {
        let file = self.folder.join("bridge.toml");
        std::fs::write(&file, self.configuration())?;
        let mut command = Command::new(self.program);
        // Whatever is configured for another bridge of this machine is not for this one.
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

/// Sends where the bridge listens, or what it said last, and reads on: a reader that stops would stop the writer.
fn watch(lines: impl BufRead, sender: &mpsc::Sender<Result<(SocketAddr, SocketAddr), String>>) {
    let mut last = String::new();
    for line in lines.lines().map_while(Result::ok) {
        let read: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = |key: &str| read[key].as_str().and_then(|text| text.parse().ok());
        if let Some(both) = address("server.listen").zip(address("admin.listen")) {
            // The receiver may have given up by now.
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

    /// How long it took from its start until it listened.
    #[must_use]
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far; `None` where the system does not tell.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.pid())
    }

    /// Kills it as a crash would, and waits for its end.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Asks it to stop and waits for its end: then no continue of it can come any more. True if it ended well.
    ///
    /// Blocks the thread, and what is under way finishes only if its sink answers: on a current-thread runtime call it
    /// inside `spawn_blocking`.
    ///
    /// # Errors
    /// It cannot be asked, or has not ended within `timeout`; then it is killed.
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
        Err(io::Error::new(io::ErrorKind::TimedOut, "the bridge does not stop"))
    }
}

impl Drop for BridgeProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
