//! The public listener's router. Serves all routes with and without the path prefix of `server.public_url`. Logs and
//! counts requests to unknown paths and methods, because a mistyped address would otherwise leave no trace.
//!
//! Metric: the counter `bridge_unknown_paths_total{reason}`; the reason is `path` or `method`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};
use tower::{ServiceExt, service_fn};

use crate::health::Health;
use crate::listener::Routes;
use crate::log_limiter::LogLimiter;
use crate::problem::{ProblemDetails, Unrouted};
use crate::terminal;
use model::path_below;

/// The maximum length of a path segment in the log. A longer one is cut, because it may be a secret.
const MAX_LOGGED_SEGMENT: usize = 32;
const MAX_LOGGED_PATH: usize = 120;

struct Public {
    routes: Router,
    /// The path of `server.public_url`: `/bots`, or empty.
    prefix: String,
    log_limiter: LogLimiter,
    health: Health,
}

/// Wraps `routes`, which must already have their fallbacks, for the public listener.
///
/// It is not a layer of a [`Router`], because a router runs its layers only after it has matched the path.
pub(super) fn wrap(routes: Router, prefix: &str, log_limiter: LogLimiter, health: Health) -> impl Routes {
    let public = Arc::new(Public { routes, prefix: prefix.to_owned(), log_limiter, health });
    service_fn(move |request| serve(public.clone(), request))
}

async fn serve(public: Arc<Public>, mut request: Request) -> Result<Response, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if let Some(rewritten) = rewritten(&uri, &public.prefix) {
        *request.uri_mut() = rewritten;
    }
    let response = public.routes.clone().oneshot(request).await?;
    Ok(match response.extensions().get::<Unrouted>() {
        None => response,
        Some(Unrouted::Path) => {
            public.log_unrouted("path", &method, &uri);
            let detail = format!(
                "Unknown path. A widget block calls POST {}/widget_request/NAME, where NAME is the name of \
                 a handler.",
                public.prefix
            );
            ProblemDetails::of_status(StatusCode::NOT_FOUND, detail).into_response()
        }
        Some(Unrouted::Method) => {
            public.log_unrouted("method", &method, &uri);
            response
        }
    })
}

/// `uri` with its path as the routes know it; `None` if the path stays the same.
fn rewritten(uri: &Uri, prefix: &str) -> Option<Uri> {
    let path = path_below(uri.path(), prefix);
    if path == uri.path() {
        return None;
    }
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

impl Public {
    fn log_unrouted(&self, reason: &'static str, method: &Method, uri: &Uri) {
        metrics::counter!("bridge_unknown_paths_total", "reason" => reason).increment(1);
        if *method == Method::POST {
            self.health.misdirected(shown(uri.path()));
        }
        // Scanners send endless GETs, which must not hide the POST of a mistyped block.
        let kind = if *method == Method::POST { "post" } else { "other" };
        if !self.log_limiter.allows(kind) {
            return;
        }
        let (path, method) = (shown(uri.path()), terminal::excerpt(method.as_str(), 16));
        match reason {
            "method" => tracing::info!(method, path, "request with a method that its path does not accept"),
            _ => tracing::info!(
                method,
                path,
                "request to an unknown path; a widget block calls POST /widget_request/NAME"
            ),
        }
    }
}

/// A path for the log, without its query, which may contain a code or a token.
fn shown(path: &str) -> String {
    let segments = path.split('/').map(|segment| terminal::path_segment(segment, MAX_LOGGED_SEGMENT));
    terminal::excerpt(&segments.collect::<Vec<_>>().join("/"), MAX_LOGGED_PATH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::routing::{get, post};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::problem;
    use model::Timestamp;
    use model::clock::ManualClock;

    fn served(prefix: &str, clock: &ManualClock) -> impl Routes {
        test_log::prepare();
        let routes = Router::new()
            .route("/widget_request/{name}", post(async |uri: Uri| uri.to_string()))
            .route("/oauth/callback", get(async |uri: Uri| uri.to_string()));
        wrap(problem::with_fallbacks(routes), prefix, LogLimiter::new("a test", clock.clock()), Health::new())
    }

    async fn send(routes: &impl Routes, method: &str, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn paths_are_served_with_and_without_the_prefix_or_a_trailing_slash() {
        let routes = served("/bots", &ManualClock::new(Timestamp::from_millis(0)));
        for (method, path, reached) in [
            ("POST", "/widget_request/echo", "/widget_request/echo"),
            ("POST", "/widget_request/echo/", "/widget_request/echo"),
            ("POST", "/bots/widget_request/echo", "/widget_request/echo"),
            ("POST", "/bots//widget_request/echo/?a=%2F", "/widget_request/echo?a=%2F"),
            ("GET", "/bots/oauth/callback?code=a%20b&x", "/oauth/callback?code=a%20b&x"),
            ("GET", "/oauth/callback/?code=c", "/oauth/callback?code=c"),
        ] {
            assert_eq!(send(&routes, method, path).await, (200, reached.to_owned()), "{path}");
        }
        for path in ["/other/widget_request/echo", "/widget_request", "/bots", "/", "/widget_request/a/b"] {
            let (status, body) = send(&routes, "POST", path).await;
            assert_eq!(status, 404, "{path}");
            assert!(body.contains("POST /bots/widget_request/NAME"), "{body}");
        }
        assert_eq!(send(&routes, "GET", "/bots/widget_request/echo").await.0, 405);
    }

    #[tokio::test]
    async fn a_wrong_path_is_logged_and_counted_without_its_query() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let log = test_log::collect(tracing::Level::INFO);
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let routes = served("", &clock);
        let secret = "s".repeat(60);
        for (method, path) in [
            ("GET", "/callback/01a22cfa-91f0-715c-bbf1-4235de81c0ff/R0-jPrivateus8ZPxqpzuckw".to_owned()),
            ("POST", "/hooks/widget_request/echo?token=private".to_owned()),
            ("POST", format!("/{secret}/%1b[31m")),
            ("GET", "/widget_request/echo?token=private".to_owned()),
            ("GET", "/".to_owned()),
        ] {
            send(&routes, method, &path).await;
        }
        for _ in 0..500 {
            send(&routes, "GET", "/wp-login.php").await;
        }
        send(&routes, "POST", "/last").await;
        let text = log.text();
        for part in [
            "method=\"POST\" path=\"/hooks/widget_request/echo\"",
            "a method that its path does not accept method=\"GET\" path=\"/widget_request/echo\"",
            "path=\"/\"",
            "path=\"/last\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.to_lowercase().contains("private") && !text.contains(&secret), "{text}");
        assert_eq!(text.matches("request ").count(), 3 + 10, "{text}");
        let counted = handle.render();
        assert!(counted.contains(r#"bridge_unknown_paths_total{reason="path"} 505"#), "{counted}");
        assert!(counted.contains(r#"bridge_unknown_paths_total{reason="method"} 1"#), "{counted}");
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        log.wait("further lines were suppressed").await;
    }
}
