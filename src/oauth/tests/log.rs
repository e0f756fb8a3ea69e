//! What the log and the metrics contain about a call, and what they must not.

use metrics_exporter_prometheus::PrometheusBuilder;
use test_log::collect;

use super::*;

#[tokio::test]
async fn each_call_is_counted_and_a_refused_one_logs_one_warning_without_secrets() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let bench = Bench::new().await;
    let lines = collect(tracing::Level::TRACE);
    let _recording = metrics::set_default_local_recorder(&recorder);
    let state = bench.state();
    bench.get(&bench.callback(&[("state", &state)])).await;
    bench.get(&bench.callback(&[("referer", "evil.example.com"), ("state", &state)])).await;
    bench.get("/oauth/callback?error=access_denied").await;
    bench.get(&bench.callback(&[("state", &state)])).await;
    bench.get(&revocation("7")).await;
    bench.kommo_forgets();
    bench.clock.advance(Duration::from_secs(60));
    bench.get(&revocation("7")).await;
    let wrong = revocation("7").replace("account_id=7", "account_id=8");
    bench.get(&wrong).await;
    let text = recorder.handle().render();
    for line in [
        r#"bridge_oauth_callbacks_total{outcome="connected"} 1"#,
        r#"bridge_oauth_callbacks_total{outcome="repeated"} 1"#,
        r#"bridge_oauth_callbacks_total{outcome="bad_referer"} 1"#,
        r#"bridge_oauth_callbacks_total{outcome="denied"} 1"#,
        r#"bridge_oauth_revocations_total{outcome="still_connected"} 1"#,
        r#"bridge_oauth_revocations_total{outcome="revoked"} 1"#,
        r#"bridge_oauth_revocations_total{outcome="bad_signature"} 1"#,
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    let log = lines.text();
    let count = |what: &str| log.lines().filter(|line| line.contains("WARN") && line.contains(what)).count();
    assert_eq!((count("account not connected"), count("account not disconnected")), (1, 2), "{log}");
    let signature = wrong.rsplit_once('=').unwrap().1;
    for secret in ["the-code", &state, signature, SECRET, "issued-access", "issued-refresh", "evil"] {
        assert!(!log.contains(secret) && !text.contains(secret), "{secret} in {log}");
    }
}
