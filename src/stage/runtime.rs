//! The tasks of one stage: the loop that claims jobs, one task for each of them, and the stop.
//!
//! A stage stops in two steps. When it drains, it claims nothing more, and what runs may finish. When it hands back, what can
//! be interrupted is, and its jobs return to the store.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use model::clock::Clock;
use store::{Lanes, StoreError};

use super::Started;

/// Reports that may wait for the store without holding a permit of their stage: a few transactions full.
const MAX_UNWRITTEN_REPORTS: usize = 1_024;

/// The tasks of one stage, and how far its stop has come.
pub struct StageRuntime {
    clock: Clock,
    tasks: TaskTracker,
    unwritten_reports: Semaphore,
    draining: CancellationToken,
    handing_back: CancellationToken,
}

impl StageRuntime {
    /// A stage without tasks.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            tasks: TaskTracker::new(),
            unwritten_reports: Semaphore::new(MAX_UNWRITTEN_REPORTS),
            draining: CancellationToken::new(),
            handing_back: CancellationToken::new(),
        }
    }

    /// Calls `step` whenever a job of `lanes` may have become due, until `stop`.
    pub async fn run_loop<J, F>(&self, lanes: &Lanes<J>, stop: &CancellationToken, step: impl Fn() -> F)
    where
        F: Future<Output = Result<Option<Duration>, StoreError>>,
    {
        lanes.run_loop(&self.clock, stop, step).await;
    }

    /// Notes that an attempt begins now.
    pub fn begin(&self) -> Started {
        Started::now(&self.clock)
    }

    /// Runs `task`, which belongs to one job.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The future of an attempt is several kilobytes. Boxed, it is not copied again on its way through the spawning.
        self.tasks.spawn(Box::pin(task));
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Awaits `write`, which stores a report. `permit` is for the attempt, so it is given back first. But while the store is
    /// slow, the number of unwritten reports has to stay bounded: beyond the bound, `permit` is kept until the end.
    pub async fn write_bounded<P, T>(&self, permit: P, write: impl Future<Output = T>) -> T {
        let mut permit = Some(permit);
        let unwritten = self.unwritten_reports.try_acquire().ok();
        if unwritten.is_some() {
            permit.take();
        }
        let written = write.await;
        drop((unwritten, permit));
        written
    }

    /// Whether the stage claims nothing more.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Fires when the jobs that can be handed back have to be.
    pub const fn handing_back(&self) -> &CancellationToken {
        &self.handing_back
    }

    /// From now on the stage claims nothing. Returns how many tasks still run.
    pub fn drain(&self) -> usize {
        self.draining.cancel();
        self.tasks.close();
        self.running()
    }

    /// From now on the stage claims nothing, and hands back what can be interrupted.
    pub fn hand_back(&self) {
        // First, or a job that is handed back is claimed again.
        self.draining.cancel();
        self.handing_back.cancel();
    }

    /// Waits until the stage drains and no task runs.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// As [`ended`](Self::ended), but no longer than `limit`. Returns whether the tasks ended.
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

/// Awaits all `claims`: together, so that many lanes share one transaction, and each to its end, because no one has the jobs
/// of a claim that is not awaited.
///
/// # Errors
/// The first claim that failed.
pub async fn claim_together<T>(
    claims: impl IntoIterator<Item = impl Future<Output = Result<T, StoreError>>>,
) -> Result<Vec<T>, StoreError> {
    join_all(claims).await.into_iter().collect()
}
