//! Reports of the calls of a handler, for a program that shows each call as it happens.

use std::sync::Arc;
use std::time::Duration;

use model::JobId;

/// Receives a report at the end of each call. It runs on the runtime of the calls, so it must not block.
pub type CallWatch = Arc<dyn Fn(CallReport) + Send + Sync>;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// The job.
    pub job: JobId,
    /// The number of the attempt, from 1. A call that is not charged to the job repeats it.
    pub attempt: u32,
    /// The body of the request, without the token of the callback and without the handler's secrets.
    pub request: String,
    /// The HTTP status; `None` if there was no response.
    pub status: Option<u16>,
    /// The time until the end of the response, or until the call failed.
    pub took: Duration,
}
