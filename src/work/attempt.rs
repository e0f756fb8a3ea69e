//! One attempt of a handler, from the claimed job to its report. The handler runs on the [handlers'
//! threads](super::threads), and the rest of the attempt in a task of the bridge's runtime. So neither a panic nor code
//! that blocks its thread stops the worker or the clock that limits the attempt.
//!
//! The task begins when the handler turns out not to be quick. An attempt that is quick needs neither a timer nor a task:
//! the thread that ran the handler sends the report, and the log follows when the store has written it.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument;

use crate::handler::{Context, HandlerError, ReceivedAt};
use crate::job_log::{AttemptLine, JobLog};
use crate::stage::{Started, handler_span};
use model::{
    AfterHandler, Attempt, Completion, FallbackReason, HandlerName, HandlerPolicy, HandlerReport, JobId,
    RunningJob, Stage, StateName,
};
use store::{StoreError, Written};

use super::Pool;
use super::decide::{AttemptOutcome, Decision, DecisionContext, decide};
use super::log::{log_outcome, log_written};
use super::permits::Permit;
use super::registry::Registered;
use super::threads::{Progress, RunningTask, TaskOutcome};

/// Crashes in a row after which the pool no longer runs the handler for a job.
pub(super) const CRASH_BUDGET: u32 = 3;

/// The maximum length of an error text, in characters. It goes into the store, the log and tables.
const MAX_ERROR_CHARS: usize = 2_000;

/// What a handler returned.
type HandlerResult = Result<Completion, HandlerError>;

/// An attempt whose handler runs.
struct RunningAttempt {
    pool: Pool,
    job: RunningJob,
    permit: Permit,
    started: Started,
    /// When its time is over, by the monotonic clock.
    until: Duration,
    /// Cancels [`Context::cancelled`] when the attempt ends in any way, so that tasks that the handler spawned notice.
    over: DropGuard,
    /// Lets a stop wait for the attempt before its task exists.
    tracked: TaskTrackerToken,
}

impl Pool {
    /// Starts an attempt on `job`. Does little, because the store calls it for one job of a transaction after the other.
    pub(super) fn start(&self, job: RunningJob, permit: Permit) {
        let started = self.0.runtime.begin();
        match self.may_run(&job) {
            Ok((registered, limit)) => {
                if job.attempts == 0 {
                    let waited = self.0.clock.steady().since(job.waiting_since);
                    registered.queue_wait.record(waited.as_secs_f64());
                }
                self.run_handler(registered, limit, job, permit, started);
            }
            Err(outcome) => {
                self.0.runtime.spawn(self.clone().end(job, permit, outcome, started));
            }
        }
    }

    /// The handler of `job`, and how long it may take; or the outcome of the attempt if it cannot begin.
    fn may_run(&self, job: &RunningJob) -> Result<(&Registered, Duration), AttemptOutcome> {
        if self.0.runtime.is_draining() {
            return Err(AttemptOutcome::Interrupted);
        }
        let registered = self.0.registry.get(job.handler.as_str()).ok_or(AttemptOutcome::NoHandler)?;
        if job.crashes >= CRASH_BUDGET {
            return Err(AttemptOutcome::Crashed(job.crashes));
        }
        let now = self.0.clock.steady();
        if now >= job.answer_by {
            return Err(AttemptOutcome::Overdue);
        }
        Ok((registered, registered.policy.attempt_timeout.min(job.answer_by.since(now))))
    }

    /// Runs the handler on `job` until it ends, its time is up, or the pool hands back.
    fn run_handler(
        &self,
        registered: &Registered,
        limit: Duration,
        job: RunningJob,
        permit: Permit,
        started: Started,
    ) {
        let cancelled = CancellationToken::new();
        let (id, name, attempt) = (job.id, job.handler.clone(), job.attempts + 1);
        let (handler, request, received) = (registered.handler.clone(), job.request.clone(), job.received_at);
        let (clients, deadline) = (self.0.clients.clone(), started.at + limit);
        let answer_by = started.at + job.answer_by.since(self.0.clock.steady());
        let (callbacks, notes) = (self.0.callbacks.clone(), self.0.notes.clone());
        let running = RunningAttempt {
            pool: self.clone(),
            job,
            permit,
            started,
            until: self.0.clock.elapsed() + limit,
            over: cancelled.clone().drop_guard(),
            tracked: self.0.runtime.track(),
        };
        let work = async move {
            let span = handler_span(id, &name, attempt);
            let kommo = clients.client_of(request.return_url.origin(), request.account_id);
            let context = Context {
                job_id: id,
                attempt,
                deadline,
                remaining: limit,
                // A handler that cancels it ends only its own tasks, not the attempt.
                cancelled,
                kommo: kommo.with_patience(limit),
                answer_by,
                callbacks,
                notes,
            };
            let run = async {
                let result = handler.run(&request, ReceivedAt(received), context).await;
                // Inside the task, because formatting or dropping an error runs the author's code, which may panic.
                result.map_err(|error| error.as_text(shortened))
            };
            run.instrument(span).await
        };
        let name = running.job.handler.clone();
        self.0.threads.spawn(name, work, move |progress| running.report(progress));
    }

    /// Waits until the handler ends, its time is up, or the pool hands back. Then drops the handler's work.
    async fn outcome_of(&self, handler: RunningTask<HandlerResult>, until: Duration) -> AttemptOutcome {
        tokio::select! {
            biased;
            outcome = handler => outcome.into(),
            () = self.0.clock.sleep_until(until) => AttemptOutcome::TimedOut,
            () = self.0.runtime.handing_back().cancelled() => AttemptOutcome::Interrupted,
        }
    }

