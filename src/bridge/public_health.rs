//! The health of the bridge on the public listener, for platforms with one port and for `doctor`. It shows no details.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use crate::health::Health;
use crate::problem::{self, ProblemDetails};

/// `GET /health/live`, and `GET /health/nonce/{challenge}`.
pub(super) fn router(health: Health) -> Router {
    let routes = Router::new()
        .route("/health/live", get(async || fresh(Json(json!({ "status": "live" })))))
        .route("/health/nonce/{challenge}", get(nonce));
    problem::with_fallbacks(routes).with_state(health)
}

/// The answer of this process to `challenge`. See [`crate::health::Nonce`].
async fn nonce(State(health): State<Health>, Path(challenge): Path<String>) -> Response {
    match health.nonce().and_then(|nonce| nonce.answer_to(&challenge)) {
        Some(answer) => fresh(Json(json!({ "answer": answer }))),
        None => {
            let detail = "This is not the challenge of this bridge.".to_owned();
            fresh(ProblemDetails::of_status(StatusCode::NOT_FOUND, detail))
        }
    }
}

/// A response that no proxy keeps.
fn fresh(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
