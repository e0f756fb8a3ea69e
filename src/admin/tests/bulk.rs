//! Bulk changes by filter: the dry run, its token, and what the change does.

use super::*;
use actions::ended;

async fn bulk(it: &Fixture, body: &Value) -> Answer {
    it.call("POST", "/api/v1/jobs/bulk", &body.to_string()).await
}

/// Makes a dry run. Returns the request with its token.
async fn counted(it: &Fixture, action: &str, filter: &str) -> Value {
    let plan = bulk(it, &json!({ "action": action, "filter": filter, "dry_run": true })).await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.text);
    json!({ "action": action, "filter": filter, "token": plan.json()["token"] })
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let it = Fixture::new(None).await;
    let oldest = it.jobs.make("echo", StateName::Dead).await;
    it.jobs.make("other", StateName::Dead).await;
    it.jobs.make("echo", StateName::Delivered).await;
    let newest = it.jobs.make("echo", StateName::Gone).await;
    let plan =
        bulk(&it, &json!({ "action": "retry", "filter": "handler:echo since:1h", "dry_run": true })).await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.text);
    let mut plan = plan.json();
    let token = plan["token"].take();
    let expected = json!({
        "action": "retry",
        "filter": "handler:echo since:2023-11-14T21:13:24.000Z state:dead,gone,delivering",
        "force": false, "jobs": 2, "accounts": { "1": 1, "4": 1 },
        "oldest": { "id": oldest.to_string(), "received_at": "2023-11-14T22:13:21.000Z" },
        "newest": { "id": newest.to_string(), "received_at": "2023-11-14T22:13:24.000Z" },
        "seconds": 1, "token": null, "expires_at": "2023-11-14T22:18:24.000Z",
    });
    assert_eq!(plan, expected);
    assert!(token.is_string());
    assert_eq!(it.get(&format!("/api/v1/jobs/{oldest}")).await["state"], "dead");
    assert_eq!(it.get("/api/v1/actions").await["actions"], json!([]));
    let none =
        bulk(&it, &json!({ "action": "cancel", "filter": "handler:none", "dry_run": true })).await.json();
    assert_eq!((&none["jobs"], &none["token"], &none["seconds"]), (&json!(0), &Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_change_does_what_was_counted_even_if_the_filter_is_relative_and_time_passes() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let asked = counted(&it, "retry", "state:dead since:1m").await;
    it.jobs.clock.advance(Duration::from_secs(120));
    let later = it.jobs.make("echo", StateName::Dead).await;
    let answer = bulk(&it, &asked).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let change = ended(&it, answer.headers["location"].to_str().unwrap()).await;
    assert_eq!(
        (&change["changed"], &change["skipped"], &change["max_jobs"]),
        (&json!(1), &json!(0), &json!(1))
    );
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "delivering");
    assert_eq!(it.get(&format!("/api/v1/jobs/{later}")).await["state"], "dead");
    let log = it.get("/api/v1/actions").await["actions"][0].clone();
    assert_eq!(
        (&log["what"], &log["jobs"], &log["result"]),
        (&json!("jobs retry"), &json!(1), &json!("done"))
    );
    let detail = bulk(&it, &asked).await.problem(409);
    assert!(
        detail.starts_with("The token was used before") && detail.contains("another dry run"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_token_is_bound_to_action_filter_and_time() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let asked = counted(&it, "retry", "state:dead").await;
    for (key, value) in [
        ("action", json!("cancel")),
        ("filter", json!("state:dead,gone")),
        ("force", json!(true)),
        ("token", json!("abc")),
    ] {
        let mut other = asked.clone();
        other[key] = value;
        bulk(&it, &other).await.problem(409);
    }
    it.jobs.clock.advance(Duration::from_secs(301));
    assert!(bulk(&it, &asked).await.problem(409).contains("has expired"));
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "dead");
}

#[tokio::test]
async fn a_change_without_a_dry_run_or_without_a_filter_is_refused() {
    let it = Fixture::new(None).await;
    for (body, part) in [
        (json!({}), "missing field `action`"),
        (json!({ "action": "erase", "filter": "state:dead", "dry_run": true }), "unknown variant `erase`"),
        (json!({ "action": "retry", "filter": "state:dead" }), "neither `dry_run` nor `token`"),
        (json!({ "action": "retry", "filter": "state:dead", "dry_run": true, "token": "x" }), "both"),
        (json!({ "action": "retry", "filter": " ", "dry_run": true }), "`filter` is empty"),
        (json!({ "action": "retry", "filter": "stat:dead", "dry_run": true }), "unknown key `stat`"),
    ] {
        let detail = bulk(&it, &body).await.problem(400);
        assert!(detail.contains(part) && detail.contains(r#""dry_run":true"#), "{body}: {detail}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_leaves_the_token_valid() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    let asked = counted(&it, "retry", "state:dead").await;
    let refuses = it.jobs.store.maintenance().commit_refusal().await;
    refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    bulk(&it, &asked).await.problem(503);
    refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bulk(&it, &asked).await.status, StatusCode::ACCEPTED);
}
