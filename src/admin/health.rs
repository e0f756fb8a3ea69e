//! `/health/live` and `/health/ready`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use crate::health::{Health, Phase};
use crate::store::StoreError;

use super::Shared;

/// The process answers; nothing else is asked.
pub(super) async fn live() -> Response {
    answer(StatusCode::OK, json!({ "status": "live" }))
}

/// Whether requests should be sent here: 200 with the accounts that wait for an operator, and why all accounts wait if they
/// do; or 503 and why not.
///
/// Accounts that wait are no reason to send requests elsewhere: they would wait there too.
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let reasons = reasons(shared.health.phase(), shared.prober.ask().await);
    if reasons.is_empty() {
        answer(StatusCode::OK, ready_body(&shared.health))
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not ready", "reasons": reasons }))
    }
}

fn ready_body(health: &Health) -> serde_json::Value {
    json!({ "status": "ready", "waiting": health.waiting(), "everybody_waits": health.everybody_waits() })
}

fn reasons(phase: Phase, store: Result<(), StoreError>) -> Vec<String> {
    let phase = match phase {
        Phase::Starting => Some("the bridge is starting".to_owned()),
        Phase::Ready => None,
        Phase::Draining => Some("the bridge is draining: it stops soon".to_owned()),
    };
    let store = store.err().map(|error| error.to_string());
    phase.into_iter().chain(store).collect()
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_and_ready_has_none() {
        for (phase, store, expected) in [
            (Phase::Ready, Ok(()), vec![]),
            (Phase::Starting, Ok(()), vec!["the bridge is starting"]),
            (Phase::Draining, Ok(()), vec!["the bridge is draining: it stops soon"]),
            (
                Phase::Ready,
                Err(StoreError::Full),
                vec!["the disk that holds the store is full: free some space"],
            ),
            (
                Phase::Starting,
                Err(StoreError::Timeout),
                vec!["the bridge is starting", "the store did not commit in time"],
            ),
        ] {
            assert_eq!(reasons(phase, store), expected);
        }
    }
}
