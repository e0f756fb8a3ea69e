//! The span of a job: its id on the log lines of what an attempt calls, such as a handler.
//!
//! The bridge's own lines about a job name it themselves and are written outside of the span, so no line has the id twice.

use tracing::Span;

use model::{HandlerName, JobId};

/// The span of attempt `attempt` on a job.
///
/// Its level is ERROR, the first that a filter lets through, so `info` or `warn` in `log.filter` includes it. A filter that
/// names only the targets of a handler does not. Then nothing is formatted or allocated, and lines do not carry the id.
pub fn job_span(id: JobId, handler: &HandlerName, attempt: u32) -> Span {
    tracing::error_span!("job", job.id = %id, %handler, attempt)
}
