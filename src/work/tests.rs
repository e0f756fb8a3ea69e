//! Tests the pool step by step, with a real store and a manual clock.

mod clock;
mod limits;

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
    AccountId, Completion, FallbackReason, HandlerPolicy, Job, JobId, JobOrdering, NewJob, Outcome,
    QueueWait, State, Timestamp, WidgetRequest,
};
use store::Role;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Fails as many times as the data says, then succeeds.
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
        let threads = HandlerThreads::start(Clock::system(), |_| ()).unwrap();
        let clients = ClientFactory::offline(self.clock.clock());
        let callbacks = Arc::new(CallbackUrls::new(None, [7; 32]));
        let tools = HandlerTools { threads, clients, callbacks };
        Pool::new(self.store.clone(), registry, tools, permits, self.clock.clock(), || 1.0)
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
                earlier: Vec::new(),
            },
            idempotency_key: fastrand::u128(..).to_string(),
            token_expires_at: now + LEASE_MARGIN,
            received_at: now,
            answer_by: self.clock.clock().steady() + Duration::from_secs(50),
            ordering: JobOrdering::None,
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
async fn a_failed_job_runs_again_when_its_backoff_is_over() {
    let home = Home::new().await;
    let pool = home.pool();
    let id = home.accept("stubborn", json!(1)).await;
    pool.idle().await;
    let due_at = START + Duration::from_millis(500);
    assert_eq!(home.job(id).await.state, State::Queued(QueueWait::Until(due_at)));

    home.clock.advance(Duration::from_millis(499));
    assert_eq!(pool.step().await.unwrap(), Some(Duration::from_millis(1)));
    pool.idle().await;
    assert_eq!(home.job(id).await.state, State::Queued(QueueWait::Until(due_at)), "too early");

    home.clock.advance(Duration::from_millis(1));
    pool.step().await.unwrap();
    pool.idle().await;
    let job = home.job(id).await;
    assert_eq!((outcome(&job), job.handler_attempts), (Some(Outcome::Handler), 2));
}

#[tokio::test]
async fn an_overdue_job_gets_the_fallback_without_an_attempt() {
    let home = Home::new().await;
    // There is no pool yet, so no worker is free, and no handler has this name.
    let id = home.accept("unregistered", json!(null)).await;
    let pool = home.pool();
    home.clock.advance(Duration::from_secs(49));
    pool.step().await.unwrap();
    pool.idle().await;
    assert_eq!(home.job(id).await.state, State::Queued(QueueWait::Until(START)));

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
async fn a_draining_pool_starts_no_job_and_charges_no_attempt() {
    let home = Home::new().await;
    let pool = home.pool();
    pool.interrupt();
    pool.drain().await;
    let id = home.accept("stubborn", json!(0)).await;
    assert_eq!(home.job(id).await.state, State::Queued(QueueWait::Until(START)));
    let permit = Permit { pool: pool.clone(), name: "stubborn".into() };
    let job = home.store.jobs().claim_work("stubborn".into(), 1, LEASE_MARGIN).await.unwrap().remove(0);
    pool.start(job, permit);
    pool.idle().await;
    let job = home.job(id).await;
    assert_eq!((job.state, job.handler_attempts), (State::Queued(QueueWait::Until(START)), 0));
}

#[tokio::test]
async fn a_bot_gets_its_fallback_even_if_the_handler_blocks_its_thread() {
    let home = Home::new().await;
    let (hold, held) = mpsc::channel();
    let mut registry = Registry::default();
    registry.add("blocking".parse().unwrap(), Blocking(Mutex::new(held)), HandlerPolicy::default());
    let pool = home.pool_of(registry);
    let id = home.accept("blocking", json!(null)).await;
    let changed = home.store.work().changed();
    // First the attempt runs out of time, then the job.
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
    // The failed claim has returned its permits. A loop that waits only for a change would poll again at once.
    home.store.work().wake();
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    home.clock.advance(Duration::from_secs(1));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

/// Counts the wake-ups of a task.
struct Woken(AtomicU32);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn handlers_take_turns_if_there_is_one_permit() {
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
async fn a_fallback_is_counted_only_when_it_is_written() {
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
