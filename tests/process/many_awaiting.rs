//! Tests that jobs which wait for their callbacks cost the bridge little memory, however many they are.

use std::env;
use std::fs;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use simulator::{Bot, Options, Plan, Simulator};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::Serve;

/// The number of jobs, unless the variable `AWAITING_JOBS` has another one, as in `.ci/soak`.
const DEFAULT_JOBS: usize = 1_000;
/// Jobs before the memory without jobs is measured.
const WARM_UP_JOBS: usize = 500;
/// How much more memory the bridge may take than without jobs, in KiB.
const MAX_GROWTH_KIB: u64 = 20 << 10;
/// Calls at the same time: of bots, and of callbacks.
const AT_ONCE: usize = 64;

/// For each request, the bot's number and the path of the callback's URL.
type Callbacks = Arc<Mutex<Vec<(usize, String)>>>;

/// A service that answers every request with 202, and leaves the callbacks to the test.
struct Service {
    url: String,
    callbacks: Callbacks,
    _server: AbortOnDropHandle<()>,
}

impl Service {
    async fn start() -> Self {
        let callbacks = Callbacks::default();
        let router = Router::new().route("/", post(accept)).with_state(callbacks.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, callbacks, _server: AbortOnDropHandle::new(server) }
    }
}

async fn accept(State(callbacks): State<Callbacks>, Json(event): Json<Value>) -> StatusCode {
    let data = &event["data"];
    let url = data["callback"]["url"].as_str().unwrap();
    let path = url[url.find("/callback/").unwrap()..].to_owned();
    callbacks.lock().unwrap().push((data["input"]["n"].as_str().unwrap().parse().unwrap(), path));
    StatusCode::ACCEPTED
}

/// The resident memory of the bridge, in KiB.
fn memory(serve: &Serve) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", serve.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Ends the job of bot `number`: even ones get a completion, and odd ones the fallback.
async fn call_back(serve: &Serve, number: usize, path: &str) {
    let body = match number.is_multiple_of(2) {
        true => json!({ "data": { "n": number.to_string() } }),
        false => json!({ "error": { "message": "no answer" } }),
    };
    let answer =
        serve.client.post(format!("http://{}{path}", serve.public)).json(&body).send().await.unwrap();
    let status = answer.status().as_u16();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((status, &answer["accepted"]), (200, &json!(true)), "{answer}");
}

/// Kommo, the service, and a bridge with the handler `later`.
struct Setup {
    simulator: Simulator,
    service: Service,
    home: Home,
}

impl Setup {
    async fn new(jobs: usize) -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let service = Service::start().await;
        let (url, secret) = (&service.url, format!("whsec_{}=", "A".repeat(43)));
        let more = format!(
            r#"server.callback_url = "http://127.0.0.1:9"
            [handlers.later]
            kind = "http"
            url = "{url}"
            secret = "{secret}"
            answer_within = "30m"
            max_awaiting = {jobs}"#
        );
        let home = Home::new(&simulator, &more);
        let config = fs::read_to_string(home.config()).unwrap();
        fs::write(home.config(), config.replace("rate_per_account = 500", "rate_per_account = 5000"))
            .unwrap();
        Self { simulator, service, home }
    }

    /// Lets this many bots call, and waits until their jobs await callbacks.
    async fn ask(&self, serve: &Serve, bots: usize) -> Vec<Bot> {
        let bot = |number: usize| self.simulator.bot(Plan::with_data(json!({ "n": number.to_string() })));
        let bots: Vec<Bot> = (0..bots).map(bot).collect();
        let url = serve.url("later");
        let calls = stream::iter(&bots).map(|bot| bot.call(&url)).buffer_unordered(AT_ONCE);
        calls.for_each(async |answer| assert_eq!(answer.unwrap().status, 200)).await;
        serve.reaches("awaiting_callback", bots.len() as u64).await;
        bots
    }

    /// Calls back for all `bots`, and waits until each has got its completion or its fallback.
    async fn answer(&self, serve: &Serve, bots: &[Bot]) {
        let callbacks = std::mem::take(&mut *self.service.callbacks.lock().unwrap());
        assert_eq!(callbacks.len(), bots.len(), "one call for each job");
        let calls = stream::iter(&callbacks).map(|(number, path)| call_back(serve, *number, path));
        calls.buffer_unordered(AT_ONCE).collect::<()>().await;
        serve.settled().await;
        for (number, bot) in bots.iter().enumerate() {
            let expected = match number.is_multiple_of(2) {
                true => json!({ "n": number.to_string() }),
                false => json!({ "status": "fail" }),
            };
            let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
            assert_eq!(continued.map(|with| with.data), Ok(expected), "bot {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_that_await_callbacks_cost_little_memory_and_all_end() {
    let given = env::var_os("AWAITING_JOBS").and_then(|jobs| jobs.into_string().ok()?.parse().ok());
    let jobs: usize = given.unwrap_or(DEFAULT_JOBS);
    let setup = Setup::new(jobs).await;
    let serve = setup.home.serve();
    let fresh = memory(&serve);
    // Connections, threads and the cache of the store take memory as well, but only once.
    let bots = setup.ask(&serve, WARM_UP_JOBS).await;
    setup.answer(&serve, &bots).await;
    let warm = memory(&serve);

    let bots = setup.ask(&serve, jobs).await;
    let with_jobs = memory(&serve);
    serve.process.kill();
    let serve = setup.home.serve();
    assert_eq!(serve.count("awaiting_callback").await, jobs as u64);
    let restarted = memory(&serve);
    println!(
        "KiB of memory: fresh {fresh}, warm {warm}, with {jobs} jobs that await callbacks {with_jobs}; after a restart \
         with these jobs {restarted}"
    );
    setup.answer(&serve, &bots).await;
    serve.stop();
    for (when, memory, without_jobs) in [("warm", with_jobs, warm), ("restarted", restarted, fresh)] {
        let growth = memory.saturating_sub(without_jobs);
        assert!(growth < MAX_GROWTH_KIB, "{when}, the bridge takes {growth} KiB more than without jobs");
    }
}
