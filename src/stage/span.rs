//! The span of a job: its id on the log lines of what an attempt calls, such as a handler.
//!
//! The bridge's own lines about a job name it themselves and are written outside of the span, so no line has the id twice.
//!
//! A span that the filter lets through costs one to three microseconds of CPU, which shows beside what a whole job costs. One
//! that it leaves out costs nothing: no field is formatted.

use tracing::Span;

use model::{HandlerName, JobId};

/// The span of attempt `attempt` of a handler on a job.
///
/// Its level is ERROR, the first that a filter lets through, so `info` or `warn` in `log.filter` includes it. A filter that
/// names only the targets of a handler does not, and then the handler's lines do not carry the id.
pub fn handler_span(id: JobId, handler: &HandlerName, attempt: u32) -> Span {
    tracing::error_span!("job", job.id = %id, %handler, attempt)
}

/// The span of attempt `attempt` to deliver a job.
///
/// Its level is DEBUG, because only the lines of HTTP and TLS libraries are written in it, and theirs is DEBUG or below.
pub fn delivery_span(id: JobId, handler: &HandlerName, attempt: u32) -> Span {
    tracing::debug_span!("job", job.id = %id, %handler, attempt)
}
