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

/// The position of a group in the list of all groups: the time of its last error, and its number.
pub type ErrorGroupPosition = (Timestamp, i64);

/// A page of groups of errors, those with the newest error first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorGroupPage {
    /// The groups.
    pub groups: Vec<ErrorGroup>,
    /// The next page begins behind this group; `None` at the end.
    pub next: Option<ErrorGroupPosition>,
}

/// Some groups of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedErrors {
    /// The groups.
    pub groups: Vec<ErrorGroup>,
    /// Whether more groups follow.
    pub has_more: bool,
}

/// The number of groups of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// All groups.
    pub all: u64,
    /// Those whose last error occurred after a moment.
    pub recent: u64,
    /// Those whose first error occurred after that moment.
    pub new: u64,
    /// The number of errors in all groups.
    pub failures: u64,
    /// When the last error occurred; `None` if no error has a group.
    pub last_at: Option<Timestamp>,
}

/// The dead jobs whose last failure belongs to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadInGroup {
    /// Those that a retry of the group delivers again.
    pub jobs: u64,
    /// Those that it leaves out, because a newer job has the same `return_url`.
    pub superseded: u64,
    /// Whether all dead jobs were counted. Otherwise, only the newest ones were, and there may be more.
    pub is_complete: bool,
}
