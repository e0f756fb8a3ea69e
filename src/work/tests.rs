//! The pool step by step, on a real store and a clock that stands still.

mod clock;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::permits::Permit;
use super::*;
use crate::handler::{Context, Handler, HandlerError, Request};
use crate::stage::Started;
use model::clock::ManualClock;
use model::{
    AccountId, Completion, FallbackReason, HandlerPolicy, Job, JobId, NewJob, Outcome, State, Timestamp,
    WidgetRequest,
};
use store::Role;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Fails as often as the data says, then succeeds.
struct Stubborn(AtomicU32);

impl Handler for Stubborn {
    type Input = u32;

    async fn handle(&self, request: Request<u32>, _: Context) -> Result<Completion, HandlerError> {
        if self.0.fetch_add(1, Ordering::SeqCst) < request.data {
            return Err(HandlerError::retry("not yet"));
        }
        Ok(Completion::success())
    }
}

struct Home {
    store: Store,
    clock: ManualClock,
    _folder: TempDir,
}

impl Home {
    async fn new() -> Self {
        test_log::prepare();
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::new(START);
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let store = Store::open(&url, Role::Owner, clock.clock()).await.unwrap();
        Self { store, clock, _folder: folder }
    }

    fn pool(&self) -> Pool {
        let mut registry = Registry::default();
        let policy = HandlerPolicy { max_attempts: 2, ..HandlerPolicy::default() };
        registry.add("stubborn".parse().unwrap(), Stubborn(AtomicU32::new(0)), policy);
        self.pool_of(registry)
    }

    fn pool_of(&self, registry: Registry) -> Pool {
        self.pool_with(4, registry)
    }

    fn pool_with(&self, permits: usize, registry: Registry) -> Pool {
        let threads = HandlerThreads::start().unwrap();
        let clients = ClientFactory::offline(self.clock.clock());
        Pool::new(self.store.clone(), registry, threads, clients, permits, self.clock.clock(), || 1.0)
    }

    async fn accept(&self, handler: &str, data: Value) -> JobId {
        let now = self.clock.now();
        let job = NewJob {
            id: JobId::new(now, fastrand::u128(..)),
            handler: handler.parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(1),
                entity: None,
                return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/1".parse().unwrap(),
                data,
            },
            idempotency_key: fastrand::u128(..).to_string(),
            token_expires_at: now + LEASE_MARGIN,
            received_at: now,
            answer_by: self.clock.clock().steady() + Duration::from_secs(50),
        };
        self.store.jobs().accept(job, LEASE_MARGIN).await.unwrap().id
    }

    async fn job(&self, id: JobId) -> Job {
        self.store.jobs().get(id).await.unwrap().unwrap().0.whole().unwrap()
    }
}

/// Blocks its thread until the test drops the other end.
struct Blocking(Mutex<mpsc::Receiver<()>>);

impl Handler for Blocking {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
        let released = self.0.lock().map(|held| held.recv());
        assert!(released.is_ok());
        Ok(Completion::success())
    }
}

fn outcome(job: &Job) -> Option<Outcome> {
    match &job.state {
        State::Delivering { prepared, .. } => Some(prepared.outcome),
        _ => None,
    }
}

#[tokio::test]
async fn a_job_just_stored_is_handed_over_without_a_step() {
    let home = Home::new().await;
    let pool = home.pool();
    let id = home.accept("stubborn", json!(0)).await;
    pool.idle().await;
    let job = home.job(id).await;
    assert_eq!((outcome(&job), job.handler_attempts), (Some(Outcome::Handler), 1));
}

#[tokio::test]
async fn a_failed_attempt_comes_back_when_its_backoff_is_over() {
    let home = Home::new().await;
    let pool = home.pool();
    let id = home.accept("stubborn", json!(1)).await;
    pool.idle().await;
    let due_at = START + Duration::from_millis(500);
    assert_eq!(home.job(id).await.state, State::Queued { due_at });

    home.clock.advance(Duration::from_millis(499));
    assert_eq!(pool.step().await.unwrap(), Some(Duration::from_millis(1)));
    pool.idle().await;
    assert_eq!(home.job(id).await.state, State::Queued { due_at }, "too early");

    home.clock.advance(Duration::from_millis(1));
    pool.step().await.unwrap();
    pool.idle().await;
    let job = home.job(id).await;
    assert_eq!((outcome(&job), job.handler_attempts), (Some(Outcome::Handler), 2));
}

