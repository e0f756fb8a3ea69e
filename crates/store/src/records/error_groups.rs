//! Groups of errors.

use model::{HandlerName, JobId, Stage, Timestamp};

/// Errors whose texts differ only in numbers, ids and quoted values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorGroup {
    /// Its number.
    pub id: i64,
    /// The kind of attempts.
    pub stage: Stage,
    /// The handler whose attempts failed; `None` for deliveries, and for the group of errors that have no group of their
    /// own.
    pub handler: Option<HandlerName>,
    /// The common text. It contains no number, no id and no quoted value.
    pub text: String,
    /// The number of errors.
    pub failures: u64,
    /// When the first error occurred.
    pub first_at: Timestamp,
    /// When the last error occurred.
    pub last_at: Timestamp,
    /// The number of errors in each of the last 24 hours, by the calendar; the last one is the current hour.
    pub last_day: Vec<u64>,
    /// The job with the last error. It may have been deleted.
    pub sample: JobId,
}
