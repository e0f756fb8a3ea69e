//! One attempt of a handler, from the claimed job to its report. The handler runs in its own task and on its own thread.
//! So neither a panic nor code that blocks its thread stops the worker or the clock that limits the attempt.

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::handler::Context;
use crate::job_log::AttemptLine;
use crate::stage::{Started, handler_span};
use model::{AfterHandler, Attempt, HandlerPolicy, HandlerReport, RunningJob, Stage};

use super::decide::{AttemptOutcome, Decision, DecisionContext, decide};
use super::log::{log_outcome, log_written};
use super::permits::Permit;
use super::registry::{ReceivedAt, Registered};
use super::threads::TaskOutcome;
use super::{Inner, Pool};

/// Crashes in a row after which the pool no longer runs the handler for a job.
pub(super) const CRASH_BUDGET: u32 = 3;

/// The maximum length of an error text, in characters. It goes into the store, the log and tables.
const MAX_ERROR_CHARS: usize = 2_000;

impl Pool {
    /// Starts an attempt on `job`.
    pub(super) fn start(&self, job: RunningJob, permit: Permit) {
        let pool = self.clone();
        self.0.runtime.spawn(async move {
            let started = pool.0.runtime.begin();
            let outcome = match pool.0.registry.get(job.handler.as_str()) {
                _ if pool.0.runtime.is_draining() => AttemptOutcome::Interrupted,
                Some(registered) => pool.run_handler(registered, &job).await,
                None => AttemptOutcome::NoHandler,
            };
            pool.0.runtime.write_bounded(permit, pool.clone().finish(job, outcome, started)).await;
        });
    }

    /// Runs the handler on `job` until it ends, its time is up, or the pool hands back.
    async fn run_handler(&self, registered: &Registered, job: &RunningJob) -> AttemptOutcome {
        if job.crashes >= CRASH_BUDGET {
            return AttemptOutcome::Crashed(job.crashes);
        }
        let Inner { threads, clock, clients, .. } = &*self.0;
        let now = clock.steady();
        if now >= job.answer_by {
            return AttemptOutcome::Overdue;
        }
        let kommo = clients.client_of(job.request.return_url.origin(), job.request.account_id);
        let limit = registered.policy.attempt_timeout.min(job.answer_by.since(now));
        // Cancelled when the attempt ends in any way, so that tasks that the handler spawned notice.
        let cancelled = CancellationToken::new();
        let over = cancelled.clone().drop_guard();
        let context = Context {
            job_id: job.id,
            attempt: job.attempts + 1,
            deadline: clock.now() + limit,
            remaining: limit,
            // A child: a handler that cancels it ends only its own tasks, not the attempt.
            cancelled: cancelled.child_token(),
            kommo: kommo.with_patience(limit),
        };
        let (handler, request, received) = (registered.handler.clone(), job.request.clone(), job.received_at);
        let work = async move {
            let result = handler.run(&request, ReceivedAt(received), context).await;
            // Inside the task, because formatting or dropping an error runs the author's code, which may panic.
            result.map_err(|error| error.as_text(shortened))
        };
        let span = handler_span(job.id, &job.handler, job.attempts + 1);
        let handler = threads.spawn(work.instrument(span), cancelled);
        let outcome = tokio::select! {
            biased;
            finished = handler => match finished {
                Ok(TaskOutcome::Ended(result)) => AttemptOutcome::Returned(result),
                Ok(TaskOutcome::Panicked(message)) => AttemptOutcome::Panicked(shortened(message)),
                // Happens only while the threads shut down.
                Ok(TaskOutcome::Cancelled) | Err(_) => AttemptOutcome::Interrupted,
            },
            () = clock.sleep(limit) => AttemptOutcome::TimedOut,
            () = self.0.runtime.handing_back().cancelled() => AttemptOutcome::Interrupted,
        };
        drop(over);
        outcome
    }

    /// Decides what follows an attempt, and reports it to the store.
    pub(super) async fn finish(self, job: RunningJob, outcome: AttemptOutcome, started: Started) {
        let now = self.0.clock.steady();
        let duration = started.duration(&self.0.clock);
        let number = job.attempts + 1;
        let fallback = HandlerPolicy::default();
        let policy =
            self.0.registry.get(job.handler.as_str()).map_or(&fallback, |registered| &registered.policy);
        let jitter = (self.0.random)();
        let decision = decide(
            outcome,
            DecisionContext { policy, attempts: number, now, answer_by: job.answer_by, jitter },
        );
        log_outcome(&self.0.job_log, &job, number, &decision, duration);
        let Decision { next, result, error, .. } = decision;
        let fallback = match &next {
            AfterHandler::Deliver(prepared) => prepared.outcome.fallback_reason(),
            AfterHandler::Retry { .. } | AfterHandler::HandBack => None,
        };
        let why = error.clone().filter(|_| fallback.is_some()).unwrap_or_default();
        let attempt = result.map(|result| Attempt {
            stage: Stage::Handler,
            number,
            started_at: started.at,
            duration,
            result,
            status: None,
            error: error.clone(),
        });
        let (id, name) = (job.id, job.handler.clone());
        let written = self.0.store.jobs().handled(HandlerReport { job, attempt, next, error }).await;
        if log_written(written, id, &name)
            && let Some(reason) = fallback
        {
            let line = AttemptLine { job: id, handler: &name, attempt: number, duration, error: &why };
            self.0.job_log.fell_back(reason, line);
        }
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_ERROR_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
