//! The queue of attempts that are ready to be polled, and the threads that take them, oldest first.
//!
//! Pushing wakes a thread only if none is working. The others are added by the [watcher](super::watch) if attempts wait.
//! Idle threads form a stack, so the same few serve all quick handlers, and the rest end after a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Handle;

use model::HandlerName;
use model::clock::Clock;

use super::runner;
use super::task::Runnable;
use super::watch::LONG_WAIT;

/// The metric that counts blocked threads. Several bridges in a process share it, so it is only raised and lowered.
pub(super) fn blocked_threads() -> metrics::Gauge {
    metrics::gauge!("bridge_handler_threads_blocked")
}

/// The limits on the threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The maximum number of threads, blocked ones included.
    pub(super) threads: usize,
    /// How many threads run at once as long as no attempt waits long.
    pub(super) cores: usize,
    /// How long an idle thread is kept.
    pub(super) keep_idle: Duration,
}

/// The attempts that are ready, and the threads.
pub(super) struct Queue {
    state: Mutex<State>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    runtime: Handle,
    pub(super) on_blocked: Box<dyn Fn(&HandlerName) + Send + Sync>,
    /// The thread of the watcher.
    pub(super) watcher: OnceLock<Thread>,
}

/// The state of the queue, under its lock.
#[derive(Default)]
pub(super) struct State {
    /// The attempts that are ready, oldest first.
    pub(super) ready: VecDeque<Ready>,
    /// The current poll of each thread, by the thread's number; `None` if it does not poll, or no such thread exists.
    pub(super) polls: Vec<Option<CurrentPoll>>,
    /// Numbers without a thread.
    free: Vec<usize>,
    /// The threads without work; the last one is woken first.
    idle: Vec<(usize, Thread)>,
    /// The number of threads.
    threads: usize,
    /// The number of blocked ones among them.
    pub(super) blocked: usize,
    /// Whether anything was pushed since the last check by the watcher.
    pub(super) pushed: bool,
    /// Whether the watcher looks again without being woken.
    pub(super) watched: bool,
    pub(super) stopping: bool,
}

/// An attempt that is ready.
pub(super) struct Ready {
    pub(super) task: Arc<dyn Runnable>,
    /// By the clock's elapsed time.
    pub(super) since: Duration,
    /// Whether the watcher has reported the attempt as running.
    pub(super) reported: bool,
}

/// The poll that a thread is in.
pub(super) struct CurrentPoll {
    pub(super) task: Arc<dyn Runnable>,
    /// By the clock's elapsed time.
    pub(super) since: Duration,
    /// Whether it counts as blocked.
    pub(super) blocked: bool,
}

/// Threads to wake and to start, after the lock is released.
#[derive(Default)]
pub(super) struct Added {
    wake: Vec<Thread>,
    start: Vec<usize>,
}

impl State {
    /// The number of threads that run attempts or are about to, without the blocked ones.
    pub(super) fn working(&self) -> usize {
        self.threads - self.idle.len() - self.blocked
    }

    /// Takes up to `wanted` idle or new threads.
    pub(super) fn add(&mut self, wanted: usize, limits: &Limits) -> Added {
        let mut added = Added::default();
        for _ in 0..wanted {
            if let Some((_, thread)) = self.idle.pop() {
                added.wake.push(thread);
            } else if self.threads < limits.threads {
                self.threads += 1;
                added.start.push(self.free.pop().unwrap_or_else(|| {
                    self.polls.push(None);
                    self.polls.len() - 1
                }));
            } else {
                break;
            }
        }
        added
    }

    /// Takes the oldest attempt, unless this thread is surplus: more threads work than there are cores, as after a blocked
    /// one came back, and no attempt waits long.
    fn take(&mut self, now: Duration, cores: usize) -> Option<Arc<dyn Runnable>> {
        let waited = now.saturating_sub(self.ready.front()?.since);
        if self.working() > cores && waited < LONG_WAIT {
            return None;
        }
        self.ready.pop_front().map(|ready| ready.task)
    }

    /// The number of threads.
    #[cfg(test)]
    pub(super) const fn threads(&self) -> usize {
        self.threads
    }

    fn remove_thread(&mut self, id: usize) {
        self.threads -= 1;
        self.free.push(id);
    }
}

impl Queue {
    /// Creates an empty queue without threads. Polls run in the context of `runtime`.
    pub(super) fn new(
        limits: Limits,
        clock: Clock,
        runtime: Handle,
        on_blocked: Box<dyn Fn(&HandlerName) + Send + Sync>,
    ) -> Self {
        Self { state: Mutex::default(), limits, clock, runtime, on_blocked, watcher: OnceLock::new() }
    }

    /// The runtime whose context polls need.
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an attempt that is ready, and wakes a thread if none is working.
    pub(super) fn push(self: &Arc<Self>, task: Arc<dyn Runnable>) {
        let since = self.clock.elapsed();
        let mut state = self.lock();
        state.ready.push_back(Ready { task, since, reported: false });
        state.pushed = true;
        let added = if state.working() == 0 { state.add(1, &self.limits) } else { Added::default() };
        let was_watched = std::mem::replace(&mut state.watched, true);
        drop(state);
        self.begin(added);
        if !was_watched {
            self.wake_watcher();
        }
    }

    /// Ends the current poll of thread `id`, and waits for the next attempt that it shall poll. `None` if the thread shall
    /// end.
    pub(super) fn next(&self, id: usize) -> Option<Arc<dyn Runnable>> {
        let mut now = self.clock.elapsed();
        // Declared before the lock, so that it is dropped after the lock is released.
        let mut ended;
        let mut state = self.lock();
        ended = state.polls[id].take();
        if ended.as_ref().is_some_and(|poll| poll.blocked) {
            state.blocked -= 1;
            blocked_threads().decrement(1.0);
        }
        loop {
            if let Some(task) = state.take(now, self.limits.cores) {
                state.polls[id] = Some(CurrentPoll { task: task.clone(), since: now, blocked: false });
                return Some(task);
            }
            if state.stopping {
                break;
            }
            state.idle.push((id, thread::current()));
            drop(state);
            drop(ended.take());
            thread::park_timeout(self.limits.keep_idle);
            state = self.lock();
            // If no one took the thread from the stack, its time is over. A spurious wake-up ends it too, which is harmless.
            if let Some(at) = state.idle.iter().rposition(|(idle, _)| *idle == id) {
                state.idle.remove(at);
                break;
            }
            now = self.clock.elapsed();
        }
        state.remove_thread(id);
        None
    }

    /// Wakes and starts the threads that [`State::add`] took.
    pub(super) fn begin(self: &Arc<Self>, added: Added) {
        for thread in added.wake {
            thread.unpark();
        }
        for id in added.start {
            let queue = self.clone();
            let run = move || runner::run(&queue, id);
            // If the system refuses another thread, the others continue, and the watcher tries again.
            if thread::Builder::new().name("handler".to_owned()).spawn(run).is_err() {
                self.lock().remove_thread(id);
            }
        }
    }

    /// Ends all threads as soon as they are free and the queue is empty. Does not wait for them.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        for (_, thread) in idle {
            thread.unpark();
        }
        self.wake_watcher();
    }

    fn wake_watcher(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.unpark();
        }
    }
}
