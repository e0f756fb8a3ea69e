//! Logs and counts an attempt and its report.

use std::time::Duration;

use crate::job_log::{AttemptLine, JobLog};
use crate::meters::Counters;
use model::{AfterHandler, AttemptResult, HandlerName, JobId, Outcome, RunningJob, Stage, whole_millis};
use store::{StoreError, Written};

use super::decide::Decision;

/// Attempts by handler and outcome.
pub(super) type AttemptCounters = Counters<(HandlerName, &'static str)>;

/// Creates the counters.
pub(super) fn attempt_counters() -> AttemptCounters {
    Counters::new(
        |(handler, outcome)| metrics::counter!("bridge_handler_attempts_total", "handler" => handler.to_string(), "outcome" => *outcome),
    )
}

/// Logs and counts the outcome of one attempt. A fallback is logged later, when the store has it.
pub(super) fn log_outcome(
    jobs: &JobLog,
    attempts: &AttemptCounters,
    job: &RunningJob,
    attempt: u32,
    decision: &Decision,
    duration: Duration,
) {
    let (id, handler) = (job.id, &job.handler);
    let label = match (&decision.next, decision.result) {
        (AfterHandler::HandBack, _) => "handed_back",
        (_, Some(result)) => result.as_str(),
        (_, None) => "not_run",
    };
    attempts.add_one(&(handler.clone(), label));
    match (&decision.next, decision.result) {
        (AfterHandler::Deliver(prepared), _) if prepared.outcome == Outcome::Handler => {
            let duration_ms = whole_millis(duration);
            tracing::debug!(job.id = %id, %handler, attempt, duration_ms, "handler answered");
        }
        (AfterHandler::Retry { due_at }, Some(result)) => {
            let error = decision.error.as_deref().unwrap_or_default();
            let line = AttemptLine { job: id, handler, attempt, duration, error };
            jobs.retries(result, *due_at, line);
        }
        (AfterHandler::AwaitCallback, _) => {
            tracing::debug!(job.id = %id, %handler, attempt, "handler accepted the job, and will call back");
        }
        (AfterHandler::HandBack, _) => {
            tracing::info!(job.id = %id, %handler, attempt, "job handed back to the queue");
        }
        (AfterHandler::Deliver(_) | AfterHandler::Retry { .. }, _) => {}
    }
    if !decision.empty_values.is_empty() && decision.result == Some(AttemptResult::Ok) {
        let keys = decision.empty_values.join(", ");
        tracing::warn!(job.id = %id, %handler, keys, "empty values: the customer may see the placeholder {{{{json.KEY}}}} in their place");
    }
}

/// Logs why a report was not written. Returns whether it was written.
pub(super) fn log_written(written: Result<Written, StoreError>, id: JobId, handler: &HandlerName) -> bool {
    match written {
        Ok(Written::Done) => return true,
        Ok(Written::Stale) => {
            metrics::counter!("bridge_fence_rejections_total", "stage" => Stage::Handler.as_str())
                .increment(1);
            tracing::warn!(job.id = %id, %handler, "result dropped: the job was cancelled or taken over in the meantime");
        }
        Err(error) => {
            tracing::error!(job.id = %id, %handler, %error, "could not store the handler's result; the handler will run again");
        }
    }
    false
}
