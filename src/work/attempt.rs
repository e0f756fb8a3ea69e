//! One attempt of a handler, from the claimed job to its report. The handler runs in a task and on a thread of its own, so
//! that a panic, or code that blocks its thread, stops neither the worker nor the clock that watches it.

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::handler::Context;
use crate::job_log::AttemptLine;
use crate::stage::{Started, job_span};
use model::{AfterHandler, Attempt, HandlerPolicy, HandlerReport, RunningJob, Stage};

use super::decide::{self, Circumstances, Ended, Verdict};
use super::log::{log_outcome, log_written};
use super::places::Place;
use super::registry::{Received, Registered};
use super::threads::Ran;
use super::{Inner, Pool};

/// Crashes in a row after which a job is not run again.
pub(super) const CRASH_BUDGET: u32 = 3;

/// The longest text of an error that is kept, in characters: it goes into the store, the log and tables.
const MOST_TEXT: usize = 2_000;

impl Pool {
    /// Starts an attempt on `job`.
    pub(super) fn start(&self, job: RunningJob, place: Place) {
        let pool = self.clone();
        self.0.runtime.spawn(async move {
            let begun = pool.0.runtime.begin();
            let ended = match pool.0.registry.get(job.handler.as_str()) {
                _ if pool.0.runtime.is_draining() => Ended::Interrupted,
                Some(registered) => pool.run_handler(registered, &job).await,
                None => Ended::NoHandler,
            };
            pool.0.runtime.write_bounded(place, pool.clone().finish(job, ended, begun)).await;
        });
    }

    /// Runs the handler on `job` until it ends, its time is over, or the pool hands back.
    async fn run_handler(&self, registered: &Registered, job: &RunningJob) -> Ended {
        if job.crashes >= CRASH_BUDGET {
            return Ended::Crashed(job.crashes);
        }
        let Inner { threads, clock, clients, .. } = &*self.0;
        let now = clock.steady();
        if now >= job.answer_by {
            return Ended::Overdue;
        }
        let kommo = clients.of_account(job.request.return_url.origin(), job.request.account_id);
        let limit = registered.policy.attempt_timeout.min(job.answer_by.since(now));
        // Whatever ends the attempt, the handler's own tasks hear of it.
        let cancelled = CancellationToken::new();
        let over = cancelled.clone().drop_guard();
        let context = Context {
            job_id: job.id,
            attempt: job.attempts + 1,
            deadline: clock.now() + limit,
            remaining: limit,
            // A child: a handler that cancels it ends its own tasks, and not the attempt.
            cancelled: cancelled.child_token(),
            kommo: kommo.with_patience(limit),
        };
        let (handler, request, received) = (registered.handler.clone(), job.request.clone(), job.received_at);
        let work = async move {
            let result = handler.run(&request, Received(received), context).await;
            // Here, because writing an error out and dropping it is the author's code too, which may panic.
            result.map_err(|error| error.as_text(shortened))
        };
        let span = job_span(job.id, &job.handler, job.attempts + 1);
        let handler = threads.spawn(work.instrument(span), cancelled);
        let ended = tokio::select! {
            biased;
            finished = handler => match finished {
                Ok(Ran::Ended(result)) => Ended::Returned(result),
                Ok(Ran::Panicked(said)) => Ended::Panicked(shortened(said)),
                // Only threads that are going down end it otherwise.
                Ok(Ran::Cancelled) | Err(_) => Ended::Interrupted,
            },
            () = clock.sleep(limit) => Ended::TimedOut,
            () = self.0.runtime.handing_back().cancelled() => Ended::Interrupted,
        };
        drop(over);
        ended
    }

    /// Decides what comes after an attempt that `ended`, and reports it to the store.
    pub(super) async fn finish(self, job: RunningJob, ended: Ended, begun: Started) {
        let now = self.0.clock.steady();
        let duration = begun.duration(&self.0.clock);
        let number = job.attempts + 1;
        let fallback = HandlerPolicy::default();
        let policy =
            self.0.registry.get(job.handler.as_str()).map_or(&fallback, |registered| &registered.policy);
        let jitter = (self.0.random)();
        let verdict = decide::judge(
            ended,
            Circumstances { policy, attempts: number, now, answer_by: job.answer_by, jitter },
        );
        log_outcome(&self.0.job_log, &job, number, &verdict, duration);
        let Verdict { next, result, error, .. } = verdict;
        let fallback = match &next {
            AfterHandler::Deliver(prepared) => prepared.outcome.fallback_reason(),
            AfterHandler::Retry { .. } | AfterHandler::HandBack => None,
        };
        let why = error.clone().filter(|_| fallback.is_some()).unwrap_or_default();
        let attempt = result.map(|result| Attempt {
            stage: Stage::Handler,
            number,
            started_at: begun.at,
            duration,
            result,
            status: None,
            error: error.clone(),
        });
        let (id, name) = (job.id, job.handler.clone());
        let written = self.0.store.handled(HandlerReport { job, attempt, next, error }).await;
        if log_written(written, id, &name)
            && let Some(reason) = fallback
        {
            let line = AttemptLine { job: id, handler: &name, attempt: number, duration, error: &why };
            self.0.job_log.fell_back(reason, line);
        }
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
