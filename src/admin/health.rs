//! `/health/live`, `/health/ready` and `/health/nonce`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use crate::health::{Health, Phase};
use store::StoreError;

use super::Shared;

/// How long Kommo waits for a response. The bridge cannot serve a connection that waits longer for a slot.
const KOMMO_TIMEOUT: Duration = Duration::from_secs(2);

/// Responds that the process is alive, without checking anything.
pub(super) async fn live() -> Response {
    answer(StatusCode::OK, json!({ "status": "live" }))
}

/// Responds whether requests should be sent here. 200 lists the accounts that wait for an operator, and says why if all
/// accounts wait; 503 lists the reasons against it.
///
/// Three things are not such a reason. Waiting accounts would wait elsewhere too. A public listener that is full for a
/// moment is only `degraded`, because the requests in progress end soon; it becomes a reason once new connections have
/// found no slot for as long as Kommo waits. A background task that panicked and restarts is only `degraded` too,
/// because requests are served without it.
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let mut reasons = reasons(shared.health.phase(), shared.prober.ask().await);
    let full_for = shared.health.callers_wait_since().map(|since| since.elapsed());
    reasons.extend(full_for.filter(|full_for| *full_for >= KOMMO_TIMEOUT).map(of_full));
    if reasons.is_empty() {
        let mut body = ready_body(&shared.health);
        let degraded: Vec<String> =
            full_for.map(of_full).into_iter().chain(shared.health.failed_tasks()).collect();
        if !degraded.is_empty() {
            body["degraded"] = json!(degraded);
        }
        answer(StatusCode::OK, body)
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not ready", "reasons": reasons }))
    }
}

/// The nonce of this process, with which `doctor` recognizes it behind `server.public_url`.
pub(super) async fn nonce(State(shared): State<Shared>) -> Response {
    match shared.health.nonce() {
        Some(nonce) => answer(StatusCode::OK, json!(nonce)),
        None => answer(StatusCode::NOT_FOUND, json!({ "status": "this bridge has no nonce" })),
    }
}

fn ready_body(health: &Health) -> serde_json::Value {
    json!({ "status": "ready", "waiting": health.waiting(), "everybody_waits": health.everybody_waits() })
}

fn reasons(phase: Phase, store: Result<(), StoreError>) -> Vec<String> {
    let phase = match phase {
        Phase::Starting => Some("the bridge is starting".to_owned()),
        Phase::Ready => None,
        Phase::Draining => Some("the bridge is draining and stops soon".to_owned()),
    };
    let store = store.err().map(|error| error.to_string());
    phase.into_iter().chain(store).collect()
}

fn of_full(full_for: Duration) -> String {
    format!(
        "new connections to the public listener have found no slot for {:.1} s: every one of the server.max_connections \
         connections has a request in progress",
        full_for.as_secs_f64()
    )
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
    fn every_reason_is_reported_and_ready_has_none() {
        for (phase, store, expected) in [
            (Phase::Ready, Ok(()), vec![]),
            (Phase::Starting, Ok(()), vec!["the bridge is starting"]),
            (Phase::Draining, Ok(()), vec!["the bridge is draining and stops soon"]),
            (
                Phase::Ready,
                Err(StoreError::Full),
                vec!["the disk that holds the store is full: free some space"],
            ),
            (
                Phase::Starting,
                Err(StoreError::Timeout),
                vec![
                    "the bridge is starting",
                    "the store did not answer in time: check whether its disk is slow or another process locks it",
                ],
            ),
        ] {
            assert_eq!(reasons(phase, store), expected);
        }
    }
}
