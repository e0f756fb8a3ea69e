//! The threads that handlers run on. They are separate from the bridge's, because it is easy to write code that blocks a
//! thread, and such code must not keep the bridge from answering Kommo, watching deadlines, or continuing other bots.
//!
//! - [`queue`]: the attempts that are ready to be polled, and the threads that take them. One thread is enough for
//!   handlers that do not block, so a batch of attempts costs one wake-up.
//! - [`runner`]: a thread that polls attempts.
//! - [`watch`]: a thread that adds runners while attempts wait. A poll that does not come back for 20 ms counts as
//!   blocked, and other threads take over the waiting attempts.
//! - [`task`]: one attempt: its wake-ups, its cancellation, its report.
//!
//! I/O, timers, and the tasks that handlers spawn belong to a Tokio runtime that is also separate from the bridge's.

mod outcome;
mod queue;
mod runner;
mod task;
#[cfg(test)]
mod tests;
mod watch;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use model::HandlerName;
use model::clock::Clock;

use queue::{Limits, Queue};
use task::Task;

pub(super) use outcome::TaskOutcome;
pub(super) use task::{Progress, RunningTask};

/// Threads that may run attempts, or be blocked by them, at the same time.
const MAX_THREADS: usize = 512;
/// Threads for blocking work that handlers start: files, DNS lookups, `spawn_blocking`.
const MAX_SIDE_THREADS: usize = 512;
/// How long a thread without work is kept.
const KEEP_IDLE_THREAD: Duration = Duration::from_secs(10);

/// The threads for handlers. Dropping it does not wait for them.
pub struct HandlerThreads {
    /// Drives the I/O and timers of all handlers, and runs the tasks that they spawn.
    runtime: Option<Runtime>,
    queue: Arc<Queue>,
}

impl HandlerThreads {
    /// Creates the threads. Calls `on_blocked`, on another thread, with the name of each handler whose attempt blocks its
    /// thread.
    ///
    /// `clock` should be the machine's clock, even if the bridge runs on another one: it measures how long real threads are
    /// busy.
    ///
    /// # Errors
    /// The system cannot create threads.
    pub fn start(
        clock: Clock,
        on_blocked: impl Fn(&HandlerName) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let limits = Limits {
            threads: MAX_THREADS,
            cores: thread::available_parallelism().map_or(2, usize::from).max(2),
            keep_idle: KEEP_IDLE_THREAD,
        };
        let threads = Self::without_watcher(limits, MAX_SIDE_THREADS, clock, on_blocked)?;
        watch::start(&threads.queue)?;
        Ok(threads)
    }

    fn without_watcher(
        limits: Limits,
        side_threads: usize,
        clock: Clock,
        on_blocked: impl Fn(&HandlerName) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime =
            builder.thread_name("handler-io").max_blocking_threads(side_threads).enable_all().build()?;
        // An alert needs to see 0 before the first blocked thread.
        queue::blocked_threads().increment(0.0);
        let queue = Arc::new(Queue::new(limits, clock, runtime.handle().clone(), Box::new(on_blocked)));
        Ok(Self { runtime: Some(runtime), queue })
    }

    /// Runs `work` of `handler` until it ends or is cancelled.
    ///
    /// Calls `report` once: with the outcome if the first poll ends the work, otherwise with the running task, as soon as
    /// the first poll returns or the work turns out to wait for a thread or to block one. So quick work needs no timer.
    /// `report` runs on a handler thread or the watcher's, and must not block.
    ///
    /// Catches every panic, including one while the work or a panic's payload is dropped: the standard library would abort
    /// the process in that case.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        handler: HandlerName,
        work: impl Future<Output = T> + Send + 'static,
        report: impl FnOnce(Progress<T>) + Send + 'static,
    ) {
        self.queue.push(Task::new(handler, Box::pin(work), Box::new(report), self.queue.clone()));
    }
}

impl Drop for HandlerThreads {
    fn drop(&mut self) {
        self.queue.stop();
        // An ordinary drop of a runtime waits for its threads, and a handler may block one forever.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
