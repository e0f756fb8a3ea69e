//! Handles one request: decides whether it may start, gets its response, and notes what this shows about the caller.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use tower::ServiceExt;

use super::Routes;
use super::activity::Activity;
use super::observed::{Received, Sent};
use crate::problem::{ProblemDetails, SendAfter};

/// When a caller may retry if the share of its path is used up.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Responds to `request`.
pub(super) async fn answer(
    activity: Arc<Activity>,
    routes: impl Routes,
    request: Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    let options = activity.slots().options();
    let proves = (options.rules.proves)(request.uri().path());
    let share = (options.rules.share)(request.uri().path());
    let route = (options.route)(request.uri().path());
    // Proxies and servers disagree about where a body with this header ends, especially if it also has a length. So the
    // connection closes after the response, and no one can hide a second request behind the body.
    let mut last = request.headers().contains_key(TRANSFER_ENCODING);
    let begins = activity.begins(share, request.body().is_end_stream());
    let request = request.map(|body| Received::new(body, activity.clone()));
    let mut answered = if begins { ask(routes, request).await } else { busy() };
    activity.received();
    let status = answered.status();
    activity.slots().count(route, status);
    if proves && status.is_success() {
        activity.proves_itself();
    } else if !(proves && status.is_server_error()) {
        last |= activity.reaches_unproven_limit();
    }
    if let Some(SendAfter(pause)) = answered.extensions().get().copied() {
        activity.pauses();
        tokio::time::sleep(pause).await;
        activity.resumes();
    }
    if last || activity.makes_room() {
        answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answered.map(|body| Sent::new(body, activity)))
}

/// Calls the routes. A panic causes a 500 instead of a dropped connection.
async fn ask(routes: impl Routes, request: Request<Received>) -> Response {
    let answered = AssertUnwindSafe(routes.oneshot(request.map(Body::new))).catch_unwind().await;
    match answered {
        Ok(Ok(response)) => response,
        Err(_panic) => {
            tracing::error!("request handling panicked: this is a bug in the bridge");
            let detail = "The bridge failed because of a bug. Its log shows where.";
            ProblemDetails::of_status(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

fn busy() -> Response {
    let detail = "Too many requests of this kind are in progress. Retry later.";
    ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail)
        .retry_after(RETRY_AFTER)
        .into_response()
}
