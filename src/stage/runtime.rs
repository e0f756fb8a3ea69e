//! The tasks of one stage: the loop that claims jobs, one task per job, and the stop.
//!
//! A stage stops in two steps. First it drains: it claims nothing more, and running tasks may finish. Then it hands
//! back: it interrupts the tasks that can be interrupted, and their jobs return to the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::{EnterGuard, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use model::clock::Clock;
use store::{Lanes, StoreError};

use super::Started;

/// Reports that may wait for the store without holding a permit of their stage: enough for a few transactions.
const MAX_UNWRITTEN_REPORTS: usize = 1_024;

/// Counts as a report that is not written yet, until it is dropped.
pub struct Unwritten<P> {
    /// Its place among the unwritten reports; `None` if there was no room.
    _place: Option<OwnedSemaphorePermit>,
    /// The permit of its attempt, if there was no room.
    _permit: Option<P>,
}

/// The tasks of one stage, and the progress of its stop.
pub struct StageRuntime {
    clock: Clock,
    runtime: Handle,
    tasks: TaskTracker,
    unwritten_reports: Arc<Semaphore>,
    draining: CancellationToken,
    handing_back: CancellationToken,
}

impl StageRuntime {
    /// Creates a stage without tasks. Its tasks run on the current Tokio runtime.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            unwritten_reports: Arc::new(Semaphore::new(MAX_UNWRITTEN_REPORTS)),
            draining: CancellationToken::new(),
            handing_back: CancellationToken::new(),
        }
    }

    /// Calls `step` each time a job of `lanes` may have become due, until `stop`.
    pub async fn run_loop<J, F>(&self, lanes: &Lanes<J>, stop: &CancellationToken, step: impl Fn() -> F)
    where
        F: Future<Output = Result<Option<Duration>, StoreError>>,
    {
        lanes.run_loop(&self.clock, stop, step).await;
    }

    /// Starts to measure an attempt.
    pub fn begin(&self) -> Started {
        Started::now(&self.clock)
    }

    /// Runs the task of one job. May be called on any thread.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The future of an attempt is several kilobytes. Boxed, it is not copied again on its way through the spawning.
        self.tasks.spawn_on(Box::pin(task), &self.runtime);
    }

    /// Enters the runtime of the tasks, for a thread outside of it whose code may spawn.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Counts as a running task until it is dropped, for a job whose task begins later.
    pub fn track(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// The number of running tasks.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// What an attempt holds while its report is written. Releases `permit` at once, because it is for the attempt and not
    /// for the write. If [`MAX_UNWRITTEN_REPORTS`] reports already wait for a slow store, keeps `permit`, so that the number
    /// of unwritten reports stays bounded.
    pub fn unwritten<P>(&self, permit: P) -> Unwritten<P> {
        let place = self.unwritten_reports.clone().try_acquire_owned().ok();
        let permit = place.is_none().then_some(permit);
        Unwritten { _place: place, _permit: permit }
    }

    /// Awaits `write`, which stores a report, and holds what [`unwritten`](Self::unwritten) returns for `permit`.
    pub async fn write_bounded<P, T>(&self, permit: P, write: impl Future<Output = T>) -> T {
        let unwritten = self.unwritten(permit);
        let written = write.await;
        drop(unwritten);
        written
    }

    /// Whether the stage claims nothing more.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Fires when every task that can be interrupted must hand its job back.
    pub const fn handing_back(&self) -> &CancellationToken {
        &self.handing_back
    }

    /// Stops claiming. Returns the number of tasks that still run.
    pub fn drain(&self) -> usize {
        self.draining.cancel();
        self.tasks.close();
        self.running()
    }

    /// Stops claiming, and makes every task that can be interrupted hand its job back.
    pub fn hand_back(&self) {
        // First, because the stage would otherwise claim the returned jobs again.
        self.draining.cancel();
        self.handing_back.cancel();
    }

    /// Waits until the stage drains and no task runs.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// Like [`ended`](Self::ended), but waits at most `limit`. Returns whether the tasks ended.
    pub async fn ended_within(&self, limit: Duration) -> bool {
        tokio::select! {
            () = self.ended() => true,
            () = self.clock.sleep(limit) => false,
        }
    }

    /// Waits until no task runs.
    #[cfg(test)]
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }
}

/// Awaits all `claims` together, so that many lanes share one transaction. Awaits each to its end even if another fails,
/// because otherwise its claimed jobs would be lost until their leases end.
///
/// # Errors
/// The error of the first claim that failed.
pub async fn claim_together<T>(
    claims: impl IntoIterator<Item = impl Future<Output = Result<T, StoreError>>>,
) -> Result<Vec<T>, StoreError> {
    join_all(claims).await.into_iter().collect()
}
