//! The log of actions, and erasures.

use super::*;

async fn erase(it: &Fixture, body: &str) -> Answer {
    it.call("POST", "/api/v1/jobs/erase", body).await
}

/// Lets maintenance do its work until this bulk change has ended. Returns the change.
pub(super) async fn ended(it: &Fixture, location: &str) -> Value {
    let stop = tokio_util::sync::CancellationToken::new();
    let (store, stopped) = (it.jobs.store.clone(), stop.clone());
    let maintenance =
        tokio::spawn(async move { store.maintenance().run(Duration::from_secs(3_600), stopped).await });
    let rounds = async {
        loop {
            let bulk = it.get(location).await;
            if bulk["state"] != "running" {
                return bulk;
            }
            it.jobs.clock.advance(Duration::from_secs(1));
            it.jobs.store.probe().await.unwrap();
        }
    };
    let bulk = tokio::time::timeout(Duration::from_secs(30), rounds).await.expect("it did not end");
    stop.cancel();
    maintenance.await.unwrap();
    bulk
}

#[tokio::test]
async fn every_change_names_the_role_of_the_caller_and_never_the_token() {
    let it = Fixture::new(Some(TOKEN)).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let awaiting = it.jobs.make("echo", StateName::AwaitingCallback).await;
    let queued = it.jobs.make("echo", StateName::Queued).await;
    let bearer = format!("Bearer {TOKEN}");
    let call = async |method: &str, path: &str, body: &str| {
        it.call_with(method, path, body, &[("authorization", &bearer)]).await
    };
    for (path, body) in [
        (format!("/api/v1/jobs/{dead}/retry"), ""),
        (format!("/api/v1/jobs/{queued}/cancel"), ""),
        (format!("/api/v1/jobs/{awaiting}/complete"), "{}"),
        ("/api/v1/jobs/retry".to_owned(), r#"{"state":"dead"}"#),
    ] {
        assert_eq!(call("POST", &path, body).await.status, StatusCode::OK, "{path}");
    }
    let answer = call("GET", "/api/v1/actions?limit=3", "").await;
    assert!(!answer.text.contains(TOKEN));
    let log = answer.json();
    let row = |id: u64, what: &str, job_id: Option<String>, target: Option<&str>, jobs: u64| {
        json!({ "id": id, "at": "2023-11-14T22:13:23.000Z", "source": "api", "who": "admin.token", "what": what,
                "job_id": job_id, "target": target, "jobs": jobs, "result": "done" })
    };
    let expected = json!({ "actions": [
        row(4, "jobs retry", None, Some("state:dead"), 0),
        row(3, "jobs complete", Some(awaiting.to_string()), None, 1),
        row(2, "jobs cancel", Some(queued.to_string()), None, 1),
    ], "next_cursor": 2 });
    assert_eq!(log, expected);
    let rest = call("GET", "/api/v1/actions?cursor=2", "").await.json();
    assert_eq!((&rest["actions"][0]["what"], &rest["next_cursor"]), (&json!("jobs retry"), &Value::Null));
    call("GET", "/api/v1/actions?limit=0", "").await.problem(400);
    for (query, ids) in [
        (format!("job_id={dead}"), vec![1]),
        (format!("job_id={queued}&what=jobs%20cancel&source=api&who=admin.token"), vec![2]),
        ("what=jobs%20retry".to_owned(), vec![4, 1]),
        ("source=cli".to_owned(), vec![]),
        ("who=ann".to_owned(), vec![]),
    ] {
        let found = call("GET", &format!("/api/v1/actions?{query}"), "").await.json();
        let found = found["actions"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), ids, "{query}");
    }
    for query in ["what=jobs", "source=bridge", "job_id=7"] {
        call("GET", &format!("/api/v1/actions?{query}"), "").await.problem(400);
    }
}

