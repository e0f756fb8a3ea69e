//! The form of every error response: RFC 9457, `application/problem+json`.
//!
//! Callers decide on `type` and `status`; `title` and `detail` are for people. The `type` is `about:blank` if the status
//! says everything, or `urn:salesbot-bridge:problem:SLUG`, where the slug of an error never changes. A problem never
//! contains a token, a secret, a body or a stack trace.

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

mod browser;

pub use browser::wants_page;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// An extension of a response: the listener delays the response by this time. During the delay, the connection counts as
/// idle, so it takes no slot from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendAfter(pub Duration);

/// An extension of a response: no route matched the request. The owner of the listener may log that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// No route matches the path.
    Path,
    /// A route matches the path but not the method.
    Method,
}

/// Keeps a browser from caching a response, guessing its type, or giving it to another site.
pub fn keep_private(headers: &mut HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The body of an error, as RFC 9457 defines it.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank` if the status says everything, otherwise `urn:salesbot-bridge:problem:NAME`. The name of an error never
    /// changes.
    #[schema(
        example = "urn:salesbot-bridge:problem:no-job",
        pattern = "^(about:blank|urn:salesbot-bridge:problem:[a-z-]+)$"
    )]
    r#type: Cow<'static, str>,
    /// What is wrong, in a few words.
    #[schema(example = "No such job")]
    title: Cow<'static, str>,
    /// The status of the response.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// What is wrong and what to do, for people.
    #[schema(example = "There is no job `0193`. Finished jobs are deleted after store.retention.")]
    detail: Cow<'static, str>,
}

/// A response that says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemDetails {
    slug: Option<&'static str>,
    title: Cow<'static, str>,
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl ProblemDetails {
    /// Creates a problem with its own type, `urn:salesbot-bridge:problem:SLUG`.
    pub fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { slug: Some(slug), title: title.into(), status, detail: detail.into(), retry_after: None }
    }

    /// Creates a problem that its status describes well enough: the type is `about:blank`, and the title is the reason
    /// phrase.
    pub fn of_status(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { slug: None, title: title.into(), status, detail: detail.into(), retry_after: None }
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, in a few words.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What is wrong and what to do, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Adds `Retry-After`, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }
}

/// The response has the problem as an extension, so that a listener can show it to a person in another form.
impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let problem = self.clone();
        let kind = self.slug.map(|slug| format!("urn:salesbot-bridge:problem:{slug}").into());
        let body = Problem {
            r#type: kind.unwrap_or("about:blank".into()),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        keep_private(headers);
        if let Some(span) = self.retry_after {
            let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// Answers unknown paths (404) and methods (405) of `router` with problems.
///
/// Call it last, because it covers the methods only of routes that already exist.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(async || {
            let detail = "Unknown path. Check the URL.";
            (Extension(Unrouted::Path), ProblemDetails::of_status(StatusCode::NOT_FOUND, detail))
        })
        .method_not_allowed_fallback(async || {
            let detail = "This path does not accept this method. The `Allow` header lists the methods that it accepts.";
            (Extension(Unrouted::Method), ProblemDetails::of_status(StatusCode::METHOD_NOT_ALLOWED, detail))
        })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::post;
    use http::Request;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn parts(response: Response) -> (http::HeaderMap, Value) {
        let headers = response.headers().clone();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_problem_has_the_members_of_rfc_9457() {
        let problem = ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", "Try again.")
            .retry_after(Duration::from_millis(1_001));
        let (headers, body) = parts(problem.into_response()).await;
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers[RETRY_AFTER], "2");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[CROSS_ORIGIN_RESOURCE_POLICY], "same-origin");
        assert_eq!(
            body,
            json!({
                "type": "urn:salesbot-bridge:problem:busy",
                "title": "Busy",
                "status": 503,
                "detail": "Try again.",
            })
        );
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_are_problems_too() {
        let router: Router = with_fallbacks(Router::new().route("/known", post(async || "ok")));
        for (method, path, status, title) in
            [("GET", "/known", 405, "Method Not Allowed"), ("POST", "/unknown", 404, "Not Found")]
        {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
            let (headers, body) = parts(response).await;
            assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
            assert_eq!(headers.get("allow").is_some(), status == 405);
            assert_eq!((&body["type"], &body["title"]), (&json!("about:blank"), &json!(title)));
        }
    }
}
