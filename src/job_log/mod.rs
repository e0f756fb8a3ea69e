//! The log lines about jobs, within limits: one for each finished job, and warnings of fallbacks and failed attempts.
//!
//! At a low rate every job has its line, so the first request from a real account is visible. At a high rate the log
//! stays readable and costs almost nothing: lines beyond a limit are counted, and their sum follows. Lines contain ids
//! and numbers, never what a customer writes or receives.

mod end;
mod finished;
mod limiter;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::log_limiter::LogLimiter;
use crate::meters::{Counters, Totals};
use model::clock::Clock;
use model::{AttemptResult, FallbackReason, HandlerName, JobId, Timestamp, whole_millis};

pub use finished::{Finished, LastCall};

use limiter::{Limiter, Offer};

/// Logs what happens to jobs. Cheap to clone; clones share their limits.
#[derive(Clone)]
pub struct JobLog(Arc<Inner>);

struct Inner {
    clock: Clock,
    finished: Mutex<Limiter<Finished>>,
    /// Finished jobs by handler, state and outcome.
    ends: Counters<(HandlerName, &'static str, &'static str)>,
    totals: Totals,
    fallbacks: LogLimiter<(HandlerName, FallbackReason)>,
    retries: LogLimiter<(HandlerName, AttemptResult)>,
    blocked: LogLimiter<HandlerName>,
}

/// One attempt of a handler, as the log shows it.
#[derive(Clone, Copy, Debug)]
pub struct AttemptLine<'a> {
    /// The job.
    pub job: JobId,
    /// The job's handler.
    pub handler: &'a HandlerName,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// How long the attempt took.
    pub duration: Duration,
    /// What went wrong.
    pub error: &'a str,
}

impl JobLog {
    /// Creates a log whose limits follow `clock`.
    pub fn new(clock: Clock) -> Self {
        let fallbacks = LogLimiter::with_sum(clock.clone(), |(handler, reason), suppressed| {
            tracing::warn!(%handler, %reason, suppressed, "bots got the fallback: further lines were suppressed");
        });
        let retries = LogLimiter::with_sum(
            clock.clone(),
            |(handler, result): &(HandlerName, AttemptResult), suppressed| {
                let result = result.as_str();
                tracing::warn!(%handler, result, suppressed, "handler attempts failed: further lines were suppressed");
            },
        );
        let blocked = LogLimiter::with_sum(clock.clone(), |handler, suppressed| {
            tracing::warn!(%handler, suppressed, "handler blocked its thread: further lines were suppressed");
        });
        let ends = Counters::new(
            |(handler, state, outcome): &(HandlerName, &'static str, &'static str)| metrics::counter!("bridge_jobs_finished_total", "handler" => handler.to_string(), "state" => *state, "outcome" => *outcome),
        );
        let totals = Totals::default();
        Self(Arc::new(Inner { clock, finished: Mutex::default(), ends, totals, fallbacks, retries, blocked }))
    }

    /// The totals to which this log adds each finished job.
    pub fn totals(&self) -> Totals {
        self.0.totals.clone()
    }

    /// Warns that an attempt of `handler` blocks its thread, within the same limits.
    ///
    /// # Panics
    /// If called outside a Tokio runtime, where nothing can wait for the end of the interval.
    pub fn blocked(&self, handler: &HandlerName) {
        if self.0.blocked.allows(handler.clone()) {
            tracing::warn!(%handler, "handler blocks its thread: move blocking code to `spawn_blocking`");
        }
    }

    /// Counts a fallback after the store has it, and logs a warning. Per handler and reason, only the first few are
    /// logged one by one.
    pub fn fell_back(&self, reason: FallbackReason, line: AttemptLine<'_>) {
        let AttemptLine { job, handler, attempt, duration, error } = line;
        metrics::counter!("bridge_fallbacks_total", "handler" => handler.to_string(), "reason" => reason.as_str())
            .increment(1);
        if self.0.fallbacks.allows((handler.clone(), reason)) {
            let duration_ms = whole_millis(duration);
            tracing::warn!(job.id = %job, %handler, %reason, attempt, duration_ms, error, "the bot gets the fallback");
        }
    }

    /// Warns of a failed attempt, within the same limits. The next attempt follows at `due_at`, by the steady clock.
    pub fn retries(&self, result: AttemptResult, due_at: Timestamp, line: AttemptLine<'_>) {
        let AttemptLine { job, handler, attempt, duration, error } = line;
        if self.0.retries.allows((handler.clone(), result)) {
            let (duration_ms, due_at) = (whole_millis(duration), self.0.clock.calendar_at(due_at));
            tracing::warn!(job.id = %job, %handler, attempt, duration_ms, error, %due_at, "handler attempt failed; retrying");
        }
    }

    /// Counts and logs a finished job; call it after the store has the job's final report. Logs at most 100 lines per second.
    /// Beyond that, failures take precedence over jobs whose bots got the handler's answer, and a sum says how many were
    /// suppressed.
    ///
    /// # Panics
    /// If called outside a Tokio runtime, where nothing can wait for the end of the second.
    pub fn finished(&self, job: Finished) {
        self.0.ends.add_one(&(job.handler.clone(), job.state.as_str(), job.outcome_name().unwrap_or("none")));
        job.add_to(&self.0.totals);
        let offer = self.limiter().offer(self.0.clock.elapsed(), job);
        match offer {
            Offer::Log(job) => job.log(),
            Offer::Wait(until) => {
                tokio::spawn(self.clone().end_second(until));
            }
            Offer::Counted => {}
        }
    }

    /// Waits for the end of a second that had too many lines, and logs the rest.
    async fn end_second(self, until: Duration) {
        self.0.clock.sleep_until(until).await;
        let remainder = self.limiter().end(self.0.clock.elapsed());
        if let Some(sums) = remainder.suppressed {
            sums.log();
        }
        remainder.kept.iter().for_each(Finished::log);
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter<Finished>> {
        self.0.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
