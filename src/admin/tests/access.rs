//! Who has access, with a token and without one.

use super::*;

/// One address of each kind.
pub(super) const PATHS: &[(&str, &str)] = &[
    ("GET", "/metrics"),
    ("GET", "/api/v1/jobs"),
    ("GET", "/api/v1/jobs/018bcfe5-687b-7000-8000-000000000001"),
    ("POST", "/api/v1/jobs/018bcfe5-687b-7000-8000-000000000001/retry"),
    ("POST", "/api/v1/jobs/018bcfe5-687b-7000-8000-000000000001/cancel"),
    ("POST", "/api/v1/jobs/018bcfe5-687b-7000-8000-000000000001/complete"),
    ("POST", "/api/v1/jobs/retry"),
    ("POST", "/api/v1/jobs/bulk"),
    ("POST", "/api/v1/jobs/erase"),
    ("GET", "/api/v1/jobs/bulk/1"),
    ("POST", "/api/v1/jobs/bulk/1/stop"),
    ("GET", "/api/v1/actions"),
    ("GET", "/api/v1/stats"),
    ("GET", "/api/v1/history"),
    ("GET", "/api/v1/jobs/018bcfe5-687b-7000-8000-000000000001/explain"),
    ("GET", "/api/v1/errors"),
    ("GET", "/api/v1/errors/1"),
    ("POST", "/api/v1/errors/1/retry"),
    ("GET", "/api/v1/accounts"),
    ("GET", "/api/v1/handlers"),
    ("GET", "/api/v1/store"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/"),
    ("POST", "/logout"),
    ("GET", "/jobs/018bcfe5-687b-7000-8000-000000000001"),
    ("POST", "/jobs/018bcfe5-687b-7000-8000-000000000001/retry"),
    ("POST", "/jobs/018bcfe5-687b-7000-8000-000000000001/cancel"),
    ("POST", "/jobs/018bcfe5-687b-7000-8000-000000000001/complete"),
    ("POST", "/jobs/018bcfe5-687b-7000-8000-000000000001/reveal"),
    ("GET", "/jobs"),
    ("POST", "/jobs/selected"),
    ("POST", "/jobs/bulk"),
    ("GET", "/jobs/bulk/1"),
    ("POST", "/jobs/bulk/1/stop"),
    ("GET", "/errors"),
    ("GET", "/errors/1"),
    ("GET", "/errors/1/retry"),
    ("POST", "/errors/1/retry"),
    ("GET", "/accounts"),
    ("POST", "/accounts/resume"),
    ("GET", "/handlers"),
    ("GET", "/settings"),
    ("GET", "/handlers/echo/test"),
    ("POST", "/handlers/echo/test"),
    ("GET", "/store"),
    ("GET", "/store/backup"),
    ("POST", "/store/backup"),
    ("POST", "/store/check"),
    ("GET", "/actions"),
    ("DELETE", "/nothing/here"),
];

#[tokio::test]
async fn everything_but_health_requires_the_token_if_one_is_set() {
    let it = Fixture::new(Some(TOKEN)).await;
    for (method, path) in PATHS.iter().copied() {
        let answer = it.call(method, path, "").await;
        answer.problem(401);
        assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="salesbot-bridge admin""#);
        let answer = it.call_with(method, path, "", &[("authorization", "Bearer wrong")]).await;
        answer.problem(401);
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
        let bearer = format!("Bearer {TOKEN}");
        let answer = it.call_with(method, path, "", &[("authorization", &bearer)]).await;
        assert!(!matches!(answer.status.as_u16(), 401 | 403), "{path}: {}", answer.text);
    }
    for path in ["/health/live", "/health/ready"] {
        let answer = it.call_with("GET", path, "", &[]).await;
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn without_a_token_web_pages_are_kept_out() {
    let it = Fixture::new(None).await;
    for (method, path) in PATHS.iter().copied() {
        it.call_with(method, path, "", &[("host", "rebound.example")]).await.problem(403);
    }
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let page = [("host", "127.0.0.1:9090"), ("origin", "https://evil.example")];
    it.call_with("POST", "/api/v1/jobs/retry", r#"{"state":"dead"}"#, &page).await.problem(403);
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "dead");
}
