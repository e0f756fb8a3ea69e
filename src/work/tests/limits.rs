//! Handlers with limits of their own: concurrency, admission, jobs that await a callback.

use super::*;
use crate::handler::{Admission, AnyHandler, HandlerFuture, ReceivedAt};
use model::{FallbackReason, StateName};

/// A handler whose limits the test sets. Its attempts never end, or are accepted if `accepts` is set.
#[derive(Default)]
struct Limited {
    admission: Mutex<Vec<Admission>>,
    own: Option<usize>,
    max_awaiting: Option<usize>,
    accepts: bool,
}

impl AnyHandler for Limited {
    fn run<'a>(&'a self, _: &'a WidgetRequest, _: ReceivedAt, _: Context) -> HandlerFuture<'a> {
        let accepts = self.accepts;
        Box::pin(async move {
            if accepts {
                return Err(HandlerError::await_callback());
            }
            std::future::pending().await
        })
    }

    fn own_concurrency(&self) -> Option<usize> {
        self.own
    }

    fn max_awaiting(&self) -> Option<usize> {
        self.max_awaiting
    }

    /// The next one of the list; then all.
    fn admission(&self) -> Admission {
        self.admission.lock().unwrap().pop().unwrap_or(Admission::All)
    }
}

/// A pool with one shared permit, and these handlers.
fn pool(home: &Home, handlers: [(&str, Arc<Limited>); 2]) -> Pool {
    let mut registry = Registry::default();
    for (name, handler) in handlers {
        registry.add_any(name.parse().unwrap(), handler, HandlerPolicy::default());
    }
    home.pool_with(1, registry)
}

async fn running(home: &Home, ids: &[JobId]) -> usize {
    let mut running = 0;
    for id in ids {
        running += usize::from(home.job(*id).await.state.name() == StateName::Running);
    }
    running
}

#[tokio::test]
async fn a_handler_with_a_concurrency_of_its_own_takes_no_shared_permits() {
    let home = Home::new().await;
    let own = Arc::new(Limited { own: Some(3), ..Limited::default() });
    let pool = pool(&home, [("own", own), ("shared", Arc::default())]);
    let mut jobs = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        jobs[0].push(home.accept("own", json!(null)).await);
        jobs[1].push(home.accept("shared", json!(null)).await);
    }
    pool.step().await.unwrap();
    assert_eq!((running(&home, &jobs[0]).await, running(&home, &jobs[1]).await), (3, 1));
    pool.interrupt();
    pool.idle().await;
}

#[tokio::test]
async fn jobs_of_a_handler_that_admits_none_wait_uncharged_and_one_is_the_probe() {
    let home = Home::new().await;
    let second = Duration::from_secs(1);
    // In reverse order: two hand-overs and a step get none; the next step gets a probe, and the one after it none.
    let admission = [
        Admission::After(second),
        Admission::Probe,
        Admission::After(second),
        Admission::After(second),
        Admission::After(second),
    ];
    let handler = Arc::new(Limited { own: Some(64), ..Limited::default() });
    let pool = pool(&home, [("own", handler.clone()), ("shared", Arc::default())]);
    *handler.admission.lock().unwrap() = admission.into();
    let jobs = [home.accept("own", json!(null)).await, home.accept("own", json!(null)).await];
    assert_eq!(running(&home, &jobs).await, 0, "handed over");
    // The second hand-over did not ask, because an older job waited.
    handler.admission.lock().unwrap().pop();
    assert_eq!(pool.step().await.unwrap(), Some(second), "when to ask again");
    assert_eq!(running(&home, &jobs).await, 0);
    pool.step().await.unwrap();
    assert_eq!(running(&home, &jobs).await, 1, "the probe");
    assert_eq!(pool.step().await.unwrap(), Some(second));
    assert_eq!(running(&home, &jobs).await, 1);
    for id in jobs {
        assert_eq!(home.job(id).await.handler_attempts, 0);
    }
    pool.interrupt();
    pool.idle().await;
}

#[tokio::test]
async fn a_job_that_waits_for_its_handler_to_be_reachable_gets_its_fallback_in_time() {
    let home = Home::new().await;
    let handler = Arc::new(Limited { own: Some(64), ..Limited::default() });
    let pool = pool(&home, [("own", handler.clone()), ("shared", Arc::default())]);
    *handler.admission.lock().unwrap() = vec![Admission::After(Duration::from_secs(1)); 9];
    let id = home.accept("own", json!(null)).await;
    home.clock.advance(Duration::from_secs(50));
    pool.step().await.unwrap();
    pool.idle().await;
    assert_eq!(outcome(&home.job(id).await), Some(Outcome::Fallback(FallbackReason::Overdue)));
}

#[tokio::test]
async fn beyond_the_limit_of_awaiting_jobs_an_accepted_job_is_retried() {
    let home = Home::new().await;
    let handler = Limited { max_awaiting: Some(1), own: Some(64), accepts: true, ..Limited::default() };
    let pool = pool(&home, [("own", Arc::new(handler)), ("shared", Arc::default())]);
    let first = home.accept("own", json!(null)).await;
    pool.idle().await;
    let second = home.accept("own", json!(null)).await;
    pool.idle().await;
    assert_eq!(home.job(first).await.state, State::AwaitingCallback);
    let job = home.job(second).await;
    assert_eq!((job.state.name(), job.handler_attempts), (StateName::Queued, 1));
    assert!(job.last_error.unwrap().contains("handlers.NAME.max_awaiting"));
}
