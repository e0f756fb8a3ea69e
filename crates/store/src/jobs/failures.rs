//! Which reports are failures, and their group.
//!
//! A failure is an attempt with an error, a fallback, or a dead job. A delivery that waits for its account is none: the
//! account is listed with its own trouble.

use model::{AfterDelivery, AfterHandler, DeliveryReport, HandlerReport, JobId, Outcome, Stage, fingerprint};

/// The maximum number of groups, apart from those that collect all further errors.
pub(crate) const MAX_GROUPS: i64 = 1_000;
/// The number of hours for which a group counts its errors separately.
pub(crate) const HOURS: i64 = 24;
/// The text of the groups that collect the errors beyond [`MAX_GROUPS`].
pub(crate) const OTHER: &str = "other errors: there are too many kinds of errors to keep each in a group";

const MS_PER_HOUR: i64 = 3_600_000;

/// A failure of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    /// The handler whose attempt failed; empty for a delivery.
    pub(crate) handler: String,
    /// The fingerprint of the error.
    pub(crate) text: String,
    pub(crate) job: JobId,
}

/// The hour of a moment by the calendar.
pub(crate) const fn hour(calendar_ms: i64) -> i64 {
    calendar_ms.div_euclid(MS_PER_HOUR)
}

/// Returns the failure that a worker reports; `None` if its report is not about one.
pub(crate) fn of_handler(report: &HandlerReport) -> Option<Failure> {
    let HandlerReport { job, attempt, next, error } = report;
    let is_fallback = matches!(
        next,
        AfterHandler::Deliver(prepared) if matches!(prepared.outcome, Outcome::Fallback(_))
    );
    let error = error.as_deref().filter(|_| is_fallback || attempt.is_some())?;
    let handler = job.handler.to_string();
    Some(Failure { stage: Stage::Handler, handler, text: group_text(error), job: job.id })
}

/// Returns the failure that the sender reports; `None` if its report is not about one.
pub(crate) fn of_delivery(report: &DeliveryReport) -> Option<Failure> {
    let DeliveryReport { job, attempt, next, error } = report;
    let is_dead = matches!(next, AfterDelivery::Dead { .. });
    let error = error.as_deref().filter(|_| is_dead || attempt.is_some())?;
    Some(Failure { stage: Stage::Delivery, handler: String::new(), text: group_text(error), job: job.id })
}

/// Returns the failure of a delivery that maintenance gave up.
pub(crate) fn given_up(job: JobId, why: &str) -> Failure {
    Failure { stage: Stage::Delivery, handler: String::new(), text: group_text(why), job }
}

/// Returns the text of the group of an error.
pub(crate) fn group_text(error: &str) -> String {
    let text = fingerprint(error);
    if text.is_empty() { "an error without a text".to_owned() } else { text }
}
