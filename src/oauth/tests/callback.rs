//! The outcomes of a callback.

use futures_util::FutureExt;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

#[tokio::test]
async fn a_person_with_a_link_connects_the_account_and_sees_a_page() {
    let bench = Bench::new().await;
    let answer = bench.send(Method::GET, &bench.callback(&[]), BROWSER).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(answer.text.contains(&bench.host) && answer.text.contains("main"), "{}", answer.text);
    for (header, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("vary", "accept"),
    ] {
        assert_eq!(answer.headers[header], value);
    }
    assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let asked = bench.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0]["code"], &asked[0]["client_secret"]), (&json!("the-code"), &json!(SECRET)));
    assert_eq!(bench.state_of_account().await, Some(AccountState::Active));
}

#[tokio::test]
async fn programs_get_json_and_an_installation_at_a_known_address_needs_no_state() {
    let bench = Bench::new().await;
    bench.becomes_known();
    let installed = bench.callback(&[("state", ""), ("from_widget", "1")]);
    let expected = json!({ "account_id": 7, "host": bench.host, "state": "active" });
    assert_eq!(bench.get(&installed).await, (200, expected));
}

#[tokio::test]
async fn an_installation_without_a_link_is_refused_or_kept_and_sends_nothing() {
    let refusing = Bench::with(|parts| parts.integrations[0].install_without_link = false).await;
    let installed = refusing.callback(&[("state", ""), ("from_widget", "1")]);
    let (status, body) = refusing.get(&installed).await;
    assert_eq!((status, &body["type"]), (403, &json!("urn:salesbot-bridge:problem:link-needed")));
    assert!(body["detail"].as_str().unwrap().contains("accounts authorize"), "{body}");

    let keeping = Bench::new().await;
    let installed = keeping.callback(&[("state", ""), ("from_widget", "1")]);
    let (status, body) = keeping.get(&installed).await;
    assert_eq!((status, &body["state"], &body["host"]), (202, &json!("unconfirmed"), &json!(keeping.host)));
    let page = keeping.send(Method::GET, &installed, BROWSER).await;
    assert_eq!(page.status, 202);
    assert!(page.text.contains(&format!("accounts confirm {}", keeping.host)), "{}", page.text);
    for bench in [refusing, keeping] {
        assert_eq!((bench.asked(), bench.state_of_account().await), (Vec::new(), None));
    }
}

#[tokio::test]
async fn a_reloaded_page_says_that_the_account_is_connected() {
    let bench = Bench::new().await;
    let path = bench.callback(&[]);
    let first = bench.get(&path).await;
    assert_eq!(bench.get(&path).await, first);
    let page = bench.send(Method::GET, &path, BROWSER).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("The account is connected") && page.text.contains("loaded again"),
        "{}",
        page.text
    );
    assert_eq!(bench.asked().len(), 1);
    let other = path.replace("the-code", "another-code");
    assert_eq!(bench.refused(&other).await, (403, "state-refused".into()));
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn a_persons_refusal_changes_nothing_and_is_not_an_error() {
    let bench = Bench::new().await;
    bench.get(&bench.callback(&[])).await;
    let path = "/oauth/callback?error=access_denied&client_id=id-of-main";
    assert_eq!(bench.get(path).await, (200, json!({ "state": "denied" })));
    let page = bench.send(Method::GET, path, BROWSER).await;
    assert!(page.text.contains("Nothing was changed"), "{}", page.text);
    assert_eq!(bench.state_of_account().await, Some(AccountState::Active));
}

#[tokio::test]
async fn calls_that_kommo_never_makes_are_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let ours = bench.callback(&[]);
    let long = "x".repeat(5_000);
    for (path, status, slug) in [
        ("/oauth/callback".to_owned(), 400, "no-oauth-callback"),
        (bench.callback(&[("code", "")]), 400, "no-oauth-callback"),
        (bench.callback(&[("referer", "")]), 400, "no-oauth-callback"),
        (bench.callback(&[("code", &long)]), 400, "no-oauth-callback"),
        (format!("{ours}&code=another"), 400, "no-oauth-callback"),
        (bench.callback(&[("error", "server_error")]), 400, "authorization-failed"),
        (bench.callback(&[("client_id", "another")]), 403, "unknown-integration"),
        (bench.callback(&[("state", "")]), 403, "state-refused"),
        (bench.callback(&[("state", "forged"), ("from_widget", "1")]), 403, "state-refused"),
        (bench.callback(&[("state", ""), ("from_widget", "0")]), 403, "state-refused"),
        (bench.callback(&[("referer", "evil.example.com")]), 403, "referer-refused"),
        (bench.callback(&[("referer", &format!("evil@{}", bench.host))]), 403, "referer-refused"),
    ] {
        assert_eq!(bench.refused(&path).await, (status, slug.to_owned()), "{path}");
    }
    bench.clock.advance(LINK_LIFE);
    assert_eq!(bench.refused(&ours).await, (403, "state-refused".into()));
    assert_eq!(bench.asked(), Vec::<Value>::new());
    assert_eq!(bench.state_of_account().await, None);
}

