//! What the admin listener's documentation promises, through the router and a real store.

mod strangers;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::health::{EverybodyWaits, Health};
use model::StateName;

use super::fixture::{Jobs, fallback};
use super::{AccountNames, Admin, DeliveryRates, router};

mod access;
mod account_pages;
mod actions;
mod broken_store;
mod bulk;
mod clock;
mod complete;
mod conformance;
mod document;
mod error_pages;
mod errors;
mod events;
mod explain;
mod handler_pages;
mod hanging_store;
mod jobs_page;
mod lists;
mod now_page;
mod page_clock;
mod page_job;
mod retries;
mod roles;
mod sessions;
mod settings_page;
mod stats;
mod unrouted_pages;
mod waits;

const TOKEN: &str = "a-very-secret-admin-token";

struct Fixture {
    jobs: Jobs,
    health: Health,
    router: Router,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Returns the detail of the expected problem.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].is_string() && problem["title"].is_string());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Fixture {
    async fn new(token: Option<&str>) -> Self {
        Self::with(|admin| admin.token = token.map(Into::into)).await
    }

    /// With these tokens, and with bodies shown like this.
    async fn with_access(token: Option<&str>, read_token: Option<&str>, show_data: model::ShowData) -> Self {
        Self::with(|admin| {
            admin.token = token.map(Into::into);
            admin.read_token = read_token.map(Into::into);
            admin.show_data = show_data;
        })
        .await
    }

    /// With these tokens, beside this running bridge.
    async fn with_live(
        token: Option<&str>,
        read_token: Option<&str>,
        live: std::sync::Arc<dyn super::Live>,
    ) -> Self {
        Self::with(|admin| {
            admin.token = token.map(Into::into);
            admin.read_token = read_token.map(Into::into);
            admin.live = live;
        })
        .await
    }

    async fn with_read_token(token: &str, read_token: &str) -> Self {
        Self::with_access(Some(token), Some(read_token), model::ShowData::default()).await
    }

    /// Changes what the listener gets.
    async fn with(change: impl FnOnce(&mut Admin)) -> Self {
        let (jobs, health) = (Jobs::new().await, Health::new());
        let mut admin = Admin {
            store: jobs.store.clone(),
            health: health.clone(),
            handlers: std::sync::Arc::new(["echo".parse().unwrap()].into()),
            token: None,
            read_token: None,
            show_data: model::ShowData::default(),
            settings: super::Settings::default(),
            metrics: std::sync::Arc::new(|| crate::telemetry::render(&crate::telemetry::recorder())),
            history: crate::history::History::default(),
            token_expiry: std::sync::Arc::new(|| None),
            job_log: crate::job_log::JobLog::new(jobs.clock.clock()),
            clock: jobs.clock.clock(),
            fallback: fallback(),
            live: super::fixture::live(),
            account_names: AccountNames::default(),
            rates: DeliveryRates { per_account: 7, total: None },
            secret_random: |bytes| getrandom::fill(bytes).is_ok(),
        };
        change(&mut admin);
        Self { jobs, health, router: router(admin) }
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(method, path, body, &[("host", "127.0.0.1:9090")]).await
    }

    async fn call_with(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        assert!(!text.contains(TOKEN) && !format!("{parts:?}").contains(TOKEN), "the token leaked");
        let answer = Answer { status: parts.status, headers: parts.headers, text };
        conformance::check(method, path, &answer);
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("/api/v1/jobs?{query}")).await;
        page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn ready_follows_the_phases_and_the_store() {
    let it = Fixture::new(Some(TOKEN)).await;
    let ready = async || it.call_with("GET", "/health/ready", "", &[]).await;
    let starting = ready().await;
    assert_eq!(starting.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(starting.json(), json!({ "status": "not ready", "reasons": ["the bridge is starting"] }));

    it.health.ready();
    it.health.account_waits("https://a1.kommo.com", waits::unauthorized());
    let waiting = json!([{ "account": "a1.kommo.com", "why": "Kommo answered 401; authorize it" }]);
    let answer = ready().await;
    assert_eq!(
        (answer.status, answer.json()),
        (StatusCode::OK, json!({ "status": "ready", "waiting": waiting, "everybody_waits": null }))
    );
    let waits = EverybodyWaits { why: "Kommo blocks this address".into(), until: Some(it.jobs.clock.now()) };
    it.health.on_everybody(move || Some(waits.clone()));
    let shown = ready().await.json()["everybody_waits"].clone();
    assert!(shown["why"] == "Kommo blocks this address" && shown["until"].is_string(), "{shown}");

    it.jobs.store.close().await;
    it.jobs.clock.advance(Duration::from_secs(1));
    let answer = ready().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["reasons"], json!(["the store is closed"]));

    it.health.draining();
    assert_eq!(ready().await.json()["reasons"].as_array().unwrap().len(), 2);
    let live = it.call_with("GET", "/health/live", "", &[]).await;
    assert_eq!((live.status, live.json()), (StatusCode::OK, json!({ "status": "live" })));
}

#[tokio::test]
async fn a_job_has_exactly_the_documented_fields() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Dead).await;
    let error = "Kommo refused it:\n\u{1b}[31mTooLong";
    let mut expected = json!({
        "id": id.to_string(), "state": "dead", "handler": "echo", "account_id": 1, "bot_type": "salesbot",
        "bot_id": 1, "continue_id": "c1", "entity_type": 2, "entity_id": 7,
        "return_url": "https://a1.kommo.com/api/v4/salesbot/1/continue/c1",
        "outcome": "handler", "fallback_reason": null, "bodies_dropped": false, "joined_into": null,
        "received_at": "2023-11-14T22:13:21.000Z", "due_at": null, "finished_at": "2023-11-14T22:13:21.000Z",
        "handler_attempts": 1, "delivery_attempts": 1, "last_error": error, "error_group": 1,
    });
    let page =
        json!({ "jobs": [expected.clone()], "next_cursor": null, "stopped": false, "stopped_because": null });
    assert_eq!(it.get("/api/v1/jobs").await, page);
    let attempt = |stage, result, status: Option<u16>, error: Option<&str>| {
        json!({ "stage": stage, "number": 1, "started_at": "2023-11-14T22:13:21.000Z", "duration_ms": 12,
                "result": result, "status": status, "error": error })
    };
    // Lists contain no bodies.
    expected["data"] = json!({ "message": "hello 1" });
    expected["earlier_data"] = Value::Null;
    expected["completion"] = json!({ "data": { "reply": "hi" } });
    expected["handler_completion"] = Value::Null;
    expected["waits_for"] = Value::Null;
    expected["notes"] = json!([]);
    expected["attempts"] =
        json!([attempt("handler", "ok", None, None), attempt("delivery", "fail", Some(400), Some(error))]);
    assert_eq!(it.get(&format!("/api/v1/jobs/{id}")).await, expected);

    let queued = it.jobs.make("echo", StateName::Queued).await;
    let queued = it.get(&format!("/api/v1/jobs/{queued}")).await;
    assert_eq!(queued["due_at"], "2023-11-14T22:13:22.000Z");
    for field in ["completion", "outcome", "finished_at", "last_error"] {
        assert_eq!(queued.get(field), Some(&Value::Null), "{field}");
    }
}

