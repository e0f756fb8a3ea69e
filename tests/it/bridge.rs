//! The harness: a running bridge, in a thread and a runtime of its own, as a process would have it.
//!
//! When it is dropped it is asked to stop, must end well, and must leave no unfinished job behind: an
//! invariant that no test has to remember.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use salesbot_bridge::{Bridge, Listeners, Shutdown};
use serde_json::Value;
use simulator::{Ack, Bot};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Longer than anything here takes, on a machine with other things to do.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A bridge that runs.
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
        let (tell, told) = oneshot::channel();
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
                    tell.send((address(&listeners.public), address(&listeners.admin))).unwrap();
                    let error = bridge.run(listeners, shutdown).await.err().map(|error| error.to_string());
                    let unfinished = if error.is_none() { unfinished(&folder).await } else { Vec::new() };
                    Ended { error, unfinished }
                })
            }
        });
        let (public, admin) = told.await.unwrap();
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

    /// Some jobs are still unfinished when this bridge ends, and that is meant.
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

    /// What the widget block of this handler calls.
    pub fn url(&self, handler: &str) -> String {
        format!("{}/widget_request/{handler}", self.public)
    }

    /// The bot's request, as the bot posts it.
    pub async fn call(&self, bot: &Bot, handler: &str) -> Ack {
        bot.call(&self.url(handler)).await.unwrap()
    }

    /// The bot asks, and is answered 200; gives the job's id.
    pub async fn ask(&self, bot: &Bot, handler: &str) -> String {
        let ack = self.call(bot, handler).await;
        assert_eq!((ack.status, &ack.json()["duplicate"]), (200, &Value::Bool(false)), "{}", ack.body);
        ack.json()["job_id"].as_str().unwrap().to_owned()
    }

    pub async fn post(&self, handler: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.post(self.url(handler)).header("content-type", content_type);
        request.body(body).send().await.unwrap()
    }

    /// `GET` of the admin listener: status and JSON.
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

    /// Moves a job as an operator does: `retry` or `cancel`.
    pub async fn operator(&self, id: &str, does: &str) -> (u16, Value) {
        self.admin_post(&format!("/api/v1/jobs/{id}/{does}"), &Value::Null).await
    }

    pub async fn jobs(&self) -> Vec<Value> {
        self.get("/api/v1/jobs?limit=500").await.1["jobs"].as_array().unwrap().clone()
    }

    /// Waits until the job is in that state, and gives it.
    pub async fn in_state(&self, id: &str, state: &str) -> Value {
        self.job_with(id, |job| job["state"] == state).await
    }

    /// Waits until the job is as wanted, and gives it.
    pub async fn job_with(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let limit = Instant::now() + TEST_TIMEOUT;
        loop {
            // The round trip is the pause.
            let job = self.job(id).await;
            if wanted(&job) {
                return job;
            }
            assert!(Instant::now() < limit, "the job stays as it is: {job:#}");
        }
    }

    /// Waits until no job is unfinished.
    pub async fn settled(&self) {
        self.until("all jobs to be finished", || async {
            let (_, stats) = self.get("/api/v1/stats").await;
            ["queued", "running", "delivering"].iter().all(|state| stats["jobs"][state] == 0)
        })
        .await;
    }

    /// Waits until `/health/ready` says that this account waits for an operator, and returns what it says.
    pub async fn waiting(&self, host: &str) -> String {
        let limit = Instant::now() + TEST_TIMEOUT;
        loop {
            let (_, ready) = self.ready().await;
            let entry =
                ready["waiting"].as_array().and_then(|all| all.iter().find(|one| one["account"] == host));
            if let Some(entry) = entry {
                return entry["why"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < limit, "nobody waits: {ready}");
        }
    }

    /// Asks again and again, with a round trip to the bridge in between, until it is so.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let limit = Instant::now() + TEST_TIMEOUT;
        while !is_so().await {
            assert!(Instant::now() < limit, "waited in vain for {what}");
            self.get("/health/live").await;
        }
    }

    /// Asks it to stop, and does not wait for it.
    pub fn ask_to_stop(&self) {
        self.shutdown.ask();
    }

    /// Asks it to stop at once, and does not wait for it.
    pub fn force_stop(&self) {
        self.shutdown.force();
    }

    /// Stops it and gives its folder, for the next one.
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
            // The test has failed already: no second panic, and no waiting for handlers that it holds.
            self.shutdown.force();
            let _ended = thread.join();
        } else {
            self.shutdown.ask();
            self.check_end(&thread.join().unwrap());
        }
    }
}

/// A client of its own for each test. It follows nothing, knows no proxy, and repeats nothing.
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

/// The jobs that are not finished, read past the bridge: `STATE of HANDLER, ATTEMPTS attempts`.
async fn unfinished(folder: &TempDir) -> Vec<String> {
    let file = SqliteConnectOptions::new().filename(folder.path().join("bridge.db")).read_only(true);
    let mut connection = file.connect().await.unwrap();
    let rows = sqlx::query("SELECT state, handler, handler_attempts FROM jobs WHERE finished_at IS NULL")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let told = |row: &sqlx::sqlite::SqliteRow| {
        let (state, handler, attempts): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
        format!("{state} of {handler}, {attempts} attempts")
    };
    rows.iter().map(told).collect()
}
