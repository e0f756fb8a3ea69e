//! Tests the endpoints with a real store and a real pool, step by step.

use axum::body::Body;
use futures_util::stream::{self, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::handler::{Context, Handler, Request as HandlerRequest};
use crate::problem::SendAfter;
use crate::work::{HandlerThreads, HandlerTools, Registry};
use kommo::ClientFactory;
use model::clock::ManualClock;
use model::{
    AccountId, Completion, FallbackReason, HandlerPolicy, Job, JobOrdering, NewJob, Outcome,
    State as JobState, Timestamp, WidgetRequest,
};
use store::Role;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MAX_BODY: usize = 2_000;

/// Answers later.
struct Slow;

impl Handler for Slow {
    type Input = Value;

    async fn handle(&self, _: HandlerRequest<Value>, context: Context) -> Result<Completion, HandlerError> {
        context.note("asked a colleague");
        context.complete_later()?.pending()
    }
}

/// Never answers.
struct Hanging;

impl Handler for Hanging {
    type Input = Value;

    async fn handle(&self, _: HandlerRequest<Value>, _: Context) -> Result<Completion, HandlerError> {
        std::future::pending().await
    }
}

struct Home {
    folder: TempDir,
    clock: ManualClock,
}

/// The parts that a restart replaces.
struct Served {
    store: Store,
    pool: Pool,
    urls: Arc<CallbackUrls>,
    router: Router,
}

impl Home {
    fn new() -> Self {
        test_log::prepare();
        Self { folder: TempDir::new().unwrap(), clock: ManualClock::new(START) }
    }

    async fn serve(&self) -> Served {
        let url = format!("sqlite:{}", self.folder.path().join("bridge.db").display());
        let store = Store::open(&url, Role::Owner, self.clock.clock()).await.unwrap();
        let mut registry = Registry::default();
        registry.add("slow".parse().unwrap(), Slow, HandlerPolicy::default());
        registry.add("hanging".parse().unwrap(), Hanging, HandlerPolicy::default());
        let base = "https://bots.example.com/bridge".parse().unwrap();
        let urls = Arc::new(CallbackUrls::new(Some(base), [7; 32]));
        let tools = HandlerTools {
            threads: HandlerThreads::start(Clock::system(), |_| ()).unwrap(),
            clients: ClientFactory::offline(self.clock.clock()),
            callbacks: urls.clone(),
        };
        let pool = Pool::new(store.clone(), registry, tools, 4, self.clock.clock(), || 1.0);
        let router = router(Callbacks {
            urls: urls.clone(),
            pool: pool.clone(),
            store: store.clone(),
            max_body: MAX_BODY,
            read_timeout: Duration::from_millis(20),
            clock: self.clock.clock(),
        });
        Served { store, pool, urls, router }
    }

    fn request(&self, handler: &str) -> NewJob {
        let now = self.clock.now();
        NewJob {
            id: JobId::new(now, fastrand::u128(..)),
            handler: handler.parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(1),
                entity: None,
                return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/1".parse().unwrap(),
                data: json!({}),
                earlier: Vec::new(),
            },
            idempotency_key: fastrand::u64(..).to_string(),
            token_expires_at: now + Duration::from_secs(60),
            received_at: now,
            answer_by: self.clock.clock().steady() + Duration::from_secs(50),
            ordering: JobOrdering::None,
        }
    }
}

impl Served {
    /// Adds a job whose handler has accepted it.
    async fn awaiting(&self, home: &Home) -> JobId {
        let id = self.accept(home, "slow").await;
        self.pool.idle().await;
        assert_eq!(self.job(id).await.state, JobState::AwaitingCallback);
        id
    }

    async fn accept(&self, home: &Home, handler: &str) -> JobId {
        let new = home.request(handler);
        self.store.jobs().accept(new, Duration::from_secs(30)).await.unwrap().id
    }

    async fn job(&self, id: JobId) -> Job {
        let (record, _) = self.store.jobs().get(id).await.unwrap().unwrap();
        let model::JobRecord::Whole(job) = record else { panic!("it has no bodies") };
        job
    }

