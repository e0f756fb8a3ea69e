//! A handler at a URL that answers as the message says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::TEST_TIMEOUT;

/// A request that the service got.
#[derive(Clone, Debug)]
pub struct Got {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The service. Dropping it stops it.
pub struct Service {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    runtime: Runtime,
}

type Shared = Arc<Mutex<Vec<Got>>>;

impl Service {
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let router = Router::new().route("/", post(answer)).with_state(got.clone());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, got, runtime }
    }

    /// The requests so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Answers the last request later: sends a note, then the completion.
    pub fn calls_back(&self) {
        let last = self.got().pop().unwrap().json();
        let url = last["data"]["callback"]["url"].as_str().unwrap();
        self.runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().timeout(TEST_TIMEOUT).build().unwrap();
            let send = async |url: &str, body: Value| {
                let sent = client.post(url).json(&body).send().await.unwrap();
                assert_eq!(sent.status(), 200);
            };
            send(&format!("{url}/progress"), json!({ "note": "asking a colleague" })).await;
            send(url, json!({ "data": { "status": "success", "reply": "Later" } })).await;
        });
    }
}

async fn answer(State(got): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let request = Got { headers, body };
    let event = request.json();
    got.lock().unwrap().push(request);
    let message = event["data"]["input"]["message"].as_str().unwrap_or_default();
    let is_first = event["data"]["attempt"] == 1;
    match message {
        "once" if is_first => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "500" => (StatusCode::INTERNAL_SERVER_ERROR, "a stack of the program").into_response(),
        "401" => StatusCode::UNAUTHORIZED.into_response(),
        "bad" => "{\"data\": ".into_response(),
        "big" => json!({ "data": { "text": "y".repeat(300 << 10) } }).to_string().into_response(),
        "slow" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::OK.into_response()
        }
        "later" => StatusCode::ACCEPTED.into_response(),
        text => axum::Json(json!({
            "data": { "status": "success", "reply": format!("Hi {text}") },
            "execute_handlers": [
                { "handler": "show", "params": { "type": "buttons", "value": "{{json.reply}}!", "buttons": ["Yes", "No"] } },
                { "handler": "goto", "params": { "type": "question", "step": 1 } },
            ],
        }))
        .into_response(),
    }
}
