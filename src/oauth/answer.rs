//! The answers: a page for browsers, JSON for everyone else, with the same status.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{REFERRER_POLICY, VARY};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::refusal::{Refusal, RevocationRefusal};
use super::{Outcome, page};
use crate::accounts::{Connected, Revoked};
use crate::problem::keep_private;

/// Creates the answer for a person.
pub(super) fn page(done: &Result<Outcome, Refusal>) -> Response {
    let response = match done {
        Ok(Outcome::Connected(connected)) => page::respond(StatusCode::OK, page::connected(connected)),
        Ok(Outcome::Repeated(connected)) => page::respond(StatusCode::OK, page::repeated(connected)),
        Ok(Outcome::Kept(kept)) => page::respond(StatusCode::ACCEPTED, page::kept(kept)),
        Ok(Outcome::Denied) => page::respond(StatusCode::OK, page::denied()),
        Err(refusal) => {
            // The page replaces the problem's body; its headers stay.
            let problem = refusal.problem().into_response();
            let mut response = page::respond(problem.status(), page::refused(refusal));
            let after = problem.headers().get(http::header::RETRY_AFTER);
            response.headers_mut().extend(after.map(|after| (http::header::RETRY_AFTER, after.clone())));
            response
        }
    };
    guarded(response)
}

/// Creates the answer for a program.
pub(super) fn json(done: &Result<Outcome, Refusal>) -> Response {
    guarded(match done {
        Ok(Outcome::Connected(connected) | Outcome::Repeated(connected)) => active(connected),
        Ok(Outcome::Kept(kept)) => {
            let state = if kept.needs_confirmation { "unconfirmed" } else { "waiting" };
            let body = json!({ "host": page::host(&kept.origin), "state": state, "expires_at": kept.until });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Ok(Outcome::Denied) => Json(json!({ "state": "denied" })).into_response(),
        Err(refusal) => refusal.problem().into_response(),
    })
}

fn active(connected: &Connected) -> Response {
    Json(json!({
        "account_id": connected.account_id,
        "host": page::host(&connected.origin),
        "state": "active",
    }))
    .into_response()
}

/// Creates the answer for Kommo.
pub(super) fn revoked(done: Result<Revoked, RevocationRefusal>) -> Response {
    guarded(match done {
        Ok(Revoked::Done(cancelled)) => Json(json!({ "cancelled": cancelled })).into_response(),
        Ok(Revoked::Pending) => (StatusCode::ACCEPTED, Json(json!({ "state": "pending" }))).into_response(),
        Err(refusal) => refusal.problem().into_response(),
    })
}

/// Adds headers that forbid storing the answer or passing on its URL, because the URL of such a call contains a code.
fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    keep_private(headers);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}
