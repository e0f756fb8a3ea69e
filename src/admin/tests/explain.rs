//! Explanations, and the state of handlers, through the API.

use super::*;

#[tokio::test]
async fn every_job_is_explained() {
    let it = Fixture::new(None).await;
    for (handler, state, code) in [
        ("echo", StateName::Queued, "worker"),
        ("other", StateName::Queued, "no_handler"),
        ("third", StateName::Running, "handler"),
        ("echo", StateName::AwaitingCallback, "callback"),
        ("fourth", StateName::Delivering, "turn"),
        ("fourth", StateName::Delivered, "answered"),
        ("fourth", StateName::Gone, "no_bot"),
        ("fourth", StateName::Dead, "refused"),
        ("fourth", StateName::Cancelled, "cancelled"),
    ] {
        let handler = if state == StateName::AwaitingCallback { "fifth" } else { handler };
        let id = it.jobs.make(handler, state).await;
        let explained = it.get(&format!("/api/v1/jobs/{id}/explain")).await;
        assert_eq!(explained["because"][0]["code"], code, "{explained}");
        assert_eq!((&explained["id"], &explained["state"]), (&json!(id), &json!(state)), "{explained}");
        assert!(explained["summary"].as_str().unwrap().starts_with(state.as_str()), "{explained}");
        assert_eq!(explained["unknown"], json!([]), "{explained}");
        let fields: Vec<&String> = explained.as_object().unwrap().keys().collect();
        let expected =
            ["because", "error_group", "handler", "id", "next", "state", "summary", "unknown", "you_can"];
        assert_eq!(fields, expected);
    }
    let unknown = "/api/v1/jobs/018bcfe5-687b-7000-8000-000000000001/explain";
    assert!(it.call("GET", unknown, "").await.problem(404).contains("There is no job"));
}

#[tokio::test]
async fn handlers_show_what_they_do_and_how_long_their_jobs_took() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Delivered).await;
    it.jobs.make("echo", StateName::Dead).await;
    let handlers = it.get("/api/v1/handlers").await;
    assert_eq!(
        handlers,
        json!({ "handlers": [{
            "name": "echo", "kind": "echo", "url": null, "max_attempts": 10, "attempt_timeout_ms": 30_000,
            "answer_within_ms": 50_000, "ordering": "none", "coalesce_ms": 0, "awaiting_callback": 0, "max_awaiting": null,
            "concurrency": { "in_use": 3, "limit": 64, "shared": true },
            "breaker": { "open": false, "next_probe_at": null },
            "recent": { "jobs": 2, "answered": 2, "fallbacks": 0, "delivered": 1, "dead": 1, "p50_ms": 0, "p99_ms": 0 },
        }] })
    );
}

#[tokio::test]
async fn accounts_and_the_store_are_shown() {
    let it = Fixture::new(None).await;
    assert_eq!(
        it.get("/api/v1/accounts").await,
        json!({ "accounts": [], "installations": [], "everybody_waits": null })
    );
    it.jobs.make("echo", StateName::Dead).await;
    let store = it.get("/api/v1/store").await;
    assert_eq!((&store["jobs"]["dead"], &store["path"]), (&json!(1), &json!("/nowhere/bridge.db")));
    assert_eq!((&store["retention_ms"], &store["last_backup"]), (&json!(1_209_600_000), &Value::Null));
    assert!(store["stored_bytes"].as_u64().unwrap() > 0, "{store}");
}