#[tokio::test]
async fn jobs_are_filtered_and_paged_newest_first() {
    let it = Fixture::new(None).await;
    let mut made = Vec::new();
    for (handler, state) in [
        ("echo", StateName::Delivered),
        ("echo", StateName::Dead),
        ("greet", StateName::Dead),
        ("greet", StateName::Gone),
        ("echo", StateName::Queued),
    ] {
        made.insert(0, it.jobs.make(handler, state).await.to_string());
    }
    assert_eq!(it.ids("").await, made);
    assert_eq!(it.ids("state=dead").await, made[2..4]);
    assert_eq!(it.ids("handler=greet").await, made[1..3]);
    assert_eq!(it.ids("state=dead&handler=greet").await, made[2..3]);
    assert_eq!(it.ids("account_id=4").await, made[1..2]);
    assert_eq!(it.ids("q=hello%202").await, made[3..4]);
    assert_eq!(it.ids(&format!("q={}", made[0])).await, made[0..1]);
    assert_eq!(it.ids("state=running").await, Vec::<String>::new());

    let mut paged = Vec::new();
    let mut cursor = Value::String(String::new());
    while let Some(text) = cursor.as_str() {
        let page = it.get(&format!("/api/v1/jobs?limit=2&cursor={text}")).await;
        paged.extend(
            page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        cursor = page["next_cursor"].clone();
    }
    assert_eq!(paged, made);

    for (query, name) in [
        ("color=red", "`color`"),
        ("state=lost", "`state`"),
        ("limit=501", "`limit`"),
        ("cursor=1", "`cursor`"),
    ] {
        let detail = it.call("GET", &format!("/api/v1/jobs?{query}"), "").await.problem(400);
        assert!(detail.contains(name), "{detail}");
    }
}

#[tokio::test]
async fn retry_and_cancel_move_only_jobs_in_an_allowed_state() {
    let it = Fixture::new(None).await;
    for state in StateName::ALL {
        let retried = matches!(state, StateName::Dead | StateName::Gone | StateName::Delivering);
        for (what, allowed, becomes) in
            [("retry", retried, "delivering"), ("cancel", !state.is_finished(), "cancelled")]
        {
            // A separate handler, so that no other job of it is queued.
            let id = it.jobs.make(&format!("{what}-{state}"), state).await;
            let answer = it.call("POST", &format!("/api/v1/jobs/{id}/{what}"), "").await;
            if allowed {
                assert_eq!(answer.status, StatusCode::OK, "{what} {state}: {}", answer.text);
                assert_eq!(answer.json()["state"], becomes);
                assert!(answer.json()["attempts"].is_array());
            } else {
                let detail = answer.problem(409);
                assert!(detail.contains(&format!("is {state}")), "{detail}");
                assert_eq!(it.get(&format!("/api/v1/jobs/{id}")).await["state"], state.as_str());
            }
        }
    }
    for id in ["018bcfe5-687b-7000-8000-000000000001", "nonsense"] {
        for (method, path) in [("GET", ""), ("POST", "/retry"), ("POST", "/cancel"), ("POST", "/complete")] {
            let body = if path == "/complete" { "{}" } else { "" };
            let detail = it.call(method, &format!("/api/v1/jobs/{id}{path}"), body).await.problem(404);
            assert!(detail.contains(id), "{detail}");
        }
    }
    it.call("GET", "/api/v1/jobs/retry", "").await.problem(405);
    it.call("DELETE", "/api/v1/jobs", "").await.problem(405);
    it.call("GET", "/api/v2", "").await.problem(404);
}

#[tokio::test]
async fn a_path_that_is_not_text_matches_no_job() {
    let it = Fixture::new(None).await;
    for (method, path) in
        [("GET", "%ff"), ("POST", "%ff/retry"), ("POST", "%ff/cancel"), ("POST", "%ff/complete")]
    {
        it.call(method, &format!("/api/v1/jobs/{path}"), "").await.problem(404);
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_times_out() {
    let it = Fixture::new(None).await;
    let body = Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let request = Request::post("/api/v1/jobs/retry").header("host", "localhost").body(body).unwrap();
    tokio::time::pause();
    let answered = tokio::time::timeout(Duration::from_secs(3_600), it.router.oneshot(request)).await;
    assert_eq!(answered.unwrap().unwrap().status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn dead_jobs_are_retried_in_bulk() {
    let it = Fixture::new(None).await;
    for (handler, state) in [
        ("echo", StateName::Dead),
        ("echo", StateName::Dead),
        ("greet", StateName::Dead),
        ("greet", StateName::Gone),
    ] {
        it.jobs.make(handler, state).await;
    }
    for (body, word) in [
        ("", "body"),
        ("[]", "list"),
        (r#" ["dead"]"#, "list"),
        ("{}", "state"),
        (r#"{"state":"gone"}"#, "`gone`"),
        (r#"{"state":"dead","handler":"a/b"}"#, "handler"),
        (r#"{"state":"dead","all":true}"#, "all"),
        (r#"{"state":"dead","force":1}"#, "boolean"),
    ] {
        let detail = it.call("POST", "/api/v1/jobs/retry", body).await.problem(400);
        assert!(detail.contains(word), "{body}: {detail}");
    }
    let long = format!(r#"{{"state":"{}"}}"#, "x".repeat(20_000));
    it.call("POST", "/api/v1/jobs/retry", &long).await.problem(413);
    for (body, retried) in [
        (r#"{"state":"dead","handler":"greet"}"#, 1),
        (r#"{"state":"dead"}"#, 2),
        (r#"{"state":"dead","handler":null}"#, 0),
    ] {
        let answer = it.call("POST", "/api/v1/jobs/retry", body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({ "retried": retried, "superseded": 0 }))
        );
    }
    assert_eq!(it.ids("state=delivering").await.len(), 3);
}
