//! What the log and the metrics say of an attempt.

use std::time::Duration;

use crate::model::{AfterDelivery, DeliveringJob, whole_millis};

use super::judge::Judgement;

/// Logs and counts what came of one attempt.
pub(super) fn log_outcome(
    job: &DeliveringJob,
    judgement: &Judgement,
    status: Option<u16>,
    duration: Duration,
) {
    let (id, handler, attempt) = (job.id, &job.handler, job.attempts + 1);
    let duration_ms = whole_millis(duration);
    let error = judgement.error.as_deref().unwrap_or_default();
    let outcome = match &judgement.next {
        AfterDelivery::Delivered => "delivered",
        AfterDelivery::Gone => "gone",
        AfterDelivery::Dead { .. } => "dead",
        AfterDelivery::Retry { .. } => "retry",
        AfterDelivery::Wait { .. } => "wait",
        AfterDelivery::Replace { .. } => "replaced",
    };
    metrics::counter!("bridge_delivery_attempts_total", "outcome" => outcome).increment(1);
    match &judgement.next {
        AfterDelivery::Delivered => {
            tracing::debug!(job.id = %id, %handler, attempt, status, duration_ms, "the bot was continued");
        }
        AfterDelivery::Gone if status.is_none() => {
            tracing::info!(job.id = %id, %handler, error, "the continue is not sent again: a newer job has its return_url");
        }
        AfterDelivery::Gone => {
            tracing::info!(job.id = %id, %handler, attempt, status, duration_ms, error, "no bot waits for this continue any longer");
        }
        // Expected, and charged to no one.
        AfterDelivery::Retry { due_at, .. } if status == Some(404) && judgement.result.is_none() => {
            tracing::debug!(job.id = %id, %handler, status, duration_ms, error, %due_at, "no bot waits for this continue yet; it is sent again");
        }
        AfterDelivery::Retry { due_at, .. } => {
            tracing::warn!(job.id = %id, %handler, attempt, status, duration_ms, error, %due_at, "the continue failed and is sent again");
        }
        AfterDelivery::Replace { .. } => {
            tracing::warn!(job.id = %id, %handler, attempt, status, duration_ms, error, "Kommo refused the completion; another is sent");
        }
        AfterDelivery::Dead { .. } => {
            tracing::error!(job.id = %id, %handler, attempt, status, duration_ms, error, "the continue could not be delivered; a person can retry it");
        }
        // Told once for the account, not once for each of its jobs.
        AfterDelivery::Wait { .. } => {
            tracing::debug!(job.id = %id, %handler, status, duration_ms, error, "the delivery waits for its account");
        }
    }
}
