//! What the log and the metrics contain about a request, and what they must not.

use http::HeaderValue;
use metrics_exporter_prometheus::PrometheusBuilder;
use test_log::collect;

use super::*;

#[tokio::test]
async fn a_flood_of_bad_requests_does_not_fill_the_log() {
    let bench = Bench::new().await;
    let lines = collect(tracing::Level::TRACE);
    for _ in 0..500 {
        bench.post(form(&token(json!({"exp": 1})), RETURN_URL)).await;
    }
    bench.post("{").await;
    tokio::task::yield_now().await;
    bench.clock.advance(Duration::from_secs(10));
    lines.wait("further lines were suppressed").await;
    let log = lines.text();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    // Ten of one kind; a different kind is still logged.
    assert_eq!((count("WARN") - 1, count("starts like JSON")), (10, 1), "{log}");
    assert_eq!(count("widget_requests refused"), 1, "{log}");
    assert!(log.contains("kind=\"unauthorized\" suppressed=490"), "{log}");
}

#[tokio::test]
async fn a_refusal_logs_one_line_without_secrets() {
    let bench = Bench::new().await;
    let lines = collect(tracing::Level::TRACE);
    let expired = token(json!({"exp": 1}));
    let foreign = "https://evil.example.com/api/v4/salesbot/1/continue/2";
    bench.post(form(&expired, RETURN_URL)).await;
    bench.post(form(&token(json!({})), foreign)).await;
    bench.post("{\"token\": \"private\"").await;
    let log = lines.text();
    let refusals: Vec<&str> = log.lines().filter(|line| line.contains("widget_request refused")).collect();

    assert_eq!(refusals.len(), 3, "{log}");
    assert!(refusals[0].contains("WARN") && refusals[0].contains("handler=\"greet\""), "{log}");
    assert!(refusals[0].contains("expired") && !refusals[0].contains("account.id"), "{log}");
    assert!(refusals[1].contains("WARN") && refusals[1].contains("account.id=31764961"), "{log}");
    assert!(refusals[1].contains("return_url.host=\"evil.example.com\""), "{log}");
    assert!(refusals[2].contains("INFO"), "{log}");
    for secret in [expired.as_str(), "eyJ", "continue/", "Ann", "private"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_value_at_fault() {
    let bench = Bench::new().await;
    let lines = collect(tracing::Level::TRACE);
    let long = "x".repeat(300);
    for (path, token, return_url, expected) in [
        ("/widget_request/gret", token(json!({})), RETURN_URL, "path.handler=\"gret\""),
        ("/widget_request/a%0Ab", token(json!({})), RETURN_URL, "path.handler=\"a\\\\u000ab\""),
        (PATH, token(json!({"client_uuid": "stranger"})), RETURN_URL, "token.client_uuid=\"stranger\""),
        (
            PATH,
            token(json!({"aud": ["https://a.b", "https://c.d"]})),
            RETURN_URL,
            "token.aud=\"https://a.b https://c.d\"",
        ),
        (PATH, token(json!({"aud": long})), RETURN_URL, "xxx…\""),
        (
            PATH,
            token(json!({})),
            "https://b.kommo.com:8443/api/v4/salesbot/1/continue/2",
            "return_url.host=\"b.kommo.com:8443\"",
        ),
    ] {
        lines.clear();
        bench.send(Method::POST, path, form(&token, return_url)).await;
        let log = lines.text();
        let refusals: Vec<&str> =
            log.lines().filter(|line| line.contains("widget_request refused")).collect();
        assert_eq!(refusals.len(), 1, "{log}");
        assert!(refusals[0].contains(expected), "{expected} in {log}");
        for secret in [token.as_str(), "eyJ", "continue/", "Ann", &long] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_with_what_to_send() {
    let bench = Bench::new().await;
    let lines = collect(tracing::Level::TRACE);
    let body = form(&token(json!({})), RETURN_URL);
    for (encoding, status) in [
        ("gzip", 415),
        ("identity, br", 415),
        ("x\u{e4}", 415),
        ("identity", 200),
        (" Identity ", 200),
        ("", 200),
    ] {
        let value = HeaderValue::from_bytes(encoding.as_bytes()).unwrap();
        let request = Request::builder().method(Method::POST).uri(PATH).header("content-encoding", value);
        let response =
            bench.router.clone().oneshot(request.body(Body::from(body.clone())).unwrap()).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{encoding}");
        assert_eq!(response.headers().contains_key("accept-encoding"), status == 415);
        let answer = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        if status == 415 {
            assert_eq!(answer["type"], "urn:salesbot-bridge:problem:body-encoded");
            assert!(answer["detail"].as_str().unwrap().contains("send it unencoded"), "{answer}");
        }
    }
    let log = lines.text();
    assert!(log.contains("content_encoding=\"gzip\""), "{log}");
}

#[tokio::test]
async fn requests_are_counted_by_known_handler_and_outcome() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::new().await;
    bench.post(form(&token(json!({})), RETURN_URL)).await;
    bench.post(form(&token(json!({})), RETURN_URL)).await;
    bench.post("nonsense").await;
    bench.send(Method::POST, "/widget_request/made-up-1", "").await;
    bench.send(Method::POST, "/widget_request/made-up-2", "").await;
    let text = handle.render();
    for line in [
        r#"bridge_requests_total{handler="greet",outcome="accepted"} 1"#,
        r#"bridge_requests_total{handler="greet",outcome="duplicate"} 1"#,
        r#"bridge_requests_total{handler="greet",outcome="bad_request"} 1"#,
        r#"bridge_requests_total{handler="unknown",outcome="no_handler"} 2"#,
        "bridge_ack_seconds_count 2",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    assert!(!text.contains("made-up"));
}
