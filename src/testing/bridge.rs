//! A bridge that runs for a test.

use std::future::Future;
use std::time::{Duration, Instant};

use model::{StateName, error_chain};
use reqwest::Client;
use serde_json::Value;
use simulator::{Ack, Bot, Continue, Plan};

use crate::bridge::Bridge;

use super::running::Running;
use super::wait::continued_within;
use super::{TEST_TIMEOUT, TestAnswer, TestBridgeBuilder, TestFolder, TestKommo};

/// A real bridge on free ports, with a store in a temporary folder and a simulated Kommo.
///
/// When it [stops](Self::stop) or is dropped, it must end well and leave no unfinished job behind; otherwise the test fails. A
/// test that has failed already does not wait for its jobs. A bridge that stops lets its handlers finish within
/// `workers.grace` (10 s here), but begins no other job: if a test [asks](Self::ask), it has to wait for the job. Dropping
/// blocks the thread, and with it tasks of the test that a handler may wait for; [`stop`](Self::stop) does not.
///
/// ```
/// use std::time::Duration;
/// use salesbot_bridge::prelude::*;
/// use salesbot_bridge::testing::{AssertAnswer, TestBridge, manual_clock};
///
/// /// Succeeds at the second attempt, a minute later.
/// struct Patient;
///
/// impl Handler for Patient {
///     type Input = Value;
///
///     async fn handle(&self, _: Request<Value>, context: Context) -> Result<Completion, HandlerError> {
///         match context.attempt() {
///             1 => Err(HandlerError::retry_after(Duration::from_secs(60), "busy")),
///             attempt => Ok(Completion::success().data("attempt", attempt)),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = manual_clock();
/// let bridge = TestBridge::builder()
///     .handlers(|bridge| bridge.handler("patient", Patient))
///     .config(r#"handlers.patient.answer_within = "5m""#)
///     .clock(clock.clock())
///     .start()
///     .await;
///
/// let bot = bridge.kommo().bot(json!({}).into());
/// let job = bridge.ask(&bot, "patient").await;
/// bridge.job_with(&job, |job| job["handler_attempts"] == 1).await;
/// clock.advance(Duration::from_secs(60));
/// bridge.continued(&bot).await.assert_data("attempt", 2);
/// # }
/// ```
pub struct TestBridge {
    http: Client,
    pub(super) running: Running,
    kommo: Option<TestKommo>,
    folder: TestFolder,
    timeout: Duration,
    may_leave_jobs: bool,
}

impl TestBridge {
    /// Starts a bridge with these handlers: `|bridge| bridge.handler("greet", Greeter)`.
    ///
    /// # Panics
    /// If it does not start; the message is the one that an operator would read.
    pub async fn start(register: impl FnOnce(Bridge) -> Bridge + Send + 'static) -> Self {
        Self::builder().handlers(register).start().await
    }

    /// A bridge that does not run yet, for a test that sets more than handlers.
    pub fn builder() -> TestBridgeBuilder {
        TestBridgeBuilder::new()
    }

    pub(super) async fn run(
        bridge: Bridge,
        kommo: Option<TestKommo>,
        folder: TestFolder,
        timeout: Duration,
        may_leave_jobs: bool,
    ) -> Self {
        let stop_limit = bridge.config().workers.grace.saturating_add(TEST_TIMEOUT);
        let running = Running::start(bridge, stop_limit).await;
        let mut started = Self { http: client(), running, kommo, folder, timeout, may_leave_jobs };
        // A test that shortens the timeout does not mean the start, which takes longer on a busy machine.
        let timeout = timeout.max(TEST_TIMEOUT);
        let limit = Instant::now() + timeout;
        while !started.is_ready().await {
            if started.running.has_ended() {
                panic!("the bridge cannot start: {}", started.running.join_error());
            }
            assert!(Instant::now() < limit, "the bridge is not ready within {timeout:?}");
        }
        started
    }

    async fn is_ready(&self) -> bool {
        let asked = self.http.get(self.admin_url("/health/ready")).send().await;
        asked.is_ok_and(|response| response.status() == 200)
    }

