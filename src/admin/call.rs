//! Calls of the store on behalf of a caller of the API: with a time limit, and, for changes, to their end.

use std::future::Future;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Request};
use axum::response::Response;
use serde::de::DeserializeOwned;

use crate::problem::ProblemDetails;
use model::JobId;
use store::StoreError;

use super::{Shared, refusal};

/// How long a caller waits for one change. The store may still make the change later.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for many changes.
pub(super) const BULK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a body may take to arrive. Nothing else ends the connection of a slow sender, and connections are limited.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type Answer = Result<Response, ProblemDetails>;

/// The id in the path, which may not be valid UTF-8.
pub(super) type Id = Result<Path<String>, PathRejection>;

pub(super) async fn read(shared: &Shared, request: Request) -> Result<Bytes, ProblemDetails> {
    let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, shared)).await;
    body.map_err(|_| refusal::too_slow())?.map_err(refusal::of_transfer)
}

/// Parses a body that has to be a JSON object. Serde alone would take a list of the values as well, in the order of the
/// fields. `instead` says what to send.
pub(super) fn object<T: DeserializeOwned>(body: &[u8], instead: &str) -> Result<T, ProblemDetails> {
    let start = body.trim_ascii_start();
    if start.first() == Some(&b'[') {
        return Err(refusal::of_body("it is a list, not an object", instead));
    }
    if start.trim_ascii_end() == b"null" {
        return Err(refusal::of_body("it is null, not an object", instead));
    }
    serde_json::from_slice(body).map_err(|why| refusal::of_body(why, instead))
}

/// Like [`object`]; no body counts as the default.
pub(super) fn object_or_default<T: DeserializeOwned + Default>(
    body: &[u8],
    instead: &str,
) -> Result<T, ProblemDetails> {
    if body.is_empty() { Ok(T::default()) } else { object(body, instead) }
}

/// The text in the path. Any text that is not valid UTF-8 matches nothing.
pub(super) fn text(id: Id) -> String {
    id.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(text)| text)
}

/// Finds the job that the path names by its id or a unique prefix of the id. Any other text matches no job.
pub(super) async fn job_id(shared: &Shared, id: Id) -> Result<JobId, ProblemDetails> {
    let text = text(id);
    let prefix = text.parse().map_err(|_| refusal::no_job(text))?;
    within(STORE_TIMEOUT, shared.store.jobs().find(prefix)).await
}

/// Runs `work` to its end, even if the caller hangs up or `timeout` passes, because a bulk change must not stop
/// halfway.
pub(super) async fn run_to_end<T: Send + 'static>(
    timeout: Duration,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, ProblemDetails> {
    let running = tokio::spawn(work);
    // The task fails only if the process is stopping.
    within(timeout, async { running.await.unwrap_or(Err(StoreError::Closed)) }).await
}

pub(super) async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ProblemDetails> {
    let done = tokio::time::timeout(timeout, work).await.unwrap_or(Err(StoreError::Timeout));
    done.map_err(|error| {
        if !error.is_of_the_asker() {
            tracing::error!(%error, "admin API call failed in the store");
        }
        refusal::of_store(&error)
    })
}