#[tokio::test]
async fn kommos_response_to_the_exchange_decides_the_status() {
    let bench = Bench::new().await;
    let dead = json!({ "hint": "Authorization code has expired" });
    let wrong_secret = json!({ "hint": "Client authentication failed" });
    for (said, status, slug) in [
        ((400, dead), 400, "code-refused"),
        ((401, wrong_secret), 502, "integration-refused"),
        ((403, json!("<html>blocked</html>")), 502, "address-blocked"),
        ((503, json!({})), 503, "kommo-unavailable"),
    ] {
        bench.kommo_says(said.0, said.1);
        assert_eq!(bench.refused(&bench.callback(&[])).await, (status, slug.to_owned()));
        let page = bench.send(Method::GET, &bench.callback(&[]), BROWSER).await;
        assert_eq!((page.status.as_u16(), page.headers.contains_key("retry-after")), (status, status == 503));
        assert!(page.text.contains("What to do"), "{}", page.text);
    }
    assert_eq!(bench.state_of_account().await, None);
}

#[tokio::test]
async fn a_bridge_without_oauth_says_what_is_missing() {
    for (bench, missing) in [
        (Bench::with(|parts| parts.keys = None).await, "store.encryption_key"),
        (
            Bench::with(|parts| parts.integrations[0].redirect_uri = None).await,
            "integrations.main.redirect_uri",
        ),
    ] {
        let host = &bench.host;
        let path = format!("/oauth/callback?code=c&referer={host}&client_id=id-of-main&from_widget=1");
        let (status, body) = bench.get(&path).await;
        assert_eq!(status, 501, "{body}");
        assert!(body["detail"].as_str().unwrap().contains(missing), "{body}");
        assert_eq!(bench.asked(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_stopping_bridge_uses_no_code_but_still_accepts_a_revocation() {
    let bench = Bench::new().await;
    bench.get(&bench.callback(&[])).await;
    bench.draining.cancel();
    let answer = bench.send(Method::GET, &bench.callback(&[]), "*/*").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &HeaderValue::from(5)));
    assert_eq!(bench.asked().len(), 1);
    bench.kommo_forgets();
    assert_eq!(bench.get(&revocation("7")).await, (200, json!({ "cancelled": 0 })));
    assert_eq!(bench.state_of_account().await, Some(AccountState::Revoked));
}

#[tokio::test]
async fn a_caller_that_hangs_up_interrupts_neither_the_exchange_nor_its_log() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let bench = Bench::new().await;
    let _recording = metrics::set_default_local_recorder(&recorder);
    let request = Request::builder().uri(bench.callback(&[])).body(Body::empty()).unwrap();
    let mut call = Box::pin(bench.router.clone().oneshot(request));
    assert!(call.as_mut().now_or_never().is_none(), "the call waits for Kommo");
    drop(call);
    let limit = std::time::Instant::now() + Duration::from_secs(30);
    let counted = r#"bridge_oauth_callbacks_total{outcome="connected"} 1"#;
    while !recorder.handle().render().contains(counted) {
        assert!(std::time::Instant::now() < limit, "the exchange never ended");
        bench.state_of_account().await;
    }
    assert_eq!(bench.state_of_account().await, Some(AccountState::Active));
}

#[tokio::test]
async fn parallel_exchanges_are_limited() {
    let bench = Bench::new().await;
    let paths: Vec<String> = (0..=MAX_PARALLEL_EXCHANGES).map(|_| bench.callback(&[])).collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| bench.get(path))).await;
    let busy: Vec<&Value> =
        answers.iter().filter(|(status, _)| *status == 503).map(|(_, body)| body).collect();
    assert_eq!(busy.len(), 1, "{answers:?}");
    assert_eq!(busy[0]["type"], "urn:salesbot-bridge:problem:busy");
    assert_eq!(bench.asked().len(), MAX_PARALLEL_EXCHANGES);
}