    /// The simulated Kommo of this bridge.
    ///
    /// # Panics
    /// If the test gave the bridge accounts of its own.
    #[track_caller]
    pub fn kommo(&self) -> &TestKommo {
        self.kommo
            .as_ref()
            .expect("a bridge with accounts of the test's own starts no Kommo: use the test's accounts")
    }

    /// A bot of this bridge's Kommo asks `handler` and is continued. `plan` is the data that it sends, as JSON, or a [`Plan`],
    /// which can say more of the bot, as in `Plan::with_data(json!({})).lead(5)`. Without that, the bot talks about a lead whose
    /// id the simulator chooses. The bot sends a form, as Kommo's bots do: each value arrives as a string. [`Plan::body`]
    /// changes that.
    ///
    /// If the bridge has a [`ManualClock`](crate::ManualClock), no retry begins while this waits: use [`ask`](Self::ask),
    /// [`job_with`](Self::job_with) and [`continued`](Self::continued), as in the example above.
    ///
    /// # Panics
    /// If the request is refused, or the bot is not continued or its job is not finished in
    /// [time](TestBridgeBuilder::timeout); the message has the job.
    pub async fn answer_to(&self, handler: &str, plan: impl Into<Plan>) -> TestAnswer {
        let bot = self.kommo().bot(plan.into());
        let id = self.ask(&bot, handler).await;
        let with = self.continued(&bot).await;
        // Kommo has the continue before the bridge stores that it was delivered.
        let job = self.job_with(&id, |job| !job["finished_at"].is_null()).await;
        TestAnswer::new(with, job)
    }

