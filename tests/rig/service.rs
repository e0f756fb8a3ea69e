//! The handler over HTTP: a service that outlives the kills of the bridge, as a real one does. It answers as each bot's
//! data says, and repeats a callback until the bridge has answered it, whichever life of the bridge that is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::TEST_TIMEOUT;

use super::plan::{CALLBACK_DELAY, HttpAnswer};
use super::report::Callbacks;

/// The pause before a callback is repeated.
const REPEAT_DELAY: Duration = Duration::from_millis(5);
/// How long a callback waits for its answer.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The service. Dropping it stops it.
pub struct Service {
    address: SocketAddr,
    bridge: watch::Sender<Option<SocketAddr>>,
    shared: Arc<Shared>,
    _server: AbortOnDropHandle<()>,
}

/// What the service has heard from the bridge.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub callbacks: Callbacks,
    /// Bots whose completion was answered with 200.
    pub completed: BTreeSet<usize>,
    /// Bots whose completion was answered with 410.
    pub too_late: BTreeSet<usize>,
    /// Requests and answers that no bridge should send.
    pub wrong: Vec<String>,
}

struct Shared {
    bridge: watch::Receiver<Option<SocketAddr>>,
    client: reqwest::Client,
    /// Callbacks that are not answered yet.
    calling: TaskTracker,
    heard: Mutex<Heard>,
}

/// One request of the bridge.
struct Asked {
    bot: usize,
    ms: u64,
    fails: u64,
    answer: HttpAnswer,
    attempt: u64,
    /// The path of the callback's URL. Each life of the bridge listens at another port.
    callback: String,
    input: Value,
}

impl Service {
    pub async fn start() -> Self {
        let (bridge, seen) = watch::channel(None);
        let client = reqwest::Client::builder().no_proxy().timeout(CALLBACK_TIMEOUT).build().unwrap();
        let (calling, heard) = (TaskTracker::new(), Mutex::default());
        let shared = Arc::new(Shared { bridge: seen, client, calling, heard });
        let router = Router::new().route("/", post(answer)).with_state(shared.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, bridge, shared, _server: AbortOnDropHandle::new(server) }
    }

    /// The TOML of the handler `url`. The service uses only the path of a callback's URL.
    pub fn config(&self) -> String {
        let secret = format!("whsec_{}=", "A".repeat(43));
        format!(
            r#"server.callback_url = "http://127.0.0.1:9"
            handlers.url = {{ kind = "http", url = "http://{}/", secret = "{secret}", concurrency = 24, answer_within = "10m", max_attempts = 10 }}
            "#,
            self.address
        )
    }

    /// Sets where the bridge listens now; `None` between two lives. Callbacks wait until there is one.
    pub fn bridge_is_at(&self, address: Option<SocketAddr>) {
        self.bridge.send_replace(address);
    }

    /// Waits until the bridge has answered every callback. Returns what is wrong if it does not.
    pub async fn answered(&self) -> Option<String> {
        self.shared.calling.close();
        let all = tokio::time::timeout(TEST_TIMEOUT, self.shared.calling.wait()).await;
        all.err().map(|_| format!("{} callbacks are never answered", self.shared.calling.len()))
    }

    pub fn heard(&self) -> Heard {
        self.shared.heard().clone()
    }
}

