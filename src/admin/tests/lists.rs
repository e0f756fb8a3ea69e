//! Lists do not delay the stats, and do not show dropped bodies.

use model::filter::{FilterKey, JobTrait, WaitingFor};
use model::{Budget, FallbackReason};

use super::*;

#[tokio::test]
async fn stats_and_health_do_not_wait_behind_lists() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Dead).await;
    it.health.ready();
    let turns = it.jobs.store.jobs().hold_lists().await;
    for path in ["/metrics", "/api/v1/stats", "/health/live", "/health/ready"] {
        assert_eq!(it.call("GET", path, "").await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(
        it.get(&format!("/api/v1/jobs/{id}")).await["state"],
        "dead",
        "a single job does not wait either"
    );

    let mut listing = Box::pin(it.call("GET", "/api/v1/jobs", ""));
    assert!(futures_util::poll!(&mut listing).is_pending(), "all turns are taken");
    it.jobs.clock.advance(Duration::from_secs(2));
    let refused = listing.await;
    let detail = refused.problem(503);
    assert!(detail.contains("too many lists") || detail.contains("Too many lists"), "{detail}");
    assert_eq!(
        (refused.json()["type"].as_str(), &refused.headers["retry-after"]),
        (Some("urn:salesbot-bridge:problem:too-many-lists"), &"1".parse().unwrap())
    );

    let mut listing = Box::pin(it.call("GET", "/api/v1/jobs", ""));
    assert!(futures_util::poll!(&mut listing).is_pending());
    drop(turns);
    assert_eq!(listing.await.status, StatusCode::OK, "the list got a turn in time");
}

#[tokio::test]
async fn a_job_without_bodies_says_so_in_lists_and_by_id() {
    let it = Fixture::new(None).await;
    let dropped = it.jobs.make("echo", StateName::Delivered).await;
    let kept = it.jobs.make("echo", StateName::Dead).await;
    it.jobs.store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    it.jobs.store.maintenance().trim().await;
    let list = it.get("/api/v1/jobs").await;
    let shown = |job: &Value| (job["id"].clone(), job["bodies_dropped"].clone(), job.get("data").is_some());
    let shown: Vec<_> = list["jobs"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(shown, [(json!(kept), json!(false), false), (json!(dropped), json!(true), false)]);
    let job = it.get(&format!("/api/v1/jobs/{dropped}")).await;
    assert_eq!((job.get("data"), job.get("completion")), (Some(&Value::Null), Some(&Value::Null)));
    assert_eq!((&job["bodies_dropped"], &job["outcome"]), (&json!(true), &json!("handler")));
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(2), "its history stays");
    assert_eq!(it.ids("q=hello").await, [kept.to_string()], "dropped bodies are not found");
    let metrics = it.call("GET", "/metrics", "").await.text;
    assert!(metrics.contains("bridge_body_bytes{of=\"unfinished\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn fallbacks_are_filtered_and_counted_by_reason() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Delivered).await;
    for _ in 0..2 {
        it.jobs.make_fallback("greet", FallbackReason::MaxAttempts).await;
    }
    let id = it.jobs.make_fallback("greet", FallbackReason::Failed).await;
    let jobs = it.get("/api/v1/jobs?outcome=fallback").await["jobs"].as_array().unwrap().clone();
    assert_eq!((jobs.len(), &jobs[0]["id"]), (3, &json!(id.to_string())));
    assert_eq!((&jobs[0]["outcome"], &jobs[0]["fallback_reason"]), (&json!("fallback"), &json!("failed")));
    let stats = it.get("/api/v1/stats").await;
    let by = json!([
        { "handler": "greet", "reason": "max_attempts", "jobs": 2 },
        { "handler": "greet", "reason": "failed", "jobs": 1 },
    ]);
    let expected = json!({ "jobs": 4, "fallbacks": 3, "fallbacks_by": by, "is_sample": false });
    assert_eq!(stats["last_hour"], expected);
}

#[tokio::test]
async fn a_list_takes_a_filter_beside_the_other_parameters() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await.to_string();
    let queued = it.jobs.make("greet", StateName::Queued).await.to_string();
    for (query, expected) in [
        ("q=state:dead", vec![&dead]),
        ("q=state:dead,queued%20-handler:echo", vec![&queued]),
        ("q=lead:7&state=queued", vec![&queued]),
        ("q=account:a2.kommo.com", vec![&queued]),
        ("q=is:late", vec![]),
        ("q=https%3A%2F%2Fa1.kommo.com%2Fapi%2Fv4%2Fsalesbot%2F1%2Fcontinue%2Fc1", vec![&dead]),
    ] {
        assert_eq!(it.ids(query).await.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for (q, expected) in [
        (
            "stat:x",
            "`q` cannot be `stat:x`: at character 1: unknown key `stat` (expected one of: state, handler,",
        ),
        ("account:nowhere", "`q` cannot be `account:nowhere`: at character 9: unknown account `nowhere`"),
    ] {
        let refused = it.call("GET", &format!("/api/v1/jobs?q={q}"), "").await;
        let detail = refused.problem(400);
        assert!(detail.starts_with(expected), "{detail}");
    }
}

#[test]
fn the_documents_explain_every_key_and_value() {
    let document = include_str!("../../../docs/operations.md");
    let (_, filters) = document.split_once("## Filters").unwrap();
    for key in FilterKey::ALL {
        assert!(filters.contains(&format!("`{key}:`")), "{key}");
    }
    let (_, values) = filters.split_once("`waiting:` takes").unwrap();
    for waiting in WaitingFor::ALL {
        assert!(values.contains(&format!("`{}`", waiting.as_str())), "{waiting:?}");
    }
    for job_trait in JobTrait::ALL {
        assert!(filters.contains(&format!("`{}`", job_trait.as_str())), "{job_trait:?}");
    }
}

#[test]
fn a_search_says_why_it_stopped_and_what_narrows_it() {
    let page = store::Page { jobs: Vec::new(), next: None, stopped: Some(store::Stopped::Jobs(100_000)) };
    let view = serde_json::to_value(super::super::job_json::PageView::from(page)).unwrap();
    assert_eq!(view["stopped"], json!(true));
    let because = view["stopped_because"].as_str().unwrap();
    for part in ["it read 100000 jobs", "no index", "since", "lead"] {
        assert!(because.contains(part), "{because}");
    }
}

#[tokio::test]
async fn an_id_may_be_shortened_to_a_unique_prefix() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let (one, other) = it.jobs.make_two("greet").await;
    let short = dead.short(12);
    assert_eq!(it.get(&format!("/api/v1/jobs/{short}")).await["id"], json!(dead));
    let retried = it.call("POST", &format!("/api/v1/jobs/{short}/retry"), "").await;
    assert_eq!((retried.status, &retried.json()["id"]), (StatusCode::OK, &json!(dead)));
    for (method, path) in [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")] {
        let refused = it.call(method, &format!("/api/v1/jobs/{}{path}", one.short(13)), "").await;
        let detail = refused.problem(409);
        assert!(detail.contains(&one.to_string()) && detail.contains(&other.to_string()), "{detail}");
        assert_eq!(refused.json()["type"], "urn:salesbot-bridge:problem:ambiguous-id");
        it.call(method, &format!("/api/v1/jobs/ffffffff{path}"), "").await.problem(404);
        it.call(method, &format!("/api/v1/jobs/018{path}"), "").await.problem(404);
    }
    assert_eq!(it.ids("state=queued").await.len(), 2);
    assert_eq!(it.ids(&format!("q={short}")).await, [dead.to_string()]);
}
