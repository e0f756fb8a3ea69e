//! A running bridge.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use reqwest::Client;
use serde_json::Value;

use crate::TEST_TIMEOUT;
use crate::process::{Ended, Process};
use crate::rig::life::UNFINISHED;

/// A bridge that has logged that it is ready. Dropping it kills it.
pub struct Serve {
    pub process: Process,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub client: Client,
}

impl Serve {
    /// Starts `command` and waits until it is ready.
    pub fn start(command: Command) -> Self {
        Self::of(Process::start(command))
    }

    /// Waits until `process` is ready.
    pub fn of(process: Process) -> Self {
        let (public, admin) = process.err.wait("ready", ready);
        let client = Client::builder().no_proxy().build().unwrap();
        Self { process, public, admin, client }
    }

    /// The URL at which bots call `handler`.
    pub fn url(&self, handler: &str) -> String {
        format!("http://{}/widget_request/{handler}", self.public)
    }

    /// Sends a GET to the admin listener. Returns the status and the JSON body.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The number of jobs in `state`.
    pub async fn count(&self, state: &str) -> u64 {
        let (status, stats) = self.get("/api/v1/stats").await;
        assert_eq!(status, 200, "{stats}");
        stats["jobs"][state].as_u64().unwrap_or_else(|| panic!("no {state} in {stats}"))
    }

    /// Polls until at least `least` jobs are in `state`.
    pub async fn reaches(&self, state: &str, least: u64) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while self.count(state).await < least {
            assert!(Instant::now() < deadline, "never {least} jobs {state}");
        }
    }

    /// Polls until every job is finished.
    pub async fn settled(&self) {
        self.delivers(u64::MAX).await;
    }

    /// Polls until at least `least` jobs are delivered, or every job is finished.
    pub async fn delivers(&self, least: u64) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let (_, stats) = self.get("/api/v1/stats").await;
            let jobs = &stats["jobs"];
            let finished = UNFINISHED.iter().all(|state| jobs[*state] == 0);
            if finished || jobs["delivered"].as_u64().is_some_and(|delivered| delivered >= least) {
                return;
            }
            assert!(Instant::now() < deadline, "still unfinished: {stats}");
        }
    }

    /// Polls `/health/ready` until it returns `status`. Returns the body.
    pub async fn becomes(&self, status: u16) -> Value {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let (got, body) = self.get("/health/ready").await;
            if got == status {
                return body;
            }
            assert!(Instant::now() < deadline, "never {status}, but {got}: {body}");
        }
    }

    /// Sends SIGTERM, and asserts that the bridge exits with 0.
    pub fn stop(mut self) -> Ended {
        self.process.signal("TERM");
        self.process.end().expect(0)
    }
}

/// Parses the log line that contains the listeners' addresses; `None` for any other line.
pub fn ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return ready_as_text(line) };
    let address = |key: &str| event[key].as_str()?.parse().ok();
    (event["message"] == "ready").then_some(())?;
    Some((address("server.listen")?, address("admin.listen")?))
}

/// Parses the same line in the log format `text`.
fn ready_as_text(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (_, fields) = line.split_once(": ready ")?;
    let value = |key: &str| fields.split(' ').find_map(|field| field.strip_prefix(key));
    Some((value("server.listen=")?.parse().ok()?, value("admin.listen=")?.parse().ok()?))
}
