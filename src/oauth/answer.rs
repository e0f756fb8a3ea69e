//! The answers: a page for browsers, JSON for everyone else, with the same status.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, REFERRER_POLICY, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::refusal::{Refusal, RevocationRefusal};
use super::{Outcome, page};
use crate::accounts::{Connected, Revoked};
use crate::problem::keep_private;

/// Whether the caller is a browser, which accepts `text/html`.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        is_html && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_callers_that_accept_html_get_a_page() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json, Text/HTML;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("text/html;q=0, application/json", false),
            ("text/html; charset=utf-8; q=0.0", false),
            ("text/htmlx", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_page(&headers), expected, "{accept}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }
}
