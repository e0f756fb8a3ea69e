//! One attempt as the handler threads see it: work to poll, and someone to report to.
//!
//! A task is in the queue at most once, and at most one thread polls it. It holds its thread only during a poll.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::oneshot;

use model::HandlerName;

use super::outcome::{TaskOutcome, catch};
use super::queue::Queue;

/// It waits for a wake-up.
const WAITING: u8 = 0;
/// It is in the queue.
const QUEUED: u8 = 1;
/// A thread polls it.
const POLLED: u8 = 2;
/// A thread polls it, and it was woken meanwhile, so it joins the queue again.
const WOKEN: u8 = 3;
/// It has ended.
const ENDED: u8 = 4;

/// Work of an attempt.
type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Takes the first news about a task.
type FirstReport<T> = Box<dyn FnOnce(Progress<T>) + Send>;

/// A task of any type.
pub(super) trait Runnable: Send + Sync {
    /// Polls the task, or drops its work if it was cancelled.
    fn run(self: Arc<Self>);

    /// Reports the task as running, unless it was already reported.
    fn report_running(self: Arc<Self>);

    /// Makes the next free thread drop the work.
    fn cancel(self: Arc<Self>);

    /// The name of the handler.
    fn handler(&self) -> &HandlerName;
}

/// The first news about a task.
pub(in crate::work) enum Progress<T> {
    /// The first poll ended it.
    Ended(TaskOutcome<T>),
    /// It runs: it waits for something, for a thread, or blocks one.
    Running(RunningTask<T>),
}

/// Resolves when the task ends. Dropping it cancels the task: its work is dropped as soon as it yields its thread.
pub(in crate::work) struct RunningTask<T> {
    outcome: oneshot::Receiver<TaskOutcome<T>>,
    task: Arc<dyn Runnable>,
}

/// The work of an attempt and its state.
pub(super) struct Task<T> {
    handler: HandlerName,
    queue: Arc<Queue>,
    state: AtomicU8,
    cancelled: AtomicBool,
    /// `None` after the end. Only the thread that polls the task locks it.
    work: Mutex<Option<Work<T>>>,
    report: Mutex<Report<T>>,
}

/// Where the outcome goes.
enum Report<T> {
    /// Nothing was reported yet.
    First(FirstReport<T>),
    /// The task was reported as running.
    Outcome(oneshot::Sender<TaskOutcome<T>>),
    /// The outcome was reported.
    Done,
}

impl<T: Send + 'static> Task<T> {
    /// Creates a task that is about to join `queue`.
    pub(super) fn new(
        handler: HandlerName,
        work: Work<T>,
        report: FirstReport<T>,
        queue: Arc<Queue>,
    ) -> Arc<Self> {
        Arc::new(Self {
            handler,
            queue,
            state: AtomicU8::new(QUEUED),
            cancelled: AtomicBool::new(false),
            work: Mutex::new(Some(work)),
            report: Mutex::new(Report::First(report)),
        })
    }

    /// Polls the work once. A panic ends it.
    fn poll(self: &Arc<Self>, work: &mut Work<T>) -> Poll<TaskOutcome<T>> {
        let waker = Waker::from(self.clone());
        // `block_on` of one poll gives the poll a cooperative budget. So work that always finds something to do, such as a
        // channel that is never empty, still yields its thread.
        let poll = || {
            let once = poll_fn(|_| Poll::Ready(work.as_mut().poll(&mut Context::from_waker(&waker))));
            self.queue.runtime().block_on(once)
        };
        match catch(poll) {
            Ok(polled) => polled.map(TaskOutcome::Ended),
            Err(message) => Poll::Ready(TaskOutcome::Panicked(message)),
        }
    }

    /// Drops the work, which may panic, and reports.
    fn end(&self, work: &mut Option<Work<T>>, mut outcome: TaskOutcome<T>) {
        self.state.store(ENDED, Ordering::SeqCst);
        if let Err(message) = catch(|| drop(work.take())) {
            outcome = TaskOutcome::Panicked(message);
        }
        let report = std::mem::replace(&mut *lock(&self.report), Report::Done);
        match report {
            Report::First(report) => report(Progress::Ended(outcome)),
            // No one waits for the outcome of a cancelled task.
            Report::Outcome(sender) => drop(sender.send(outcome)),
            Report::Done => {}
        }
    }
}

impl<T: Send + 'static> Runnable for Task<T> {
    fn run(self: Arc<Self>) {
        self.state.store(POLLED, Ordering::SeqCst);
        let mut slot = lock(&self.work);
        let Some(work) = slot.as_mut() else { return };
        if self.cancelled.load(Ordering::SeqCst) {
            return self.end(&mut slot, TaskOutcome::Cancelled);
        }
        if let Poll::Ready(outcome) = self.poll(work) {
            return self.end(&mut slot, outcome);
        }
        drop(slot);
        self.clone().report_running();
        let yielded = self.state.compare_exchange(POLLED, WAITING, Ordering::SeqCst, Ordering::SeqCst);
        if yielded.is_err() {
            self.state.store(QUEUED, Ordering::SeqCst);
            let queue = self.queue.clone();
            queue.push(self);
        }
    }

    fn report_running(self: Arc<Self>) {
        let mut report = lock(&self.report);
        match std::mem::replace(&mut *report, Report::Done) {
            Report::First(first) => {
                let (sender, outcome) = oneshot::channel();
                *report = Report::Outcome(sender);
                drop(report);
                first(Progress::Running(RunningTask { outcome, task: self }));
            }
            reported => *report = reported,
        }
    }

    fn cancel(self: Arc<Self>) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn handler(&self) -> &HandlerName {
        &self.handler
    }
}

impl<T: Send + 'static> Wake for Task<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| match state {
            WAITING => Some(QUEUED),
            POLLED => Some(WOKEN),
            _ => None,
        });
        if woken == Ok(WAITING) {
            self.queue.push(self.clone());
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // Only if the threads stopped before the work ended.
        let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _no_one_reads_it = catch(|| drop(work.take()));
    }
}

impl<T> Future for RunningTask<T> {
    type Output = TaskOutcome<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TaskOutcome<T>> {
        let outcome = Pin::new(&mut self.outcome).poll(context);
        // The sender is dropped only if the threads stopped.
        outcome.map(|received| received.unwrap_or(TaskOutcome::Cancelled))
    }
}

impl<T> Drop for RunningTask<T> {
    fn drop(&mut self) {
        self.task.clone().cancel();
    }
}

fn lock<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
