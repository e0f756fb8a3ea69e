//! The responses of the account: Kommo's problem documents, its oddities, and broken connections.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::validate::Invalid;

pub(super) type Answer = Response<Full<Bytes>>;

/// How a connection ends without a valid response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    #[error("reset")]
    Reset,
    #[error("closed")]
    Close,
    #[error("garbage sent")]
    Garbage,
    #[error("dripping")]
    Drip,
}

/// A success as Kommo sends it: sometimes the body is empty, sometimes it is one word.
pub(super) fn accepted(status: u16, word: bool) -> Answer {
    text(status, "text/html; charset=UTF-8", if word { "Accepted" } else { "" })
}

/// The problem document of this status.
pub(super) fn problem(status: u16) -> Answer {
    let mut body = document(status);
    if status == 400 {
        add_error(&mut body, "InvalidRequest", "", "This value is not valid.");
    }
    if status >= 500 {
        body["trace_id"] = json!("5f0c0ffee0ddba11");
    }
    respond(status, &body)
}

/// 400 with one validation error.
pub(super) fn invalid(error: &Invalid) -> Answer {
    let mut body = document(400);
    add_error(&mut body, error.code, error.path, error.detail);
    respond(400, &body)
}

/// One entry of `validation-errors` whose path is known only at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) code: &'static str,
    pub(super) path: String,
    pub(super) detail: String,
}

/// 400 with all these validation errors.
pub(super) fn invalid_fields(errors: &[FieldError]) -> Answer {
    let mut body = document(400);
    let errors: Vec<_> = errors
        .iter()
        .map(|error| json!({ "code": error.code, "path": error.path, "detail": error.detail }))
        .collect();
    body["validation-errors"] = json!([{ "request_id": "0", "errors": errors }]);
    respond(400, &body)
}

/// A problem document with this detail, for the control endpoints.
pub(super) fn refuse(status: u16, detail: &str) -> Answer {
    let mut body = document(status);
    body["detail"] = json!(detail);
    respond(status, &body)
}

/// 405, and the allowed methods.
pub(super) fn method(allowed: &'static str) -> Answer {
    with(problem(405), ALLOW, HeaderValue::from_static(allowed))
}

/// 429 with a waiting time in seconds, in the header, the body or both.
pub(super) fn too_many(header: Option<u32>, body: Option<u32>) -> Answer {
    let answer = match body {
        Some(seconds) => {
            let mut body = document(429);
            body["retry_after"] = json!(seconds);
            respond(429, &body)
        }
        None => text(429, "text/html", "<html><body>429 Too Many Requests</body></html>"),
    };
    match header {
        Some(seconds) => with(answer, RETRY_AFTER, HeaderValue::from(seconds)),
        None => answer,
    }
}

/// 403 as Kommo sends it to a blocked address.
pub(super) fn html_forbidden() -> Answer {
    html(403, "403 Forbidden")
}

/// An HTML page that does not come from the API.
pub(super) fn html(status: u16, says: &str) -> Answer {
    let page = format!("<html><head><title>{says}</title></head><body><h1>{says}</h1></body></html>");
    text(status, "text/html", page)
}

/// 302, for a browser.
pub(super) fn found(location: &str) -> Answer {
    let mut answer = redirect(location);
    *answer.status_mut() = StatusCode::FOUND;
    answer
}

/// An error document of the OAuth server.
pub(super) fn oauth(status: u16, hint: &str, detail: &str) -> Answer {
    respond(
        status,
        &json!({
            "hint": hint,
            "title": if status == 401 { "Unauthorized" } else { "Bad Request" },
            "type": "https://developers.kommo.com/v3/errors/OAuthProblemJson",
            "status": status,
            "detail": detail,
        }),
    )
}

/// 307, without `Location` if the header cannot hold the location.
pub(super) fn redirect(location: &str) -> Answer {
    let answer = text(307, "text/html", "");
    match HeaderValue::from_str(location) {
        Ok(location) => with(answer, LOCATION, location),
        Err(_) => answer,
    }
}

/// 200 with a resource of the API, as HAL.
pub(super) fn hal(body: &Value) -> Answer {
    text(200, "application/hal+json", body.to_string())
}

/// 204 without a body.
pub(super) fn no_content() -> Answer {
    empty(204)
}

/// A status without a body.
pub(super) fn empty(status: u16) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}

/// JSON that a test scripted: a resource, or from 400 up a problem.
pub(super) fn canned(status: u16, body: &Value) -> Answer {
    match status {
        400.. => respond(status, body),
        _ => text(status, "application/hal+json", body.to_string()),
    }
}

/// JSON with this status.
pub(super) fn json_body(status: u16, body: &Value) -> Answer {
    text(status, "application/json", body.to_string())
}

fn document(status: u16) -> Value {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (title, detail) = match status {
        400 => ("Bad Request", "Request validation failed"),
        401 => ("Unauthorized", "Wrong login or password"),
        402 => ("Payment Required", "The account is not paid for"),
        403 => ("Forbidden", "Insufficient rights"),
        404 => ("Not Found", "Entity not found"),
        429 => ("Too Many Requests", "Too many requests per second"),
        _ => (code.canonical_reason().unwrap_or("Error"), "The request could not be processed."),
    };
    json!({ "title": title, "type": format!("https://httpstatus.es/{status}"), "status": status, "detail": detail })
}

fn add_error(body: &mut Value, code: &str, path: &str, detail: &str) {
    let error = json!({ "code": code, "path": path, "detail": detail });
    body["validation-errors"] = json!([{ "request_id": "0", "errors": [error] }]);
}

fn respond(status: u16, body: &Value) -> Answer {
    text(status, "application/problem+json", body.to_string())
}

fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer =
        with(Response::new(Full::new(body.into())), CONTENT_TYPE, HeaderValue::from_static(content_type));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}

fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}
