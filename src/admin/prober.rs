//! Checks whether the store can be written, without putting load on it.
//!
//! Anyone can request `/health/ready`, as often as they like. So only one check runs at a time, all callers share its
//! answer, and an answer is valid for [`CACHE_TIME`]. If the store is stuck, checks do not pile up: callers wait for
//! the one that is still running.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use model::clock::Clock;
use store::{Store, StoreError};

/// How long an answer is reused.
const CACHE_TIME: Duration = Duration::from_secs(1);
/// How long a caller waits for an answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

type Answer = Result<(), StoreError>;

/// Shares answers between callers.
pub(super) struct Prober {
    check: Box<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>,
    clock: Clock,
    last: Mutex<Option<Probe>>,
}

struct Probe {
    at: Duration,
    answer: watch::Receiver<Option<Answer>>,
}

impl Prober {
    /// Creates a prober that checks `store`.
    pub(super) fn of_store(store: Store, clock: Clock) -> Self {
        Self::new(clock, move || {
            let store = store.clone();
            async move { store.probe().await }
        })
    }

    fn new<F: Future<Output = Answer> + Send + 'static>(
        clock: Clock,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self { check: Box::new(move || check().boxed()), clock, last: Mutex::new(None) }
    }

    /// Checks whether the store can be written, with an answer that is at most [`CACHE_TIME`] old.
    ///
    /// # Errors
    /// The store cannot be written, or does not respond within [`PROBE_TIMEOUT`].
    pub(super) async fn ask(&self) -> Answer {
        let mut answer = self.current();
        let answered = tokio::time::timeout(PROBE_TIMEOUT, answer.wait_for(Option::is_some)).await;
        match answered {
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(StoreError::Closed)),
            Ok(Err(_check_panicked)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    fn current(&self) -> watch::Receiver<Option<Answer>> {
        let now = self.clock.elapsed();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = last.as_ref().filter(|probe| {
            let unanswered = probe.answer.borrow().is_none() && probe.answer.has_changed().is_ok();
            unanswered || now.saturating_sub(probe.at) < CACHE_TIME
        });
        if let Some(probe) = usable {
            return probe.answer.clone();
        }
        let (sender, answer) = watch::channel(None);
        let check = (self.check)();
        // In a separate task, because any of the waiting callers may hang up.
        tokio::spawn(async move { sender.send_replace(Some(check.await)) });
        *last = Some(Probe { at: now, answer: answer.clone() });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use model::Timestamp;
    use model::clock::ManualClock;

    struct Fixture {
        prober: Prober,
        asked: Arc<AtomicUsize>,
        release: Arc<Notify>,
        clock: ManualClock,
    }

    /// Creates a prober of a store that responds once for each notification of `release`.
    fn fixture() -> Fixture {
        let (asked, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let prober = Prober::new(clock.clock(), {
            let (asked, release) = (asked.clone(), release.clone());
            move || {
                asked.fetch_add(1, Ordering::SeqCst);
                let release = release.clone();
                async move {
                    release.notified().await;
                    Ok(())
                }
            }
        });
        Fixture { prober, asked, release, clock }
    }

    #[tokio::test]
    async fn callers_within_a_second_share_one_answer() {
        let Fixture { prober, asked, release, clock } = fixture();
        release.notify_one();
        let (first, second) = tokio::join!(prober.ask(), prober.ask());
        assert_eq!((first, second), (Ok(()), Ok(())));
        clock.advance(CACHE_TIME - Duration::from_millis(1));
        assert_eq!(prober.ask().await, Ok(()));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        clock.advance(Duration::from_millis(1));
        release.notify_one();
        assert_eq!(prober.ask().await, Ok(()));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_store_is_checked_once_and_every_caller_times_out() {
        let Fixture { prober, asked, release, clock } = fixture();
        for _ in 0..3 {
            assert_eq!(prober.ask().await, Err(StoreError::Timeout));
            clock.advance(Duration::from_secs(60));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        release.notify_one();
        assert_eq!(prober.ask().await, Ok(()), "the answer of the first check");
        release.notify_one();
        assert_eq!(prober.ask().await, Ok(()), "the first answer had expired");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_check_that_panics_is_repeated() {
        let asked = Arc::new(AtomicUsize::new(0));
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let prober = Prober::new(clock.clock(), {
            let asked = asked.clone();
            move || {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                async move {
                    assert!(number > 0, "the first check panics");
                    Ok(())
                }
            }
        });
        assert_eq!(prober.ask().await, Err(StoreError::Closed));
        clock.advance(CACHE_TIME);
        assert_eq!(prober.ask().await, Ok(()));
    }
}
