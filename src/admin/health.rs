//! `/health/live`, `/health/ready` and `/health/nonce`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::document::tag;
use crate::health::{EverybodyWaits, Nonce, Phase, Waiting};

/// How long Kommo waits for a response. The bridge cannot serve a connection that waits longer for a slot.
const KOMMO_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct StatusView {
    /// `live`; or, without a nonce, that there is none.
    #[schema(value_type = String, example = "live")]
    status: &'static str,
}

/// The bridge takes requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ready)]
pub(super) struct ReadyView {
    /// `ready`.
    #[schema(value_type = String, example = "ready")]
    status: &'static str,
    /// The accounts that wait for an operator.
    waiting: Vec<Waiting>,
    /// Why the deliveries of all accounts wait; null if they do not.
    everybody_waits: Option<EverybodyWaits>,
    /// What does not work at the moment, although the bridge is ready. Absent if everything works.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

/// The bridge takes no requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotReady)]
pub(super) struct NotReadyView {
    /// `not ready`.
    #[schema(value_type = String, example = "not ready")]
    status: &'static str,
    /// Why.
    reasons: Vec<String>,
}

/// Says that the process is alive
///
/// Without checking anything.
#[utoipa::path(get, path = "/health/live", tag = tag::HEALTH, operation_id = "getLive",
    responses((status = 200, description = "The process is alive.", body = StatusView)))]
pub(super) async fn live() -> Response {
    answer(StatusCode::OK, &StatusView { status: "live" })
}

/// Says whether requests should be sent here
///
/// 200 lists the accounts that wait for an operator, and says why if all accounts wait; 503 lists the reasons against it.
///
/// Three things are not such a reason. Waiting accounts would wait elsewhere too. A public listener that is full for a
/// moment is only `degraded`, because the requests in progress end soon; it becomes a reason once new connections have
/// found no slot for as long as Kommo waits. A background task that panicked and restarts is only `degraded` too,
/// because requests are served without it.
#[utoipa::path(get, path = "/health/ready", tag = tag::HEALTH, operation_id = "getReady",
    responses(
        (status = 200, description = "The bridge takes requests.", body = ReadyView),
        (status = 503, description = "The bridge is starting or stopping, its store does not work, or its public listener is \
            full.", body = NotReadyView)))]
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let reasons = reasons(shared.health.phase(), troubles(&shared).await);
    let full_for = full_for(&shared);
    if !reasons.is_empty() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, &NotReadyView { status: "not ready", reasons });
    }
    let view = ReadyView {
        status: "ready",
        waiting: shared.health.waiting(),
        everybody_waits: shared.health.everybody_waits(),
        degraded: full_for.map(of_full).into_iter().chain(shared.health.failed_tasks()).collect(),
    };
    answer(StatusCode::OK, &view)
}

/// Shows the nonce of this process
///
/// `doctor` recognizes the process by it behind `server.public_url`.
#[utoipa::path(get, path = "/health/nonce", tag = tag::HEALTH, operation_id = "getNonce",
    responses(
        (status = 200, description = "The nonce.", body = Nonce),
        (status = 404, description = "This process has no nonce.", body = StatusView)))]
pub(super) async fn nonce(State(shared): State<Shared>) -> Response {
    match shared.health.nonce() {
        Some(nonce) => answer(StatusCode::OK, &nonce),
        None => answer(StatusCode::NOT_FOUND, &StatusView { status: "this bridge has no nonce" }),
    }
}

/// Why the bridge cannot take requests although it is not starting or stopping: its store does not work, or its public
/// listener is full.
pub(super) async fn troubles(shared: &Shared) -> Vec<String> {
    let store = shared.prober.ask().await.err().map(|error| error.to_string());
    let full = full_for(shared).filter(|full_for| *full_for >= KOMMO_TIMEOUT).map(of_full);
    store.into_iter().chain(full).collect()
}

fn full_for(shared: &Shared) -> Option<Duration> {
    shared.health.callers_wait_since().map(|since| since.elapsed())
}

fn reasons(phase: Phase, troubles: Vec<String>) -> Vec<String> {
    let phase = match phase {
        Phase::Starting => Some("the bridge is starting".to_owned()),
        Phase::Ready => None,
        Phase::Draining => Some("the bridge is draining and stops soon".to_owned()),
    };
    phase.into_iter().chain(troubles).collect()
}

fn of_full(full_for: Duration) -> String {
    format!(
        "new connections to the public listener have found no slot for {:.1} s: every one of the server.max_connections \
         connections has a request in progress",
        full_for.as_secs_f64()
    )
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_reported_and_ready_has_none() {
        for (phase, trouble, expected) in [
            (Phase::Ready, None, vec![]),
            (Phase::Starting, None, vec!["the bridge is starting"]),
            (Phase::Draining, None, vec!["the bridge is draining and stops soon"]),
            (Phase::Ready, Some("the disk is full"), vec!["the disk is full"]),
            (Phase::Starting, Some("the disk is full"), vec!["the bridge is starting", "the disk is full"]),
        ] {
            assert_eq!(reasons(phase, trouble.map(str::to_owned).into_iter().collect()), expected);
        }
    }
}
