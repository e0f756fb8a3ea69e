//! A tool on this machine that records requests, and answers as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;

/// A request as the tool got it.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The status, headers and body of a response.
pub(super) type Answer = (u16, Vec<(&'static str, &'static str)>, String);

/// The tool. Its task ends with the test's runtime.
pub(super) struct Tool {
    pub(super) url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Tool {
    /// Answers 204 until a test says otherwise.
    pub(super) async fn start() -> Self {
        let (got, answers) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::<Mutex<VecDeque<Answer>>>::default());
        let (recorded, next) = (got.clone(), answers.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (recorded, next) = (recorded.clone(), next.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
                let path = head.uri.path().to_owned();
                recorded.lock().unwrap().push(Got { path, headers: head.headers, body });
                let (status, headers, body) =
                    next.lock().unwrap().pop_front().unwrap_or((204, Vec::new(), String::new()));
                let response = Response::builder().status(status);
                let response = headers
                    .into_iter()
                    .fold(response, |response, (name, value)| response.header(name, value));
                response.body(Body::from(body)).unwrap()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/typebots/a-bot/startChat", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, got, answers }
    }

    /// Sets the next response.
    pub(super) fn answers(&self, status: u16, body: &str) {
        self.answers_with(status, Vec::new(), body);
    }

    pub(super) fn answers_with(&self, status: u16, headers: Vec<(&'static str, &'static str)>, body: &str) {
        self.answers.lock().unwrap().push_back((status, headers, body.to_owned()));
    }

    /// The requests so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}
