//! Access control of the admin listener.
//!
//! Each refusal is counted in `bridge_admin_refused_total{reason}`. The log contains the first few of a kind, and then
//! only their number.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use url::Url;

use crate::log_limiter::LogLimiter;
use crate::problem::{ProblemDetails, SendAfter, keep_private};
use crate::secrets::SharedSecret;
use model::clock::Clock;
use store::{ActionSource, Actor};

/// The delay before the response to a wrong token. A full listener may close the connection meanwhile, so guessing
/// takes no slot from others. A correct token never waits.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_secs(1);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Decides which callers have access.
pub(super) struct Guard {
    token: Option<SharedSecret>,
    log_limiter: LogLimiter,
}

/// Why access is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A token is set, but the request has none.
    NoToken,
    /// The token is wrong.
    WrongToken,
    /// No token is set, and the `Host` is a DNS name, which anyone could make point here.
    ForeignHost,
    /// No token is set, and the request comes from a web page of another site.
    CrossSite,
}

impl Guard {
    /// Creates a guard that requires `token`, if there is one.
    pub(super) fn new(token: Option<SharedSecret>, clock: Clock) -> Self {
        Self { token, log_limiter: LogLimiter::new("admin requests refused", clock) }
    }

    /// Who a caller with access is, for the log of actions.
    fn actor(&self) -> Actor {
        let role = if self.token.is_some() { "admin.token" } else { "without a token" };
        Actor::new(ActionSource::Api, role)
    }

