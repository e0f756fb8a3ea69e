//! The harness: a running bridge in its own thread and runtime, as in its own process.
//!
//! Dropping it stops the bridge and checks that it ended without an error and left no unfinished job, so no test has to
//! check that.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use salesbot_bridge::simulator::{Ack, Bot};
use salesbot_bridge::{Bridge, Listeners, Shutdown};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Longer than anything here takes, even on a busy machine.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A running bridge.
pub struct TestBridge {
    pub client: Client,
    public: String,
    admin: String,
    shutdown: Shutdown,
    folder: Arc<TempDir>,
    thread: Option<JoinHandle<Ended>>,
    may_leave_jobs: bool,
}

struct Ended {
    error: Option<String>,
    unfinished: Vec<String>,
}

impl TestBridge {
    pub async fn start(bridge: Bridge, folder: Arc<TempDir>) -> Self {
        let shutdown = Shutdown::manual();
        let (send_addresses, addresses) = oneshot::channel();
        let thread = std::thread::spawn({
            let (shutdown, folder) = (shutdown.clone(), folder.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let listeners = Listeners::bind(bridge.config()).await.unwrap();
                    let address = |listener: &tokio::net::TcpListener| listener.local_addr().unwrap();
                    send_addresses.send((address(&listeners.public), address(&listeners.admin))).unwrap();
                    let error = bridge.run(listeners, shutdown).await.err().map(|error| error.to_string());
                    let unfinished = if error.is_none() { unfinished(&folder).await } else { Vec::new() };
                    Ended { error, unfinished }
                })
            }
        });
        let (public, admin) = addresses.await.unwrap();
        let started = Self {
            client: client(),
            public: format!("http://{public}"),
            admin: format!("http://{admin}"),
            shutdown,
            folder,
            thread: Some(thread),
            may_leave_jobs: false,
        };
        started.until("the bridge to be ready", || async { started.ready().await.0 == 200 }).await;
        started
    }

    /// Allows unfinished jobs at the end of this bridge.
    pub fn leaves_jobs(mut self) -> Self {
        self.may_leave_jobs = true;
        self
    }

    /// `127.0.0.1:PORT` of the public listener.
    pub fn address(&self) -> &str {
        self.public.strip_prefix("http://").unwrap()
    }

    pub fn folder(&self) -> &Arc<TempDir> {
        &self.folder
    }

    /// The address that a widget block of this handler calls.
    pub fn url(&self, handler: &str) -> String {
        format!("{}/widget_request/{handler}", self.public)
    }

    /// Sends the bot's request.
    pub async fn call(&self, bot: &Bot, handler: &str) -> Ack {
        bot.call(&self.url(handler)).await.unwrap()
    }

    /// Sends the bot's request, and checks that the answer is 200. Returns the job's id.
    pub async fn ask(&self, bot: &Bot, handler: &str) -> String {
        let ack = self.call(bot, handler).await;
        assert_eq!((ack.status, &ack.json()["duplicate"]), (200, &Value::Bool(false)), "{}", ack.body);
        ack.json()["job_id"].as_str().unwrap().to_owned()
    }

    pub async fn post(&self, handler: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.post(self.url(handler)).header("content-type", content_type);
        request.body(body).send().await.unwrap()
    }

    /// `GET` from the admin listener: status and JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        json(self.client.get(format!("{}{path}", self.admin)).send().await.unwrap()).await
    }

    /// `POST` to the admin listener: status and JSON.
    pub async fn admin_post(&self, path: &str, body: &Value) -> (u16, Value) {
        json(self.client.post(format!("{}{path}", self.admin)).json(body).send().await.unwrap()).await
    }

    pub async fn ready(&self) -> (u16, Value) {
        self.get("/health/ready").await
    }

    pub async fn job(&self, id: &str) -> Value {
        let (status, job) = self.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(status, 200, "{job}");
        job
    }

    /// Changes a job as an operator does: `retry` or `cancel`.
    pub async fn operator(&self, id: &str, does: &str) -> (u16, Value) {
        self.admin_post(&format!("/api/v1/jobs/{id}/{does}"), &Value::Null).await
    }

    pub async fn jobs(&self) -> Vec<Value> {
        self.get("/api/v1/jobs?limit=500").await.1["jobs"].as_array().unwrap().clone()
    }

    /// Waits until the job is in `state`, and returns it.
    pub async fn in_state(&self, id: &str, state: &str) -> Value {
        self.job_with(id, |job| job["state"] == state).await
    }

    /// Waits until the job is as `wanted`, and returns it.
    pub async fn job_with(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let limit = Instant::now() + TEST_TIMEOUT;
        loop {
            // The round trip is the pause.
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(Instant::now() < limit, "the job does not change: {job:#}");
        }
    }

    /// Waits until every job is finished.
    pub async fn settled(&self) {
        self.until("all jobs to be finished", || async {
            let (_, stats) = self.get("/api/v1/stats").await;
            ["queued", "running", "delivering"].iter().all(|state| stats["jobs"][state] == 0)
        })
        .await;
    }

    /// Waits until `/health/ready` says that this account waits for an operator. Returns the reason.
    pub async fn waiting(&self, host: &str) -> String {
        let limit = Instant::now() + TEST_TIMEOUT;
        loop {
            let (_, ready) = self.ready().await;
            let entry =
                ready["waiting"].as_array().and_then(|all| all.iter().find(|one| one["account"] == host));
            if let Some(entry) = entry {
                return entry["why"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < limit, "the account does not wait: {ready}");
        }
    }

    /// Repeats `is_so` until it holds, with a round trip to the bridge in between.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let limit = Instant::now() + TEST_TIMEOUT;
        while !is_so().await {
            assert!(Instant::now() < limit, "timeout while waiting for {what}");
            self.get("/health/live").await;
        }
    }

    /// Asks the bridge to stop, without waiting for its end.
    pub fn ask_to_stop(&self) {
        self.shutdown.ask();
    }

    /// Forces the bridge to stop, without waiting for its end.
    pub fn force_stop(&self) {
        self.shutdown.force();
    }

    /// Stops the bridge. Returns its folder, for the next one.
    pub async fn stop(mut self) -> Arc<TempDir> {
        self.shutdown.ask();
        let thread = self.thread.take().unwrap();
        let ended = tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
        self.check_end(&ended);
        self.folder.clone()
    }

    fn check_end(&self, ended: &Ended) {
        assert_eq!(ended.error, None, "the bridge ended badly");
        if !self.may_leave_jobs {
            assert!(ended.unfinished.is_empty(), "unfinished jobs are left: {:?}", ended.unfinished);
        }
    }
}

impl Drop for TestBridge {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if std::thread::panicking() {
            // The test has already failed: do not panic again, and do not wait for handlers that it holds.
            self.shutdown.force();
            let _ended = thread.join();
        } else {
            self.shutdown.ask();
            self.check_end(&thread.join().unwrap());
        }
    }
}

/// A client without redirects, proxies and retries.
pub fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tls_certs_only([])
        .timeout(TEST_TIMEOUT)
        .build()
        .unwrap()
}

async fn json(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

/// The unfinished jobs, read directly from the store: `STATE of HANDLER, ATTEMPTS attempts`.
async fn unfinished(folder: &TempDir) -> Vec<String> {
    let file = SqliteConnectOptions::new().filename(folder.path().join("bridge.db")).read_only(true);
    let mut connection = file.connect().await.unwrap();
    let rows = sqlx::query("SELECT state, handler, handler_attempts FROM jobs WHERE finished_at IS NULL")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let line = |row: &sqlx::sqlite::SqliteRow| {
        let (state, handler, attempts): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
        format!("{state} of {handler}, {attempts} attempts")
    };
    rows.iter().map(line).collect()
}
