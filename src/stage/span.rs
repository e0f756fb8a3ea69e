//! The span of a job: its id on the log lines of what an attempt calls, such as a handler.
//!
//! The bridge's own lines about a job name it themselves and are written outside of the span, so no line has the id twice.

use tracing::Span;

use model::{HandlerName, JobId};

/// The span of attempt `attempt` on a job. Its level is the highest, so a filter that lets a line through lets the span through.
pub fn job_span(id: JobId, handler: &HandlerName, attempt: u32) -> Span {
    tracing::error_span!("job", job.id = %id, %handler, attempt)
}