    fn decide(&self, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        if path.starts_with("/health/") {
            return Ok(());
        }
        if let Some(token) = &self.token {
            let given = bearer(headers).ok_or(Refusal::NoToken)?;
            let same = given.as_bytes().ct_eq(token.get().expose_secret().as_bytes());
            return if bool::from(same) { Ok(()) } else { Err(Refusal::WrongToken) };
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !is_local(host) {
            return Err(Refusal::ForeignHost);
        }
        // This includes reads: a page cannot see the response, but its time and size would reveal whether a search
        // found something.
        if is_cross_site(host, headers) {
            return Err(Refusal::CrossSite);
        }
        Ok(())
    }

    fn report(&self, refusal: Refusal) {
        let reason = refusal.reason();
        metrics::counter!("bridge_admin_refused_total", "reason" => reason).increment(1);
        if self.log_limiter.allows(reason) {
            tracing::warn!(reason, "admin request refused");
        }
    }
}

/// The middleware that guards all routes.
pub(super) async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.decide(request.uri().path(), request.headers()) {
        Ok(()) => {
            request.extensions_mut().insert(guard.actor());
            next.run(request).await
        }
        Err(refusal) => {
            guard.report(refusal);
            refusal.into_response()
        }
    };
    keep_private(response.headers_mut());
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

/// Whether the `Host` is `localhost` or an IP address. Anyone could make any other name point here.
fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        // In `[::1]`, no port follows the last colon.
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Whether a browser reports that the request comes from a page of another site. Other programs send no such headers.
fn is_cross_site(host: &str, headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    headers.get(ORIGIN).is_some_and(|origin| !is_origin_of(origin, host))
}

fn is_origin_of(origin: &HeaderValue, host: &str) -> bool {
    let parse = |text: &str| Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    let Some(origin) = origin.to_str().ok().and_then(parse) else { return false };
    // A proxy in front may use TLS.
    ["http", "https"].iter().any(|scheme| parse(&format!("{scheme}://{host}")).as_ref() == Some(&origin))
}

impl Refusal {
    /// Returns the label of the metric and the log line.
    const fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "token_missing",
            Self::WrongToken => "token_wrong",
            Self::ForeignHost => "foreign_host",
            Self::CrossSite => "cross_site",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, slug, title, detail) = match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "admin-token-missing",
                "Token missing",
                "Send `Authorization: Bearer TOKEN` with the value of admin.token.",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "admin-token-wrong",
                "Wrong token",
                "The bearer token does not match admin.token.",
            ),
            Self::ForeignHost => (
                StatusCode::FORBIDDEN,
                "foreign-host",
                "Foreign host",
                "Without admin.token, the URL must contain an IP address or localhost. \
                 Set admin.token to use another host name.",
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "cross-site",
                "Cross-site request",
                "Without admin.token, requests from pages of another origin are refused. \
                 Set admin.token and send it.",
            ),
        };
        let mut response = ProblemDetails::new(status, slug, title, detail).into_response();
        if self == Self::WrongToken {
            response.extensions_mut().insert(SendAfter(WRONG_TOKEN_PAUSE));
        }
        let challenge = match self {
            Self::NoToken => r#"Bearer realm="salesbot-bridge admin""#,
            Self::WrongToken => r#"Bearer realm="salesbot-bridge admin", error="invalid_token""#,
            Self::ForeignHost | Self::CrossSite => return response,
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        pairs.iter().map(pair).collect()
    }

    fn guard(token: Option<&str>) -> Guard {
        Guard::new(token.map(Into::into), Clock::system())
    }

    #[test]
    fn with_a_token_only_its_bearer_has_access() {
        let guard = guard(Some("s3cret"));
        for (authorization, expected) in [
            (None, Err(Refusal::NoToken)),
            (Some(""), Err(Refusal::NoToken)),
            (Some("s3cret"), Err(Refusal::NoToken)),
            (Some("Basic s3cret"), Err(Refusal::NoToken)),
            (Some("Bearer"), Err(Refusal::NoToken)),
            (Some("Bearer "), Err(Refusal::WrongToken)),
            (Some("Bearer s3cre"), Err(Refusal::WrongToken)),
            (Some("Bearer s3crets"), Err(Refusal::WrongToken)),
            (Some("Bearer S3CRET"), Err(Refusal::WrongToken)),
            (Some("Bearer s3cret"), Ok(())),
            (Some("bearer  s3cret"), Ok(())),
        ] {
            let headers = match authorization {
                Some(value) => headers(&[("authorization", value)]),
                None => HeaderMap::new(),
            };
            for path in ["/api/v1/jobs", "/metrics", "/", "/health", "/healthy/live"] {
                assert_eq!(guard.decide(path, &headers), expected, "{authorization:?} {path}");
            }
            assert_eq!(guard.decide("/health/ready", &headers), Ok(()));
        }
    }

    #[test]
    fn without_a_token_only_a_local_host_has_access() {
        let guard = guard(None);
        for host in
            ["127.0.0.1:9090", "127.0.0.1", "localhost", "LocalHost:1", "[::1]:9090", "[::1]", "10.0.0.7:80"]
        {
            assert_eq!(guard.decide("/metrics", &headers(&[("host", host)])), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            ":9090",
        ] {
            let decided = guard.decide("/metrics", &headers(&[("host", host)]));
            assert_eq!(decided, Err(Refusal::ForeignHost), "{host}");
        }
        assert_eq!(guard.decide("/metrics", &HeaderMap::new()), Err(Refusal::ForeignHost));
        assert_eq!(guard.decide("/health/live", &HeaderMap::new()), Ok(()));
    }

    #[test]
    fn without_a_token_a_foreign_page_cannot_read_or_change_anything() {
        let guard = guard(None);
        let site = "sec-fetch-site";
        for (extra, expected) in [
            (("accept", "*/*"), Ok(())),
            ((site, "same-origin"), Ok(())),
            ((site, "none"), Ok(())),
            ((site, "same-site"), Err(Refusal::CrossSite)),
            ((site, "cross-site"), Err(Refusal::CrossSite)),
            (("origin", "http://127.0.0.1:9090"), Ok(())),
            (("origin", "http://127.0.0.1:9091"), Err(Refusal::CrossSite)),
            (("origin", "http://localhost:9090"), Err(Refusal::CrossSite)),
            (("origin", "https://evil.example"), Err(Refusal::CrossSite)),
            (("origin", "null"), Err(Refusal::CrossSite)),
        ] {
            let headers = headers(&[("host", "127.0.0.1:9090"), extra]);
            assert_eq!(guard.decide("/api/v1/jobs/retry", &headers), expected, "{extra:?}");
            for path in ["/api/v1/jobs", "/metrics", "/"] {
                assert_eq!(guard.decide(path, &headers), expected, "{extra:?} {path}");
            }
            assert_eq!(guard.decide("/health/ready", &headers), Ok(()), "{extra:?}");
        }
        let both = headers(&[("host", "127.0.0.1:9090"), (site, "none"), ("origin", "https://evil.example")]);
        assert_eq!(
            guard.decide("/metrics", &both),
            Err(Refusal::CrossSite),
            "one of the two headers is enough"
        );
        let default_port = headers(&[("host", "localhost"), ("origin", "http://localhost")]);
        assert_eq!(guard.decide("/api/v1/jobs/retry", &default_port), Ok(()));
    }
}
