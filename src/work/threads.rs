//! The threads that handlers run on. They are separate from the bridge's, because it is easy to write code that blocks a
//! thread, and such code must not keep the bridge from answering Kommo, watching deadlines, or continuing other bots.
//!
//! Each attempt has its own thread, so an attempt that blocks does not delay another. Threads are started when attempts
//! need them, and reused. At most [`MAX_ATTEMPT_THREADS`] attempts have their own thread. Further ones share one thread
//! per core, as in any async program, so the number of threads is bounded.
//!
//! A thread that a handler blocks forever is lost until the next start. Once all are lost, every attempt runs on the
//! shared threads.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::panics;

/// Attempts that may have their own thread at the same time.
const MAX_ATTEMPT_THREADS: usize = 512;
/// Threads for blocking work that handlers start: files, DNS lookups, `spawn_blocking`.
const MAX_SIDE_THREADS: usize = 512;

/// The threads for handlers. Dropping it does not wait for them.
#[derive(Debug)]
pub struct HandlerThreads {
    /// The first runtime drives the I/O and timers of all handlers, and runs their side work and the attempts without
    /// their own thread. The second has the threads of the attempts, so that no attempt waits behind side work.
    runtimes: Option<[Runtime; 2]>,
    handle: Handle,
    attempts: Handle,
    own: Arc<Semaphore>,
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TaskOutcome<T> {
    /// It ended.
    Ended(T),
    /// It panicked with this message.
    Panicked(String),
    /// It was cancelled.
    Cancelled,
}

impl HandlerThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system cannot create threads.
    pub fn start() -> io::Result<Self> {
        Self::with(MAX_ATTEMPT_THREADS, MAX_SIDE_THREADS)
    }

    fn with(own: usize, side: usize) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.thread_name("handler").max_blocking_threads(side).enable_all().build()?;
        let mut builder = Builder::new_current_thread();
        let attempts = builder.thread_name("handler").max_blocking_threads(own.max(1)).build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            attempts: attempts.handle().clone(),
            runtimes: Some([runtime, attempts]),
            own: Arc::new(Semaphore::new(own)),
        })
    }

    /// Runs `work` until it ends. If `cancelled` fires first, drops `work` as soon as it yields its thread.
    ///
    /// Catches every panic, including one while the work or a panic's payload is dropped: Tokio and the standard library
    /// would abort the process in that case.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        cancelled: CancellationToken,
    ) -> JoinHandle<TaskOutcome<T>> {
        let work = async move { cancelled.run_until_cancelled_owned(work).await };
        let work = AssertUnwindSafe(work).catch_unwind().map(|ended| match ended {
            Ok(Some(value)) => TaskOutcome::Ended(value),
            Ok(None) => TaskOutcome::Cancelled,
            Err(payload) => TaskOutcome::Panicked(panic_message(payload)),
        });
        match self.own.clone().try_acquire_owned() {
            Ok(thread) => {
                let handle = self.handle.clone();
                self.attempts.spawn_blocking(move || {
                    let _released_at_the_end = thread;
                    handle.block_on(work)
                })
            }
            Err(_) => self.handle.spawn(work),
        }
    }
}

/// The loggable text of a panic, with its location. Dropping the payload runs the handler's code, which may panic again;
/// the payload of that second panic is leaked, because dropping it could panic too.
fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let message = panics::loggable_text(&*payload);
    let text =
        panics::take_place().map_or_else(|| message.clone(), |place| format!("{message} (at {place})"));
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    text
}

impl Drop for HandlerThreads {
    fn drop(&mut self) {
        // An ordinary drop of a runtime waits for its threads, and a handler may block one forever.
        for runtime in self.runtimes.take().into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn blocked_threads_do_not_block_other_attempts_and_their_number_is_bounded() {
        let threads = HandlerThreads::with(20, MAX_SIDE_THREADS).unwrap();
        let never = CancellationToken::new;
        let (entered, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let (hold, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        for _ in 0..20 {
            let (entered, held) = (entered.clone(), held.clone());
            threads.spawn(
                async move {
                    entered.send(()).unwrap();
                    // Each waits for the previous one, and the first waits for the test.
                    let _released = held.lock().map(|held| held.recv());
                },
                never(),
            );
        }
        for _ in 0..20 {
            seen.recv().await.unwrap();
        }
        assert_eq!(threads.own.available_permits(), 0);
        // The next one does not get its own thread, and still runs.
        assert_eq!(threads.spawn(async { 7 }, never()).await.unwrap(), TaskOutcome::Ended(7));
        drop(hold);
        while threads.own.available_permits() < 20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn ten_thousand_short_attempts_run_on_four_threads() {
        let threads = HandlerThreads::with(4, MAX_SIDE_THREADS).unwrap();
        let tasks: Vec<_> = (0..10_000)
            .map(|number| threads.spawn(async move { number }, CancellationToken::new()))
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), TaskOutcome::Ended(number));
        }
        assert_eq!(threads.own.available_permits(), 4);
    }

    #[tokio::test]
    async fn side_work_of_a_handler_does_not_delay_attempts() {
        let threads = HandlerThreads::with(2, 1).unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let aside = async move {
            // The test holds the only thread for side work, and a second piece of work waits for it.
            let _never_awaited = tokio::task::spawn_blocking(move || held.recv());
            let _waits = tokio::task::spawn_blocking(|| ());
        };
        assert_eq!(threads.spawn(aside, CancellationToken::new()).await.unwrap(), TaskOutcome::Ended(()));
        assert_eq!(
            threads.spawn(async { 7 }, CancellationToken::new()).await.unwrap(),
            TaskOutcome::Ended(7)
        );
        drop(hold);
    }

    #[tokio::test]
    async fn cancelled_work_is_dropped_on_its_own_or_a_shared_thread() {
        for own in [0, 1] {
            let threads = HandlerThreads::with(own, MAX_SIDE_THREADS).unwrap();
            let cancelled = CancellationToken::new();
            let task = threads.spawn(pending::<()>(), cancelled.clone());
            cancelled.cancel();
            assert_eq!(task.await.unwrap(), TaskOutcome::Cancelled);
            let cancelled = CancellationToken::new();
            let bomb = async {
                let _bomb = Bomb;
                pending::<()>().await;
            };
            let task = threads.spawn(bomb, cancelled.clone());
            cancelled.cancel();
            // It may have been cancelled before the bomb existed.
            assert!(!matches!(task.await.unwrap(), TaskOutcome::Ended(())));
        }
    }

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Self);
        }
    }

    #[tokio::test]
    async fn a_panic_with_any_payload_gives_a_text() {
        async fn panics(payload: impl Any + Send) -> TaskOutcome<()> {
            let threads = HandlerThreads::start().unwrap();
            let work = async move { std::panic::panic_any(payload) };
            threads.spawn(work, CancellationToken::new()).await.unwrap()
        }
        assert_eq!(panics("text").await, TaskOutcome::Panicked("text".into()));
        assert_eq!(
            panics(String::from("string")).await,
            TaskOutcome::Panicked("message withheld because it may quote data".into())
        );
        assert_eq!(panics(7).await, TaskOutcome::Panicked("no message".into()));
        assert_eq!(panics(Bomb).await, TaskOutcome::Panicked("no message".into()));
    }
}