    async fn notes(&self, id: JobId) -> Vec<String> {
        let notes = self.store.callbacks().notes(id).await.unwrap();
        notes.into_iter().map(|note| note.text).collect()
    }

    fn path(&self, id: JobId) -> String {
        format!("/callback/{id}/{}", self.urls.token(id).expose_secret())
    }

    async fn send(&self, path: &str, body: Body) -> (u16, Value) {
        let request = Request::builder().method("POST").uri(path).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn call(&self, id: JobId, body: Value) -> (u16, Value) {
        self.send(&self.path(id), Body::from(body.to_string())).await
    }
}

fn accepted(is_accepted: bool, state: &str) -> (u16, Value) {
    (200, json!({ "accepted": is_accepted, "state": state }))
}

#[tokio::test]
async fn a_callback_brings_the_completion_and_a_repetition_changes_nothing() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    assert_eq!(served.call(id, json!({ "data": { "reply": "hi" } })).await, accepted(true, "delivering"));
    assert_eq!(served.call(id, json!({ "data": { "reply": "other" } })).await, accepted(false, "delivering"));
    let prepared = served.job(id).await.state.prepared().unwrap().clone();
    assert_eq!(prepared.completion.as_json(), r#"{"data":{"reply":"hi"}}"#);
    assert_eq!(prepared.outcome, Outcome::Handler);
    assert_eq!(served.notes(id).await, ["asked a colleague", "the completion came by a callback"]);
}

#[tokio::test]
async fn of_two_callbacks_in_the_same_instant_one_is_accepted() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    let (one, other) = tokio::join!(served.call(id, json!({ "n": 1 })), served.call(id, json!({ "n": 2 })));
    let mut answers = [one, other];
    answers.sort_by_key(|(_, body)| body["accepted"] == true);
    assert_eq!(answers, [accepted(false, "delivering"), accepted(true, "delivering")]);
}

#[tokio::test]
async fn a_callback_may_overtake_the_handler() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.accept(&home, "hanging").await;
    assert_eq!(served.job(id).await.state.name(), StateName::Running);
    assert_eq!(served.call(id, json!({ "n": 1 })).await, accepted(true, "delivering"));
    served.pool.interrupt();
    served.pool.idle().await;
    assert_eq!(served.job(id).await.state.name(), StateName::Delivering, "its result changes nothing");
}

#[tokio::test]
async fn a_callback_after_a_restart_is_accepted() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    served.store.close().await;
    let (status, problem) = served.call(id, json!({})).await;
    assert_eq!((status, problem["type"].as_str()), (503, Some("urn:salesbot-bridge:problem:not-stored")));
    let served = home.serve().await;
    served.pool.step().await.unwrap();
    served.pool.idle().await;
    assert_eq!(served.job(id).await.handler_attempts, 1, "the handler does not run again");
    assert_eq!(served.call(id, json!({})).await, accepted(true, "delivering"));
}

#[tokio::test]
async fn an_unknown_job_and_a_wrong_token_look_the_same() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    let right = served.path(id);
    let deleted = served.path(home.request("slow").id);
    let mut answers = Vec::new();
    for path in [
        deleted,
        right[..right.len() - 1].to_owned(),
        format!("{right}x"),
        format!("/callback/{}/{}", home.request("slow").id, right.rsplit('/').next().unwrap()),
        "/callback/x/y".to_owned(),
        "/callback/%ff/%ff".to_owned(),
        format!("{}x/progress", right),
    ] {
        answers.push(served.send(&path, Body::from("{}")).await);
    }
    assert_eq!((answers[0].0, answers[0].1["title"].as_str()), (404, Some("No such callback")));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(served.job(id).await.state, JobState::AwaitingCallback);
    let request = Request::builder().method("POST").uri("/callback/x/y").body(Body::empty()).unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    let delay = response.extensions().get::<SendAfter>().map(|delay| delay.0);
    assert_eq!(delay, Some(refusal::GUESS_DELAY), "guesses are answered late");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_discarded_and_noted() {
    let home = Home::new();
    let served = home.serve().await;
    let (overdue, cancelled) = (served.awaiting(&home).await, served.awaiting(&home).await);
    served.store.jobs().cancel(cancelled).await.unwrap();
    home.clock.advance(Duration::from_secs(50));
    let (status, problem) = served.call(overdue, json!({})).await;
    assert_eq!((status, problem["title"].as_str()), (410, Some("Too late")));
    served.pool.step().await.unwrap();
    served.pool.idle().await;
    let prepared = served.job(overdue).await.state.prepared().unwrap().clone();
    assert_eq!(prepared.outcome, Outcome::Fallback(FallbackReason::NoCallback));
    for id in [overdue, cancelled] {
        assert_eq!(served.call(id, json!({})).await.0, 410);
        assert!(served.notes(id).await.last().unwrap().contains("too late"));
    }
}

