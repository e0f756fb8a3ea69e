//! Server-sent events.

use futures_util::StreamExt;

use super::*;
use crate::secrets::SharedSecret;

/// Follows the events. Returns the body.
async fn follow(it: &Fixture) -> axum::body::BodyDataStream {
    follow_with(it, "").await
}

/// Follows the events with a token.
async fn follow_with(it: &Fixture, token: &str) -> axum::body::BodyDataStream {
    let request = Request::builder().uri("/api/v1/events").header("host", "127.0.0.1:9090");
    let request = request.header("authorization", format!("Bearer {token}"));
    let response = it.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body().into_data_stream()
}

/// Reads the next event while the clock runs; `None` at the end.
async fn next(it: &Fixture, body: &mut axum::body::BodyDataStream) -> Option<String> {
    let reading = body.next();
    tokio::pin!(reading);
    loop {
        tokio::select! {
            biased;
            bytes = &mut reading => {
                return bytes.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap());
            }
            () = tokio::task::yield_now() => it.jobs.clock.advance(Duration::from_millis(100)),
        }
    }
}

fn data(event: &str) -> Value {
    let data =
        event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{event}"));
    let data = serde_json::from_str(data).unwrap();
    conformance::validate(&json!({ "$ref": "#/components/schemas/JobsEvent" }), &data, event);
    data
}

#[tokio::test]
async fn a_follower_gets_the_changed_jobs_and_the_counts_and_a_sign_of_life() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let mut body = follow(&it).await;
    let first = data(&next(&it, &mut body).await.unwrap());
    assert_eq!((&first["jobs"], &first["counts"]["queued"]), (&json!([]), &json!(0)));
    let id = it.jobs.make("echo", StateName::Queued).await;
    let event = next(&it, &mut body).await.unwrap();
    assert!(event.starts_with("event: jobs\n"), "{event}");
    assert_eq!(
        data(&event),
        json!({ "jobs": [id], "more": false, "counts": it.get("/api/v1/stats").await["jobs"] })
    );
    // A change by an operator shows in the counts.
    it.jobs.store.jobs().cancel(id).await.unwrap();
    assert_eq!(data(&next(&it, &mut body).await.unwrap())["counts"]["cancelled"], 1);
    assert_eq!(next(&it, &mut body).await.unwrap(), ": quiet\n\n");
    it.health.draining();
    assert_eq!(next(&it, &mut body).await, None, "the bridge stops");
}

#[tokio::test]
async fn the_number_of_followers_is_limited() {
    let it = Fixture::new(None).await;
    let mut followers = Vec::new();
    for _ in 0..8 {
        followers.push(follow(&it).await);
    }
    let refused = it.call("GET", "/api/v1/events", "").await;
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.problem(503).contains("8 callers"));
    followers.pop();
    followers.push(follow(&it).await);
}

#[tokio::test]
async fn the_events_end_when_their_token_changes() {
    let (token, read) = (SharedSecret::from(TOKEN), SharedSecret::from("the-read-token"));
    let it = Fixture::with(|admin| {
        (admin.token, admin.read_token) = (Some(token.clone()), Some(read.clone()));
    })
    .await;
    it.health.ready();
    let mut full = follow_with(&it, TOKEN).await;
    let mut reader = follow_with(&it, "the-read-token").await;
    assert!(next(&it, &mut full).await.is_some() && next(&it, &mut reader).await.is_some());
    read.exchange("another-read-token".into());
    assert_eq!(next(&it, &mut reader).await, None);
    it.jobs.make("echo", StateName::Queued).await;
    assert!(next(&it, &mut full).await.is_some(), "the other token is still valid");
    token.exchange("another-token".into());
    assert_eq!(next(&it, &mut full).await, None);
}

#[tokio::test]
async fn the_events_require_the_token_if_one_is_set() {
    let it = Fixture::new(Some(TOKEN)).await;
    it.call("GET", "/api/v1/events", "").await.problem(401);
}