#[tokio::test]
async fn what_waits_past_its_time_gets_the_fallback_and_no_attempt() {
    let home = Home::new().await;
    // No pool yet, so no worker is free; and nobody is registered under the other name.
    let id = home.accept("somebody-else", json!(null)).await;
    let pool = home.pool();
    home.clock.advance(Duration::from_secs(49));
    pool.step().await.unwrap();
    pool.idle().await;
    assert_eq!(home.job(id).await.state, State::Queued { due_at: START });

    home.clock.advance(Duration::from_secs(1));
    pool.step().await.unwrap();
    pool.idle().await;
    let job = home.job(id).await;
    assert_eq!(
        (outcome(&job), job.handler_attempts),
        (Some(Outcome::Fallback(FallbackReason::NoHandler)), 0)
    );
}

#[tokio::test]
async fn a_pool_that_drains_takes_nothing_and_hands_back_for_free() {
    let home = Home::new().await;
    let pool = home.pool();
    pool.interrupt();
    pool.drain().await;
    let id = home.accept("stubborn", json!(0)).await;
    assert_eq!(home.job(id).await.state, State::Queued { due_at: START });
    let permit = Permit { pool: pool.clone(), name: "stubborn".into() };
    let job = home.store.jobs().claim_work("stubborn".into(), 1, LEASE_MARGIN).await.unwrap().remove(0);
    pool.start(job, permit);
    pool.idle().await;
    let job = home.job(id).await;
    assert_eq!((job.state, job.handler_attempts), (State::Queued { due_at: START }, 0));
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_does_not_keep_its_bot_hanging() {
    let home = Home::new().await;
    let (hold, held) = mpsc::channel();
    let mut registry = Registry::default();
    registry.add("blocking".parse().unwrap(), Blocking(Mutex::new(held)), HandlerPolicy::default());
    let pool = home.pool_of(registry);
    let id = home.accept("blocking", json!(null)).await;
    let changed = home.store.work().changed();
    // The attempt's time, and then the job's.
    home.clock.advance(Duration::from_secs(30));
    changed.await;
    home.clock.advance(Duration::from_secs(20));
    pool.step().await.unwrap();
    pool.idle().await;
    assert_eq!(outcome(&home.job(id).await), Some(Outcome::Fallback(FallbackReason::Overdue)));
    drop(hold);
}

#[tokio::test]
async fn an_unwritable_store_is_not_polled_in_a_busy_loop() {
    let home = Home::new().await;
    home.accept("stubborn", json!(0)).await;
    let pool = home.pool();
    home.store.close().await;
    let woken = Arc::new(Woken(AtomicU32::new(0)));
    let waker = std::task::Waker::from(woken.clone());
    let mut run = std::pin::pin!(pool.run(CancellationToken::new()));
    assert!(run.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    // The permits of the vain claim are free again; whoever waited for a change would look at once.
    home.store.work().wake();
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    home.clock.advance(Duration::from_secs(1));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

/// Counts how often a task would have been polled again.
struct Woken(AtomicU32);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn with_one_permit_the_names_take_turns() {
    let home = Home::new().await;
    let names = ["a", "b", "c"];
    for name in names.iter().cycle().take(9) {
        home.accept(name, json!(0)).await;
    }
    let mut registry = Registry::default();
    for name in names {
        registry.add(name.parse().unwrap(), Stubborn(AtomicU32::new(0)), HandlerPolicy::default());
    }
    let pool = home.pool_with(1, registry);
    for _ in names {
        pool.step().await.unwrap();
        pool.idle().await;
    }
    let jobs =
        home.store.jobs().list(&store::JobFilter { limit: 9, ..Default::default() }).await.unwrap().jobs;
    let mut done: Vec<_> =
        jobs.iter().filter(|job| job.outcome.is_some()).map(|job| job.handler.as_str()).collect();
    done.sort_unstable();
    assert_eq!(done, names);
}

#[tokio::test]
async fn a_fallback_is_counted_once_it_is_written_and_not_before() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let home = Home::new().await;
    let mut claimed = Vec::new();
    for cancelled in [true, false] {
        let id = home.accept("gone", json!(null)).await;
        claimed.extend(home.store.jobs().claim_work("gone".into(), 1, LEASE_MARGIN).await.unwrap());
        if cancelled {
            home.store.jobs().cancel(id).await.unwrap();
        }
    }
    let pool = home.pool();
    for (job, counted) in claimed.into_iter().zip([false, true]) {
        pool.clone().finish(job, AttemptOutcome::NoHandler, Started::now(&pool.0.clock)).await;
        let text = handle.render();
        let line = r#"bridge_fallbacks_total{handler="gone",reason="no_handler"} 1"#;
        assert_eq!(text.contains(line), counted, "{text}");
    }
}