#[tokio::test]
async fn an_erasure_is_counted_first_and_then_runs_in_the_background() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let queued = it.jobs.make("echo", StateName::Queued).await;
    let counted = erase(&it, r#"{"lead":7,"dry_run":true}"#).await.json();
    let expected =
        json!({ "filter": "lead:7", "finished": 1, "unfinished": 1, "accounts": { "1": 1, "2": 1 } });
    assert_eq!(counted, expected);
    assert_eq!(it.get("/api/v1/actions").await["actions"], json!([]), "nothing has changed");

    let answer = erase(&it, r#"{"lead":7}"#).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(
        (answer.json()["state"].as_str(), location.as_str()),
        (Some("running"), "/api/v1/jobs/bulk/1")
    );
    let bulk = ended(&it, &location).await;
    let fields = json!({ "id": 1, "action": "erase", "filter": "lead:7", "force": false, "source": "api",
        "who": "without a token", "at": "2023-11-14T22:13:22.000Z", "state": "done", "max_jobs": null,
        "changed": 1, "skipped": 1 });
    assert_eq!(bulk, fields);
    let job = it.get(&format!("/api/v1/jobs/{dead}")).await;
    assert_eq!(
        (&job["state"], &job["data"], &job["last_error"]),
        (&json!("dead"), &Value::Null, &Value::Null)
    );
    assert_eq!((&job["attempts"][1]["error"], &job["bodies_dropped"]), (&Value::Null, &json!(true)));
    assert!(it.get(&format!("/api/v1/jobs/{queued}")).await["data"].is_object());
    let detail = it.call("POST", &format!("/api/v1/jobs/{dead}/retry"), "").await.problem(409);
    assert!(detail.contains("its texts were erased"), "{detail}");

    let answer = erase(&it, r#"{"lead":7,"cancel_unfinished":true}"#).await;
    let bulk = ended(&it, answer.headers["location"].to_str().unwrap()).await;
    assert_eq!((&bulk["changed"], &bulk["skipped"]), (&json!(1), &json!(0)));
    assert_eq!(it.get(&format!("/api/v1/jobs/{queued}")).await["state"], "cancelled");
}

#[tokio::test]
async fn an_erasure_can_be_stopped_once() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    erase(&it, r#"{"account_id":1}"#).await;
    let stop = async |id: &str| it.call("POST", &format!("/api/v1/jobs/bulk/{id}/stop"), "").await;
    let stopped = stop("1").await;
    assert_eq!((stopped.status, &stopped.json()["state"]), (StatusCode::OK, &json!("stopped")));
    assert!(stop("1").await.problem(409).contains("has already ended"));
    for id in ["9", "x", "%ff"] {
        stop(id).await.problem(404);
        it.call("GET", &format!("/api/v1/jobs/bulk/{id}"), "").await.problem(404);
    }
    erase(&it, "{}").await.problem(400);
    erase(&it, r#"{"lead":1,"contact":2}"#).await.problem(400);
}

#[tokio::test]
async fn the_page_lists_who_did_what_within_its_size_whatever_the_texts_are() {
    use store::{ActionKind, ActionResult, ActionSource, Actor};

    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let page = [("host", "127.0.0.1:9090"), ("accept", "text/html")];
    let open = async |path: &str| it.call_with("GET", path, "", &page).await.text;
    assert!(open("/actions").await.contains("No operator has changed anything yet"));
    it.call("POST", &format!("/api/v1/jobs/{dead}/retry"), "").await;
    let html = open(&format!("/actions?job={dead}&what=jobs+retry&source=api")).await;
    for part in
        [&format!("href=\"/jobs/{dead}\""), "Retried 1 job", "without a token", "1 matching action in 24"]
    {
        assert!(html.replace('\u{a0}', " ").contains(part), "{part} in {html}");
    }
    assert!(open("/actions?source=cli").await.contains("No action matches."));
    assert!(open(&format!("/jobs/{dead}")).await.contains("Actions of operators"));
    let by = Actor::new(ActionSource::Cli, &"🦀".repeat(100));
    for kind in [ActionKind::JobsRetry, ActionKind::Backup] {
        for target in ["🦀", "ü", "<"].map(|letter| format!("error:\"{}\"", letter.repeat(990))) {
            for _ in 0..10 {
                let by = it.jobs.store.operator(by.clone());
                by.record(kind, target.clone(), ActionResult::Failed).await.unwrap();
            }
        }
    }
    let html = open(&format!("/actions?{}", "what=x&".repeat(1_000))).await;
    assert!(html.len() < 60_000, "{} bytes", html.len());
    assert!(html.contains("The last action failed") && html.contains("rel=\"next\""), "{html}");
    let older = html.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let older = open(&older.replace("&amp;", "&")).await.replace('\u{a0}', " ");
    assert!(older.contains("25 actions older"), "{older}");
}
