//! Logs and counts an attempt, its report, and its effect on the job.

use std::time::Duration;

use metrics::Histogram;

use crate::job_log::{AttemptLine, Finished, JobLog, LastCall};
use crate::meters::Counters;
use model::clock::Clock;
use model::{
    AfterDelivery, DeliveringJob, FallbackReason, HandlerName, JobId, Stage, StateName, Timestamp,
    whole_millis,
};
use store::{StoreError, Written};

use super::decide::Decision;

/// What the sender counts and measures.
pub(super) struct DeliveryMeters {
    /// Attempts by outcome.
    attempts: Counters<&'static str>,
    attempt_seconds: Histogram,
    pace_wait: Histogram,
    receipt_to_continue: Histogram,
}

impl DeliveryMeters {
    pub(super) fn new() -> Self {
        Self {
            attempts: Counters::new(
                |outcome| metrics::counter!("bridge_delivery_attempts_total", "outcome" => *outcome),
            ),
            attempt_seconds: metrics::histogram!("bridge_delivery_attempt_seconds"),
            pace_wait: metrics::histogram!("bridge_pace_wait_seconds"),
            receipt_to_continue: metrics::histogram!("bridge_receipt_to_continue_seconds"),
        }
    }

    /// Records how long a job with a completion waited for its first call.
    pub(super) fn first_call_after(&self, wait: Duration) {
        self.pace_wait.record(wait.as_secs_f64());
    }

    /// Records how long an attempt with a call took.
    pub(super) fn called(&self, duration: Duration) {
        self.attempt_seconds.record(duration.as_secs_f64());
    }
}

/// Logs and counts the outcome of one attempt. The end of the job and a fallback are logged later, when the store has
/// them ([`JobEvent`]).
pub(super) fn log_outcome(
    job: &DeliveringJob,
    decision: &Decision,
    status: Option<u16>,
    duration: Duration,
    meters: &DeliveryMeters,
    clock: &Clock,
) {
    let (id, handler, attempt) = (job.id, &job.handler, job.attempts + 1);
    let duration_ms = whole_millis(duration);
    let error = decision.error.as_deref().unwrap_or_default();
    let label = match &decision.next {
        AfterDelivery::Delivered => "delivered",
        AfterDelivery::Gone => "gone",
        AfterDelivery::Dead { .. } => "dead",
        AfterDelivery::Retry { .. } => "retry",
        AfterDelivery::Wait { .. } => "wait",
        AfterDelivery::Replace { .. } => "replaced",
    };
    meters.attempts.add_one(&label);
    match &decision.next {
        AfterDelivery::Delivered | AfterDelivery::Gone | AfterDelivery::Dead { .. } => {}
        // Expected, and not charged.
        AfterDelivery::Retry { due_at, .. } if status == Some(404) && decision.result.is_none() => {
            let due_at = clock.calendar_at(*due_at);
            tracing::debug!(job.id = %id, %handler, status, duration_ms, error, %due_at, "no bot is waiting yet; retrying the continue");
        }
        AfterDelivery::Retry { due_at, .. } => {
            let due_at = clock.calendar_at(*due_at);
            tracing::warn!(job.id = %id, %handler, attempt, status, duration_ms, error, %due_at, "continue failed; retrying");
        }
        AfterDelivery::Replace { .. } if falls_back(job, &decision.next) => {}
        AfterDelivery::Replace { .. } => {
            tracing::warn!(job.id = %id, %handler, attempt, status, duration_ms, error, "Kommo refused the completion; sending another");
        }
        // Logged once for the account, not once for each of its jobs.
        AfterDelivery::Wait { .. } => {
            tracing::debug!(job.id = %id, %handler, status, duration_ms, error, "the delivery waits for its account");
        }
    }
}

/// Logs why a report was not written. Returns whether it was written.
pub(super) fn log_written(written: Result<Written, StoreError>, id: JobId, handler: &HandlerName) -> bool {
    match written {
        Ok(Written::Done) => return true,
        Ok(Written::Stale) => {
            metrics::counter!("bridge_fence_rejections_total", "stage" => Stage::Delivery.as_str())
                .increment(1);
            tracing::warn!(job.id = %id, %handler, "response dropped: the job was cancelled or taken over in the meantime");
        }
        Err(error) => {
            tracing::error!(job.id = %id, %handler, %error, "could not store Kommo's response; the continue will be sent again");
        }
    }
    false
}

/// Whether the bot now gets the fallback instead of the handler's answer.
fn falls_back(job: &DeliveringJob, next: &AfterDelivery) -> bool {
    let was = job.prepared.outcome.fallback_reason();
    was.is_none()
        && matches!(next, AfterDelivery::Replace { prepared, .. } if prepared.outcome.fallback_reason().is_some())
}

/// The effect of an attempt on its job, logged after the store has written it.
pub(super) enum JobEvent {
    /// The job is finished.
    Finished(Finished),
    /// Kommo refused the handler's completion, and the fallback is sent.
    FellBack {
        /// The job, before the fallback.
        job: Finished,
        /// The attempt's number.
        attempt: u32,
    },
}

impl JobEvent {
    /// The effect on `job` of an attempt that ended `now` with `call`; `None` if the job continues with the same
    /// completion.
    pub(super) fn of(
        job: &DeliveringJob,
        next: &AfterDelivery,
        error: Option<&str>,
        charged: bool,
        call: LastCall,
        now: Timestamp,
    ) -> Option<Self> {
        let state = match next {
            AfterDelivery::Delivered => StateName::Delivered,
            AfterDelivery::Gone => StateName::Gone,
            AfterDelivery::Dead { .. } => StateName::Dead,
            AfterDelivery::Replace { .. } if falls_back(job, next) => StateName::Delivering,
            AfterDelivery::Retry { .. } | AfterDelivery::Wait { .. } | AfterDelivery::Replace { .. } => {
                return None;
            }
        };
        let delivery_attempts = job.attempts + u32::from(charged);
        let job = Finished {
            delivery_attempts,
            total: now.since(job.waiting_since),
            call: Some(call),
            error: error.map(str::to_owned),
            ..Finished::delivery(job, state)
        };
        Some(match state {
            StateName::Delivering => Self::FellBack { attempt: delivery_attempts, job },
            _ => Self::Finished(job),
        })
    }

    /// Logs and counts the event.
    pub(super) fn log(self, jobs: &JobLog, meters: &DeliveryMeters) {
        match self {
            Self::Finished(job) => {
                if job.state == StateName::Delivered {
                    meters.receipt_to_continue.record(job.total.as_secs_f64());
                }
                jobs.finished(job);
            }
            Self::FellBack { job, attempt } => {
                let (duration, error) =
                    (job.call.map(|call| call.duration).unwrap_or_default(), job.error.unwrap_or_default());
                let line =
                    AttemptLine { job: job.job, handler: &job.handler, attempt, duration, error: &error };
                jobs.fell_back(FallbackReason::Refused, line);
            }
        }
    }
}
