//! What the store knows about a job beside its record: the jobs around it.

use std::time::Duration;

use model::{HandlerName, JobId, Line};

/// The jobs around a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The jobs before it in the line of its conversation; `None` if there are none.
    pub line: Option<Line>,
    /// A newer job with the same `return_url`; `None` if there is none, or if an operator forced a retry.
    pub superseded_by: Option<JobId>,
    /// Whether a continue was sent, or may have been.
    pub was_sent: bool,
    /// The deliveries of its account that wait, at most 1,000.
    pub waiting: u64,
    /// The group of its last error, if that counts as a failure.
    pub error_group: Option<i64>,
}

/// The jobs of a handler that were received lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStats {
    /// The name of the handler.
    pub handler: HandlerName,
    /// The number of jobs.
    pub jobs: u64,
    /// How many of them have the handler's answer.
    pub answered: u64,
    /// How many of them have the fallback.
    pub fallbacks: u64,
    /// How many of them were delivered.
    pub delivered: u64,
    /// How many of them are dead.
    pub dead: u64,
    /// The time from the receipt to the continue that half of the delivered ones did not exceed; `None` if none was
    /// delivered.
    pub p50: Option<Duration>,
    /// The same for 99 of 100.
    pub p99: Option<Duration>,
}
