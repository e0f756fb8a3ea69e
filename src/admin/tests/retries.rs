//! What an operator may resend. A retry is completed even if its caller hangs up.

use super::*;

async fn retry(it: &Fixture, id: impl std::fmt::Display, body: &str) -> Answer {
    it.call("POST", &format!("/api/v1/jobs/{id}/retry"), body).await
}

#[tokio::test]
async fn a_list_and_null_are_not_taken_for_a_body() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    for (path, body) in [
        (format!("/api/v1/jobs/{dead}/retry"), "[]"),
        (format!("/api/v1/jobs/{dead}/retry"), r#"["handler", true]"#),
        ("/api/v1/errors/1/retry".to_owned(), "[]"),
        ("/api/v1/jobs/erase".to_owned(), "[7]"),
        ("/api/v1/jobs/bulk".to_owned(), r#"["retry", "state:dead", false, true, null]"#),
    ] {
        let detail = it.call("POST", &path, body).await.problem(400);
        assert!(detail.contains("it is a list, not an object"), "{path} {body}: {detail}");
    }
    for path in ["/api/v1/jobs/{id}/retry", "/api/v1/errors/{id}/retry"] {
        let body = &conformance::description()["paths"][path]["post"]["requestBody"];
        assert_ne!(body["required"], true, "{path}");
        assert!(body["content"]["application/json"]["schema"]["$ref"].is_string(), "{path}: {body}");
    }
    for path in [format!("/api/v1/jobs/{dead}/retry"), "/api/v1/errors/1/retry".to_owned()] {
        for body in ["null", " null\n"] {
            let detail = it.call("POST", &path, body).await.problem(400);
            assert!(detail.contains("it is null, not an object"), "{path}: {detail}");
        }
    }
    assert_eq!(it.get(&format!("/api/v1/jobs/{dead}")).await["state"], "dead");
}

#[tokio::test]
async fn both_completions_of_a_refused_job_are_shown_and_can_be_resent() {
    let it = Fixture::new(None).await;
    let id = it.jobs.refused_twice("echo").await;
    let (handlers, fallback) =
        (json!({ "data": { "reply": "hi" } }), json!({ "data": { "status": "fail" } }));
    let shown = it.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!((&shown["completion"], &shown["outcome"]), (&fallback, &json!("fallback")));
    assert_eq!(shown["handler_completion"], handlers);
    let configured = json!({ "data": { "status": "sorry" } });
    for (body, completion, outcome, kept) in [
        ("", &fallback, "fallback", &handlers),
        (r#"{"send":"handler"}"#, &handlers, "handler", &Value::Null),
        ("{}", &handlers, "handler", &Value::Null),
        // The currently configured fallback.
        (r#"{"send":"fallback","force":true}"#, &configured, "fallback", &handlers),
    ] {
        let answer = retry(&it, id, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}: {}", answer.text);
        let job = answer.json();
        assert_eq!((&job["state"], &job["completion"]), (&json!("delivering"), completion), "{body}");
        assert_eq!((&job["outcome"], &job["handler_completion"]), (&json!(outcome), kept), "{body}");
    }
    for (body, word) in
        [("[]", "body"), ("null", "null"), (r#"{"send":"both"}"#, "both"), (r#"{"all":true}"#, "all")]
    {
        let detail = retry(&it, id, body).await.problem(400);
        assert!(detail.contains(word) && detail.contains(r#"{"send":"handler"}"#), "{body}: {detail}");
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_resent_is_409_and_says_why() {
    let it = Fixture::new(None).await;
    let on_its_way = it.jobs.make("echo", StateName::Delivering).await;
    let claimed = it.jobs.claim_delivery(1).await;
    let detail = retry(&it, on_its_way, "").await.problem(409);
    assert!(detail.contains("its continue is on its way"), "{detail}");
    drop(claimed);

    let older = it.jobs.make("echo", StateName::Gone).await;
    let newer = it.jobs.next_question("echo").await;
    let refused = retry(&it, older, "").await;
    let detail = refused.problem(409);
    assert!(detail.contains(&newer.to_string()) && detail.contains("force"), "{detail}");
    assert_eq!(refused.json()["type"], "urn:salesbot-bridge:problem:superseded");
    assert_eq!(retry(&it, older, r#"{"force":true}"#).await.status, StatusCode::OK);
}

#[tokio::test]
async fn superseded_jobs_are_counted_but_not_retried_unless_forced() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    it.jobs.make("echo", StateName::Dead).await;
    it.jobs.next_question("other").await;
    for (body, retried, superseded) in
        [(r#"{"state":"dead"}"#, 1, 1), (r#"{"state":"dead","force":true}"#, 1, 0)]
    {
        let answer = it.call("POST", "/api/v1/jobs/retry", body).await;
        assert_eq!(answer.json(), json!({ "retried": retried, "superseded": superseded }), "{body}");
    }
}

#[tokio::test]
async fn a_bulk_retry_is_completed_even_if_the_caller_hangs_up() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    // More than fit in one transaction.
    it.jobs.store.jobs().copy_dead(dead, 1_200).await;
    let mut asking = Box::pin(it.call("POST", "/api/v1/jobs/retry", r#"{"state":"dead"}"#));
    let count = async || it.jobs.store.jobs().stats().await.unwrap().jobs[&StateName::Delivering];
    while count().await == 0 {
        assert!(futures_util::poll!(&mut asking).is_pending());
    }
    drop(asking);
    let end = async {
        while count().await < 1_201 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), end).await.expect("the retry stopped halfway");
}
