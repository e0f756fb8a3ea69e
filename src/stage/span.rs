//! The span of a job. It adds the job's id to the log lines of the code that an attempt calls, such as a handler.
//!
//! The bridge's own lines about a job have the id as a field and are logged outside the span, so no line has the id
//! twice.
//!
//! A span that passes the filter costs one to three microseconds of CPU, which is noticeable next to the cost of a whole
//! job. A span that the filter excludes costs nothing: no field is formatted.

use tracing::Span;

use model::{HandlerName, JobId};

/// The span of attempt `attempt` of a handler on a job.
///
/// Its level is ERROR, which every filter with a general level such as `info` or `warn` in `log.filter` lets through. A
/// filter that names only the targets of a handler excludes the span, and then the handler's lines have no id.
pub fn handler_span(id: JobId, handler: &HandlerName, attempt: u32) -> Span {
    tracing::error_span!("job", job.id = %id, %handler, attempt)
}

/// The span of attempt `attempt` to deliver a job.
///
/// Its level is DEBUG, because it contains only lines of HTTP and TLS libraries, which are at DEBUG or below.
pub fn delivery_span(id: JobId, handler: &HandlerName, attempt: u32) -> Span {
    tracing::debug_span!("job", job.id = %id, %handler, attempt)
}
