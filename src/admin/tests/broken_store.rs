//! The API with a store that does not respond.

use super::*;

#[tokio::test]
async fn a_failing_store_is_503_with_retry_after() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Dead).await;
    it.jobs.store.close().await;
    for (method, path, body) in [
        ("GET", "/api/v1/jobs".to_owned(), ""),
        ("GET", format!("/api/v1/jobs/{id}"), ""),
        ("POST", format!("/api/v1/jobs/{id}/retry"), ""),
        ("POST", format!("/api/v1/jobs/{id}/cancel"), ""),
        ("POST", "/api/v1/jobs/retry".to_owned(), r#"{"state":"dead"}"#),
        ("GET", "/api/v1/stats".to_owned(), ""),
    ] {
        let answer = it.call(method, &path, body).await;
        answer.problem(503);
        assert_eq!(answer.headers["retry-after"], "5");
    }
    let metrics = it.call("GET", "/metrics", "").await;
    assert_eq!(metrics.status, StatusCode::OK);
    assert!(!metrics.text.contains("bridge_jobs{") && metrics.text.contains("bridge_accounts_waiting"));
}
