//! An operator answers a job in place of its handler.

use super::*;

async fn complete(it: &Fixture, id: impl std::fmt::Display, body: &str) -> Answer {
    it.call("POST", &format!("/api/v1/jobs/{id}/complete"), body).await
}

#[tokio::test]
async fn a_job_without_a_completion_can_be_completed() {
    let it = Fixture::new(None).await;
    for (state, body) in [
        (StateName::Queued, r#"{"data":{"reply":"Hi"}}"#),
        (StateName::Running, r#"{"reply":"Hi"}"#),
        (StateName::AwaitingCallback, r#""Hi""#),
    ] {
        let id = it.jobs.make("echo", state).await;
        let answer = complete(&it, id, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{state}: {}", answer.text);
        let job = answer.json();
        assert_eq!((&job["state"], &job["outcome"]), (&json!("delivering"), &json!("handler")));
        assert_eq!(job["completion"], json!({ "data": { "reply": "Hi" } }));
        assert_eq!(job["notes"][0]["text"], "an operator gave the completion");
        let detail = complete(&it, id, body).await.problem(409);
        assert!(detail.contains("only a job that has no completion yet can be completed"), "{detail}");
    }
    let finished = it.jobs.make("echo", StateName::Cancelled).await;
    complete(&it, finished, "{}").await.problem(409);
}

#[tokio::test]
async fn an_answer_that_kommo_would_refuse_is_refused() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Queued).await;
    for (body, part) in [
        ("", "body"),
        ("{", "body"),
        ("[]", "exactly one object"),
        (r#"{"execute_handlers":[]}"#, "is empty"),
    ] {
        let detail = complete(&it, id, body).await.problem(400);
        assert!(detail.contains(part) && detail.contains(r#"{"data":{"reply":"…"}}"#), "{body}: {detail}");
    }
    assert_eq!(it.get(&format!("/api/v1/jobs/{id}")).await["state"], "queued");
}
