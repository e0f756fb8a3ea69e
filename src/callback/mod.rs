//! Answers that come later: `POST /callback/{job}/{token}`, and notes on the way: `POST /callback/{job}/{token}/progress`.
//!
//! A handler that accepted a job calls back with its completion, or with an error. The token in the path is the
//! authorization ([`CallbackUrls`]). It is checked before anything else, so a caller without one costs no access to the
//! store, and cannot tell an unknown job from a wrong token.
//!
//! A 200 means that the answer is on the disk. A caller that gets anything else, or nothing, may repeat its call: a
//! repetition changes nothing.
//!
//! Metric: the counter `bridge_callbacks_total{result}`. Log lines contain nothing of a body or a token.

mod payload;
mod refusal;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::json;

use crate::handler::{CallbackUrls, HandlerError};
use crate::log_limiter::LogLimiter;
use crate::problem;
use crate::request_body::read;
use crate::work::{CalledBack, Pool};
use model::clock::Clock;
use model::{JobId, StateName};
use store::{Completed, Store, StoreError};

use payload::Payload;
use refusal::Refusal;

/// How long a caller waits for the store. The store may still accept the answer later.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings and collaborators of the endpoints.
pub struct Callbacks {
    /// Makes and checks tokens.
    pub urls: Arc<CallbackUrls>,
    /// Decides what follows an error.
    pub pool: Pool,
    /// The store of the jobs.
    pub store: Store,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// The time limit for a body.
    pub read_timeout: Duration,
    /// The time.
    pub clock: Clock,
}

struct Shared {
    callbacks: Callbacks,
    log_limiter: LogLimiter,
}

/// Returns the routes. All errors are `application/problem+json`.
pub fn router(callbacks: Callbacks) -> Router {
    let router = Router::new()
        .route("/callback/{job}/{token}", post(answer))
        .route("/callback/{job}/{token}/progress", post(progress));
    let log_limiter = LogLimiter::new("callbacks refused", callbacks.clock.clone());
    problem::with_fallbacks(router).with_state(Arc::new(Shared { callbacks, log_limiter }))
}

/// The job and the token in the path, which may not be valid UTF-8.
type JobAndToken = Result<Path<(String, String)>, PathRejection>;

/// What a call did.
struct Done {
    /// The label of the metric.
    result: &'static str,
    is_accepted: bool,
    state: Option<StateName>,
}

async fn answer(State(shared): State<Arc<Shared>>, path: JobAndToken, request: Request) -> Response {
    respond(&shared, shared.callbacks.answer(path, request).await)
}

async fn progress(State(shared): State<Arc<Shared>>, path: JobAndToken, request: Request) -> Response {
    respond(&shared, shared.callbacks.progress(path, request).await)
}

fn respond(shared: &Shared, done: Result<Done, Refusal>) -> Response {
    let result = done.as_ref().map_or_else(Refusal::result, |done| done.result);
    metrics::counter!("bridge_callbacks_total", "result" => result).increment(1);
    match done {
        Ok(Done { is_accepted, state: Some(state), .. }) => {
            Json(json!({ "accepted": is_accepted, "state": state })).into_response()
        }
        Ok(Done { is_accepted, state: None, .. }) => Json(json!({ "accepted": is_accepted })).into_response(),
        Err(refusal) => {
            if shared.log_limiter.allows(result) {
                refusal.log();
            }
            refusal.into_response()
        }
    }
}

impl Callbacks {
    async fn answer(&self, path: JobAndToken, request: Request) -> Result<Done, Refusal> {
        let job = self.job(path)?;
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_plain_text = kind.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/plain"));
        let body = self.body(request).await?;
        match Payload::parse(&body, is_plain_text).map_err(|why| Refusal::Invalid { job, why })? {
            Payload::Completion(completion) => {
                let store = self.store.clone();
                let work = async move { store.callbacks().complete(job, completion).await };
                match to_its_end(job, work).await? {
                    Completed::Accepted => {
                        tracing::debug!(job.id = %job, "a callback brought the completion");
                        Ok(Done { result: "accepted", is_accepted: true, state: Some(StateName::Delivering) })
                    }
                    Completed::Before(state) => {
                        Ok(Done { result: "repeated", is_accepted: false, state: Some(state) })
                    }
                    Completed::TooLate(state) => Err(Refusal::TooLate { job, state }),
                }
            }
            Payload::Error { message, retry, attempt } => {
                let message = self.urls.without_token(job, &message);
                let error = if retry { HandlerError::retry(message) } else { HandlerError::fail(message) };
                let pool = self.pool.clone();
                let work = async move { pool.called_back(job, attempt, error).await };
                match to_its_end(job, work).await? {
                    CalledBack::Ended(state) => {
                        Ok(Done { result: "error", is_accepted: true, state: Some(state) })
                    }
                    CalledBack::NotYet => Err(Refusal::NotYet),
                    CalledBack::NotAwaiting(state) => {
                        Ok(Done { result: "repeated", is_accepted: false, state: Some(state) })
                    }
                }
            }
        }
    }

    async fn progress(&self, path: JobAndToken, request: Request) -> Result<Done, Refusal> {
        let job = self.job(path)?;
        let body = self.body(request).await?;
        let note = payload::note(&body).map_err(|why| Refusal::Invalid { job, why })?;
        let note = self.urls.without_token(job, &note);
        let store = self.store.clone();
        let is_accepted = to_its_end(job, async move { store.callbacks().note(job, &note).await }).await?;
        Ok(Done { result: if is_accepted { "note" } else { "note_dropped" }, is_accepted, state: None })
    }

    /// The job in the path, if the token fits.
    fn job(&self, path: JobAndToken) -> Result<JobId, Refusal> {
        let Ok(Path((job, token))) = path else { return Err(Refusal::Unknown) };
        let job: JobId = job.parse().map_err(|_| Refusal::Unknown)?;
        if self.urls.fits(job, &token) { Ok(job) } else { Err(Refusal::Unknown) }
    }

    async fn body(&self, request: Request) -> Result<Bytes, Refusal> {
        let encoding = request.headers().get(CONTENT_ENCODING);
        let is_encoded = encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        let body = read(request.into_body(), self.max_body, self.read_timeout).await?;
        if is_encoded { Err(Refusal::Encoded) } else { Ok(body) }
    }
}

/// Runs `work` to its end, even if the caller hangs up.
async fn to_its_end<T: Send + 'static>(
    job: JobId,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Refusal> {
    let running = tokio::spawn(work);
    // The task fails only if the process is stopping.
    let ended = async { running.await.unwrap_or(Err(StoreError::Closed)) };
    let done = tokio::time::timeout(STORE_TIMEOUT, ended).await.unwrap_or(Err(StoreError::Timeout));
    done.map_err(|error| match error {
        StoreError::NoJob(_) => Refusal::Unknown,
        error => Refusal::Store { job, error },
    })
}

#[cfg(test)]
mod tests;
