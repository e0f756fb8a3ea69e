//! Statistics and metrics through the API.

use super::waits::unauthorized;
use super::*;
use model::Timestamp;

#[tokio::test]
async fn stats_and_metrics_agree() {
    let it = Fixture::new(None).await;
    let empty = it.get("/api/v1/stats").await;
    assert_eq!(empty["oldest_queued_seconds"], Value::Null);
    it.jobs.make("echo", StateName::Dead).await;
    it.jobs.make("echo", StateName::Queued).await;
    it.jobs.clock.advance(Duration::from_millis(2_500));
    it.health.account_waits("https://a1.kommo.com", unauthorized());
    it.health.refused("no_handler", "unknown handler (`gret`)".to_owned(), Timestamp::from_millis(7));
    assert_eq!(
        it.get("/api/v1/stats").await,
        json!({
            "jobs": { "queued": 1, "running": 0, "awaiting_callback": 0, "delivering": 0, "delivered": 0, "gone": 0, "dead": 1,
                      "cancelled": 0 },
            "oldest_queued_seconds": 2.5,
            "waiting_for_turn": 0,
            "accounts_waiting": [{ "account": "a1.kommo.com", "why": "Kommo answered 401; authorize it" }],
            "unknown_paths": [],
            "refused": [{ "outcome": "no_handler", "requests": 1, "last_at": "1970-01-01T00:00:00.007Z",
                          "last_reason": "unknown handler (`gret`)" }],
            "last_hour": { "jobs": 1, "fallbacks": 0, "fallbacks_by": [], "is_sample": false },
        })
    );
    let answer = it.call("GET", "/metrics", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "bridge_jobs{state=\"queued\"} 1",
        "bridge_jobs{state=\"dead\"} 1",
        "bridge_jobs{state=\"cancelled\"} 0",
        "bridge_oldest_queued_seconds 2.5",
        "bridge_jobs_waiting_for_turn 0",
        "bridge_accounts_waiting 1",
        "bridge_paused_accounts{reason=\"unauthorized\"} 1",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line} in\n{}", answer.text);
    }
    for line in answer.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(
            (name.starts_with("bridge_") || name.starts_with("process_")) && value.parse::<f64>().is_ok(),
            "{line}"
        );
    }
}