/// Answers a request. The connection of a killed bridge ends this function, but no callback.
async fn answer(State(shared): State<Arc<Shared>>, Json(event): Json<Value>) -> Response {
    let Some(asked) = Asked::parse(&event) else {
        shared.heard().wrong.push(format!("the service got the request {event}"));
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (completion, delay) = (json!({ "data": asked.input }), Duration::from_millis(asked.ms));
    let is_failure = asked.attempt <= asked.fails;
    if let Some(wrong) = asked.is_once_too_often() {
        shared.heard().wrong.push(wrong);
    }
    match asked.answer {
        HttpAnswer::FailingFirst if is_failure => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        HttpAnswer::AtOnce | HttpAnswer::FailingFirst => Json(completion).into_response(),
        HttpAnswer::Slow => {
            tokio::time::sleep(delay).await;
            Json(completion).into_response()
        }
        HttpAnswer::ErrorFirst if is_failure => {
            shared.calling.spawn(shared.clone().call_back_with_error(asked, delay));
            StatusCode::ACCEPTED.into_response()
        }
        HttpAnswer::Later | HttpAnswer::ErrorFirst => {
            shared.calling.spawn(shared.clone().call_back(asked, completion, delay * CALLBACK_DELAY));
            StatusCode::ACCEPTED.into_response()
        }
        HttpAnswer::Overtaking => {
            let called = shared.calling.spawn(shared.clone().call_back(asked, completion, Duration::ZERO));
            called.await.unwrap();
            StatusCode::ACCEPTED.into_response()
        }
    }
}

impl Shared {
    async fn call_back(self: Arc<Self>, asked: Asked, completion: Value, delay: Duration) {
        tokio::time::sleep(delay).await;
        let (status, body) = self.send(&asked.callback, &completion).await;
        let mut heard = self.heard();
        match (status, body["accepted"].as_bool()) {
            (200, Some(is_accepted)) => {
                heard.completed.insert(asked.bot);
                heard.callbacks.accepted += usize::from(is_accepted);
                heard.callbacks.repeated += usize::from(!is_accepted);
            }
            (410, _) => {
                heard.too_late.insert(asked.bot);
                heard.callbacks.too_late += 1;
            }
            _ => heard.wrong.push(format!("bot {}: its callback got {status} {body}", asked.bot)),
        }
    }

    async fn call_back_with_error(self: Arc<Self>, asked: Asked, delay: Duration) {
        tokio::time::sleep(delay).await;
        let error = json!({ "error": { "message": "not yet", "retry": true, "attempt": asked.attempt } });
        let (status, body) = self.send(&asked.callback, &error).await;
        let mut heard = self.heard();
        match (status, body["accepted"].as_bool()) {
            (200, Some(true)) => heard.callbacks.errors += 1,
            (200, Some(false)) => heard.callbacks.old_errors += 1,
            _ => heard.wrong.push(format!("bot {}: its error got {status} {body}", asked.bot)),
        }
    }

    /// Sends a callback until there is an answer other than 503. Returns it.
    async fn send(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut bridge = self.bridge.clone();
        loop {
            let Ok(Some(address)) = bridge.wait_for(Option::is_some).await.map(|address| *address) else {
                // The service was dropped, because a test has failed.
                return std::future::pending().await;
            };
            let url = format!("http://{address}{path}");
            let answer = self.client.post(url).json(body).send().await;
            // Another process may have got the port of a bridge that was killed, and know no such job.
            let is_stranger =
                |status| status == StatusCode::NOT_FOUND && *self.bridge.borrow() != Some(address);
            if let Ok(answer) = answer
                && answer.status() != StatusCode::SERVICE_UNAVAILABLE
                && !is_stranger(answer.status())
            {
                let status = answer.status().as_u16();
                // A kill may cut off the body.
                if let Ok(body) = answer.json().await {
                    return (status, body);
                }
            }
            self.heard().callbacks.unanswered += 1;
            tokio::time::sleep(REPEAT_DELAY).await;
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// What is wrong if this attempt follows one that did not fail. An attempt that a kill cut off is repeated with the
    /// same number, but one that the service accepted is over.
    fn is_once_too_often(&self) -> Option<String> {
        let last = if self.answer.has_failures() { self.fails + 1 } else { 1 };
        let Self { bot, attempt, answer, .. } = self;
        (*attempt > last).then(|| {
            format!("bot {bot}: attempt {attempt}, although attempt {last} did not fail ({answer:?})")
        })
    }

    /// Reads a request; `None` if a bridge should not send it.
    fn parse(event: &Value) -> Option<Self> {
        let data = &event["data"];
        let number = |key: &str| data["input"][key].as_str()?.parse::<u64>().ok();
        let url = data["callback"]["url"].as_str()?;
        Some(Self {
            bot: usize::try_from(number("n")?).ok()?,
            ms: number("ms")?,
            fails: number("fails")?,
            answer: HttpAnswer::named(data["input"]["answer"].as_str()?)?,
            attempt: data["attempt"].as_u64()?,
            callback: url.get(url.find("/callback/")?..)?.to_owned(),
            input: data["input"].clone(),
        })
    }
}