#[tokio::test]
async fn an_invalid_answer_leaves_the_job_waiting() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    let show = json!([{ "handler": "show", "params": { "type": "text", "value": "x".repeat(81) } }]);
    let (status, problem) = served.call(id, json!({ "data": {}, "execute_handlers": show })).await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("Kommo accepts at most 80"), "{problem}");
    for (body, expected) in [
        (Body::from("{"), 422),
        (Body::from("<html>"), 422),
        (Body::from(vec![b'x'; MAX_BODY + 1]), 413),
        (Body::from_stream(stream::iter([Ok::<_, std::io::Error>("{")]).chain(stream::pending())), 408),
        (Body::from_stream(stream::iter([Err::<&str, _>(std::io::Error::other("reset"))])), 400),
    ] {
        assert_eq!(served.send(&served.path(id), body).await.0, expected);
    }
    assert_eq!(served.job(id).await.state, JobState::AwaitingCallback);
    assert_eq!(served.call(id, json!({})).await, accepted(true, "delivering"));
}

#[tokio::test]
async fn an_error_counts_as_a_failed_attempt_of_the_handler() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    let other = json!({ "error": { "message": "no stock", "attempt": 2 } });
    assert_eq!(served.call(id, other).await, accepted(false, "awaiting_callback"));
    let busy = json!({ "error": { "message": "busy", "retry": true, "attempt": 1 } });
    assert_eq!(served.call(id, busy.clone()).await, accepted(true, "queued"));
    assert_eq!(served.call(id, busy).await, accepted(false, "queued"), "repeated");
    let job = served.job(id).await;
    assert_eq!((job.handler_attempts, job.last_error.as_deref()), (1, Some("busy")));
    home.clock.advance(Duration::from_secs(1));
    served.pool.step().await.unwrap();
    served.pool.idle().await;
    assert_eq!(served.job(id).await.handler_attempts, 2);
    let failed = json!({ "error": { "message": "no stock" } });
    assert_eq!(served.call(id, failed.clone()).await, accepted(true, "delivering"));
    assert_eq!(served.call(id, failed).await, accepted(false, "delivering"), "repeated");
    let prepared = served.job(id).await.state.prepared().unwrap().clone();
    assert_eq!(prepared.outcome, Outcome::Fallback(FallbackReason::Failed));
    assert_eq!(served.call(id, json!({})).await.0, 410, "a completion after the fallback");
}

#[tokio::test]
async fn progress_adds_notes() {
    let home = Home::new();
    let served = home.serve().await;
    let id = served.awaiting(&home).await;
    let path = format!("{}/progress", served.path(id));
    let note = |text: &str| Body::from(json!({ "note": text }).to_string());
    assert_eq!(served.send(&path, note("half way")).await, (200, json!({ "accepted": true })));
    assert_eq!(served.send(&path, Body::from("{}")).await.0, 422);
    assert_eq!(served.notes(id).await, ["asked a colleague", "half way"]);
    for _ in 0..98 {
        served.store.callbacks().note(id, "more").await.unwrap();
    }
    assert_eq!(served.send(&path, note("too many")).await, (200, json!({ "accepted": false })));
}
