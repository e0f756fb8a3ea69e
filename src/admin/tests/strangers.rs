//! Refused callers of the admin listener, what is logged about them, and what browsers may do with a response.

use http::Response;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::Instant;

use super::access::PATHS;
use super::*;
use crate::problem::SendAfter;

const PRIVATE: [(&str, &str); 7] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

#[tokio::test]
async fn browsers_neither_cache_a_response_nor_share_it_with_another_site() {
    for token in [None, Some(TOKEN)] {
        let it = Fixture::new(token).await;
        let bearer = format!("Bearer {TOKEN}");
        for (method, path) in PATHS.iter().copied().chain([
            ("GET", "/health/live"),
            ("GET", "/health/ready"),
            ("GET", "/login"),
            ("POST", "/login"),
            ("GET", "/assets/missing.css"),
        ]) {
            let good = [("host", "127.0.0.1:9090"), ("authorization", bearer.as_str())];
            for headers in [&good[..], &[("host", "evil.example")]] {
                let answer = it.call_with(method, path, "", headers).await;
                for (name, value) in PRIVATE {
                    let found: Vec<_> = answer.headers.get_all(name).iter().collect();
                    assert_eq!(found, [value], "{method} {path} {}", answer.status);
                }
            }
        }
    }
}

#[tokio::test]
async fn without_a_token_pages_of_other_sites_read_nothing_but_probes_work() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    let local = ("host", "127.0.0.1:9090");
    for from_elsewhere in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        for path in ["/api/v1/jobs?q=hello", "/api/v1/stats", "/metrics", "/"] {
            let detail = it.call_with("GET", path, "", &[local, from_elsewhere]).await.problem(403);
            assert!(detail.contains("admin.token"), "{detail}");
        }
        let live = it.call_with("GET", "/health/live", "", &[("host", "probe"), from_elsewhere]).await;
        assert_eq!(live.status, StatusCode::OK);
    }
    let own = it.call_with("GET", "/api/v1/jobs", "", &[local, ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(own.status, StatusCode::OK);
}

#[tokio::test]
async fn only_wrong_tokens_are_delayed_and_their_log_lines_are_limited() {
    let it = Fixture::new(Some(TOKEN)).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let lines = test_log::collect(tracing::Level::INFO);
    let ask = async |authorization: &str| -> Response<Body> {
        let request = Request::get("/api/v1/stats").header("authorization", authorization);
        it.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let is_late = |response: &Response<Body>| response.extensions().get::<SendAfter>().is_some();

    for _ in 0..100 {
        let wrong = ask("Bearer guess-4711").await;
        assert_eq!((wrong.status().as_u16(), is_late(&wrong)), (401, true));
    }
    let good = ask(&format!("Bearer {TOKEN}")).await;
    assert_eq!((good.status().as_u16(), is_late(&good)), (200, false));
    let none = ask("").await;
    assert_eq!((none.status().as_u16(), is_late(&none)), (401, false));

    let text = handle.render();
    for line in [
        r#"bridge_admin_refused_total{reason="token_wrong"} 100"#,
        r#"bridge_admin_refused_total{reason="token_missing"} 1"#,
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    let log = lines.text();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("token_wrong"), count("token_missing")), (10, 1), "{log}");
    assert!(!log.contains("4711") && !log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn a_full_public_listener_is_degraded_and_then_not_ready() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let now = Instant::now();
    it.health.callers_wait(Some(now));
    let ready = it.get("/health/ready").await;
    assert_eq!(ready["status"], "ready");
    let degraded = ready["degraded"][0].as_str().unwrap();
    assert!(degraded.contains("server.max_connections"), "{degraded}");

    it.health.callers_wait(now.checked_sub(Duration::from_secs(2)));
    let answer = it.call("GET", "/health/ready", "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.json()["reasons"][0].as_str().unwrap().contains("found no slot for 2."),
        "{}",
        answer.text
    );

    it.health.callers_wait(None);
    let ready = it.get("/health/ready").await;
    assert_eq!((&ready["status"], &ready["degraded"]), (&json!("ready"), &Value::Null), "{ready}");
}
