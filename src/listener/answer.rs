//! One request: whether it may begin, its answer, and what the answer says of its caller.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use tower::ServiceExt;

use super::line::Line;
use super::observed::{Received, Sent};
use crate::problem::{ProblemDetails, SendAfter};

/// A caller that found no share may ask again after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers `request`, one way or another.
pub(super) async fn answer(
    line: Arc<Line>,
    router: Router,
    request: Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    let options = line.places().options();
    let proves = (options.rules.proves)(request.uri().path());
    let share = (options.rules.share)(request.uri().path());
    // Where such a body ends is what proxies and servers disagree about, most of all if a length is given as well. What
    // comes behind it on this connection is not taken for a request, then nobody can have hidden one there.
    let mut last = request.headers().contains_key(TRANSFER_ENCODING);
    let begins = line.begins(share, request.body().is_end_stream());
    let request = request.map(|body| Received::new(body, line.clone()));
    let mut answered = if begins { ask(router, request).await } else { busy() };
    line.received();
    let status = answered.status();
    if proves && status.is_success() {
        line.proves_itself();
    } else if !(proves && status.is_server_error()) {
        last |= line.proves_nothing_too_often();
    }
    if let Some(SendAfter(pause)) = answered.extensions().get().copied() {
        line.pauses();
        tokio::time::sleep(pause).await;
        line.resumes();
    }
    if last || line.makes_room() {
        answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answered.map(|body| Sent::new(body, line)))
}

/// A panic costs its caller a 500, not the connection without a word.
async fn ask(router: Router, request: Request<Received>) -> Response {
    let answered = AssertUnwindSafe(router.oneshot(request.map(Body::new))).catch_unwind().await;
    match answered {
        Ok(Ok(response)) => response,
        Err(_panic) => {
            tracing::error!("answering a request panicked: this is a bug of the bridge");
            let detail = "The bridge failed in a way that it should not. Its log says where.";
            ProblemDetails::of_status(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

fn busy() -> Response {
    let detail = "Too many requests of this kind are in progress. Send it again.";
    ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail)
        .retry_after(RETRY_AFTER)
        .into_response()
}