    /// The bot posts its request to `handler`. Returns the answer of the bridge, whatever it is.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(&self, bot: &Bot, handler: &str) -> Ack {
        match bot.call(&self.url(handler)).await {
            Ok(ack) => ack,
            Err(error) => panic!("bot {} has no answer from the bridge: {error}", bot.id()),
        }
    }

    /// The bot posts its request to `handler`, and the bridge accepts it. Returns the id of the new job.
    ///
    /// # Panics
    /// If the bridge refuses the request, or knows it already.
    pub async fn ask(&self, bot: &Bot, handler: &str) -> String {
        let ack = self.call(bot, handler).await;
        let answer = ack.json();
        match (ack.status, &answer["duplicate"], answer["job_id"].as_str()) {
            (200, Value::Bool(false), Some(id)) => id.to_owned(),
            _ => panic!("the bridge has not accepted a new job for `{handler}`: {} {}", ack.status, ack.body),
        }
    }

    /// Waits until the bot was continued as often as it has asked. Returns the last continue.
    ///
    /// # Panics
    /// If that takes longer than the [timeout](TestBridgeBuilder::timeout); the message has what happened to the bot, and the
    /// unfinished jobs.
    pub async fn continued(&self, bot: &Bot) -> Continue {
        match continued_within(bot, self.timeout).await {
            Ok(with) => with,
            Err(late) => {
                let (_, mut page) = self.get("/api/v1/jobs?limit=500").await;
                if let Some(jobs) = page["jobs"].as_array_mut() {
                    jobs.retain(|job| job["finished_at"].is_null());
                }
                panic!("{late}\nunfinished jobs: {:#}", page["jobs"]);
            }
        }
    }

    /// The address that a widget block of this handler calls.
    pub fn url(&self, handler: &str) -> String {
        format!("http://{}/widget_request/{handler}", self.running.public)
    }

    /// The address of `path` at the admin listener, which has the API, and the metrics of all bridges of this process.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.admin)
    }

    /// Reads `path` from the admin listener: the status, and the JSON of the body.
    ///
    /// # Panics
    /// If there is no answer, as after the bridge has stopped, or it is not JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let read = async {
            let response = self.http.get(self.admin_url(path)).send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.text().await?))
        };
        let (status, body) = read.await.unwrap_or_else(|error| {
            let state = if self.running.has_ended() { "has stopped" } else { "does not answer" };
            panic!("GET {path} has no answer, because the bridge {state}: {}", error_chain(&error))
        });
        let json = serde_json::from_str(&body);
        (
            status,
            json.unwrap_or_else(|error| panic!("the answer to GET {path} is not JSON ({error}): {body}")),
        )
    }

    /// The job as the API shows it, with its attempts.
    ///
    /// # Panics
    /// If there is no job with that id.
    pub async fn job(&self, id: &str) -> Value {
        self.found(&format!("/api/v1/jobs/{id}")).await
    }

    /// The JSON at `path` of the admin listener, which the bridge has to find.
    async fn found(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert!(status == 200, "GET {path} was answered {status}: {body}");
        body
    }

    /// The last 500 jobs as the API lists them, newest first.
    ///
    /// # Panics
    /// If the API refuses to list them.
    pub async fn jobs(&self) -> Vec<Value> {
        match self.found("/api/v1/jobs?limit=500").await["jobs"].take() {
            Value::Array(jobs) => jobs,
            _ => Vec::new(),
        }
    }

    /// Waits until the job is in this state, as in `delivered`. Returns the job.
    ///
    /// # Panics
    /// If that takes longer than the [timeout](TestBridgeBuilder::timeout); the message has the job.
    pub async fn in_state(&self, id: &str, state: &str) -> Value {
        self.job_with(id, |job| job["state"] == state).await
    }

    /// Waits until the job is as `is_wanted` says. Returns the job.
    ///
    /// # Panics
    /// If that takes longer than the [timeout](TestBridgeBuilder::timeout); the message has the job.
    pub async fn job_with(&self, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let limit = Instant::now() + self.timeout;
        loop {
            // The round trip is the pause.
            let job = self.job(id).await;
            if is_wanted(&job) {
                return job;
            }
            assert!(Instant::now() < limit, "after {:?} the job is not as expected: {job:#}", self.timeout);
        }
    }

    /// Waits until no job is unfinished.
    ///
    /// # Panics
    /// If that takes longer than the [timeout](TestBridgeBuilder::timeout).
    pub async fn settled(&self) {
        // Counts of one moment, however many jobs there are.
        let is_settled = || async {
            let stats = self.found("/api/v1/stats").await;
            StateName::ALL.iter().all(|state| state.is_finished() || stats["jobs"][state.as_str()] == 0)
        };
        self.until("all jobs to be finished", is_settled).await;
    }

    /// Polls `is_so`, with a round trip to the bridge in between, until it returns true. `what` names the event in the message
    /// if that takes too long: `until("the backend to be called", …)`.
    ///
    /// # Panics
    /// If that takes longer than the [timeout](TestBridgeBuilder::timeout).
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let limit = Instant::now() + self.timeout;
        while !is_so().await {
            assert!(Instant::now() < limit, "waited {:?} for {what}", self.timeout);
            self.get("/health/live").await;
        }
    }

    /// Accepts from now on that jobs are unfinished when the bridge stops.
    #[must_use]
    pub fn allow_unfinished_jobs(mut self) -> Self {
        self.may_leave_jobs = true;
        self
    }

    /// The folder, with the store.
    pub fn folder(&self) -> &TestFolder {
        &self.folder
    }

    /// Asks the bridge to stop, as SIGTERM does, and does not wait for it.
    pub fn ask_to_stop(&self) {
        self.running.shutdown.ask();
    }

    /// Asks the bridge to stop at once, as a second SIGTERM does, and does not wait for it.
    pub fn force_stop(&self) {
        self.running.shutdown.force();
    }

    /// Stops the bridge and waits for its end. Returns its folder, for a bridge that goes on with the store.
    ///
    /// # Panics
    /// If the bridge failed, or a job is unfinished and the test does not allow that; the message lists the jobs.
    pub async fn stop(mut self) -> TestFolder {
        self.ask_to_stop();
        let mut running = self.running.take();
        let ended = tokio::task::spawn_blocking(move || running.join()).await;
        ended.ok().flatten().expect("the bridge panicked").check(self.may_leave_jobs);
        self.folder.clone()
    }
}

impl Drop for TestBridge {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed: no second panic, and no waiting for handlers that it holds.
            self.force_stop();
            self.running.join();
        } else if !self.running.has_been_joined() {
            self.ask_to_stop();
            self.running.join().expect("the bridge panicked").check(self.may_leave_jobs);
        }
    }
}

/// The client of one test: it follows no redirect, uses no proxy and repeats nothing.
fn client() -> Client {
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    builder
        .retry(reqwest::retry::never())
        .tls_certs_only([])
        .timeout(TEST_TIMEOUT)
        .build()
        .expect("an HTTP client")
}