    /// Decides what follows an attempt, and reports it to the store.
    async fn end(self, job: RunningJob, permit: Permit, outcome: AttemptOutcome, started: Started) {
        let pool = self.clone();
        let finish = async move {
            let _state = pool.finish(job, outcome, started).await;
        };
        self.0.runtime.write_bounded(permit, finish).await;
    }

    /// Like [`end`](Self::end), but without a task. `tracked` counts as one.
    fn end_now(
        &self,
        job: RunningJob,
        permit: Permit,
        outcome: AttemptOutcome,
        started: Started,
        tracked: TaskTrackerToken,
    ) {
        let (report, ended) = self.decided(job, outcome, started);
        let (job_log, unwritten) = (self.0.job_log.clone(), self.0.runtime.unwritten(permit));
        self.0.store.jobs().handled_then(report, move |written| {
            ended.log(&job_log, written);
            drop((unwritten, tracked));
        });
    }

    /// Like [`end`](Self::end), without a permit. Returns the job's next state.
    pub(super) async fn finish(
        self,
        job: RunningJob,
        outcome: AttemptOutcome,
        started: Started,
    ) -> StateName {
        let (report, ended) = self.decided(job, outcome, started);
        let state = report.next.state();
        let written = self.0.store.jobs().handled(report).await;
        ended.log(&self.0.job_log, written);
        state
    }

    /// Decides what follows an attempt, and logs its outcome.
    fn decided(
        &self,
        job: RunningJob,
        outcome: AttemptOutcome,
        started: Started,
    ) -> (HandlerReport, EndedAttempt) {
        let now = self.0.clock.steady();
        let duration = started.duration(&self.0.clock);
        let ran = outcome.is_new_attempt();
        let number = job.attempts + u32::from(ran);
        let fallback = HandlerPolicy::default();
        let registered = self.0.registry.get(job.handler.as_str());
        let policy = registered.map_or(&fallback, |registered| &registered.policy);
        let max_awaiting = registered.and_then(|registered| registered.handler.max_awaiting());
        let many_awaiting = max_awaiting.is_some_and(|max| {
            usize::try_from(self.0.store.callbacks().awaiting(job.handler.as_str()))
                .is_ok_and(|jobs| jobs >= max)
        });
        let jitter = (self.0.random)();
        let decision = decide(
            outcome,
            DecisionContext {
                policy,
                attempts: number,
                now,
                answer_by: job.answer_by,
                jitter,
                many_awaiting,
            },
        );
        log_outcome(&self.0.job_log, &self.0.attempts, &job, number, &decision, duration);
        if let Some(registered) = registered
            && decision.result.is_some()
            && ran
        {
            registered.attempt.record(duration.as_secs_f64());
        }
        let Decision { next, result, error, .. } = decision;
        let fallback = match &next {
            AfterHandler::Deliver(prepared) => prepared.outcome.fallback_reason(),
            AfterHandler::Retry { .. } | AfterHandler::AwaitCallback | AfterHandler::HandBack => None,
        };
        let attempt = result.map(|result| Attempt {
            stage: Stage::Handler,
            number,
            started_at: started.at,
            duration,
            result,
            status: None,
            error: error.clone(),
        });
        let ended = EndedAttempt {
            job: job.id,
            handler: job.handler.clone(),
            number,
            duration,
            fallback: fallback.map(|reason| (reason, error.clone().unwrap_or_default())),
        };
        (HandlerReport { job, attempt, next, error }, ended)
    }
}

/// What the log says about an attempt once its report is written.
struct EndedAttempt {
    job: JobId,
    handler: HandlerName,
    number: u32,
    duration: Duration,
    /// Why the bot gets the fallback, and the error; `None` if it does not.
    fallback: Option<(FallbackReason, String)>,
}

impl EndedAttempt {
    fn log(self, job_log: &JobLog, written: Result<Written, StoreError>) {
        let Self { job, handler, number: attempt, duration, fallback } = self;
        if log_written(written, job, &handler)
            && let Some((reason, error)) = fallback
        {
            let line = AttemptLine { job, handler: &handler, attempt, duration, error: &error };
            job_log.fell_back(reason, line);
        }
    }
}

impl From<TaskOutcome<HandlerResult>> for AttemptOutcome {
    fn from(outcome: TaskOutcome<HandlerResult>) -> Self {
        match outcome {
            TaskOutcome::Ended(result) => Self::Returned(result),
            TaskOutcome::Panicked(message) => Self::Panicked(shortened(message)),
            // Happens only while the threads shut down.
            TaskOutcome::Cancelled => Self::Interrupted,
        }
    }
}

impl RunningAttempt {
    /// Ends the attempt if its handler has ended, otherwise starts the task that waits for it.
    fn report(self, progress: Progress<HandlerResult>) {
        let pool = self.pool.clone();
        // For the log, which spawns a task to count the lines that it suppresses. The runtime of the handlers' threads is
        // theirs alone.
        let _context = pool.0.runtime.enter();
        match progress {
            Progress::Ended(outcome) => {
                let Self { job, permit, started, over, tracked, .. } = self;
                drop(over);
                pool.end_now(job, permit, outcome.into(), started, tracked);
            }
            Progress::Running(handler) => {
                pool.0.runtime.spawn(self.wait(handler));
            }
        }
    }

    /// Waits for the end of the attempt, and reports it.
    async fn wait(self, handler: RunningTask<HandlerResult>) {
        let Self { pool, job, permit, started, until, over, tracked } = self;
        // The task itself is tracked.
        drop(tracked);
        let outcome = pool.outcome_of(handler, until).await;
        drop(over);
        pool.end(job, permit, outcome, started).await;
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_ERROR_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
