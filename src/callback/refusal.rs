//! Why a callback is refused: the status, problem, label and log line of each reason.

use std::time::Duration;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};

use crate::problem::{ProblemDetails, SendAfter};
use crate::request_body::ReadError;
use model::{JobId, StateName};
use store::StoreError;

/// How late a guess is answered, so that no one can try many.
pub(super) const GUESS_DELAY: Duration = Duration::from_secs(1);
/// When to repeat a call if the store is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// When to repeat an error that came before the response of its attempt.
const RETRY_EARLY_AFTER: Duration = Duration::from_secs(1);

/// Why a callback is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// There is no such job, or the token is wrong. From outside, both look the same.
    Unknown,
    /// The body cannot be read.
    Body(ReadError),
    /// The body is compressed or otherwise encoded.
    Encoded,
    /// The body is not an answer. The job is as before.
    Invalid { job: JobId, why: String },
    /// The job ended, or will end, without this answer.
    TooLate { job: JobId, state: StateName },
    /// An error came before the response of the attempt that it is about.
    NotYet,
    /// The store did not take the answer.
    Store { job: JobId, error: StoreError },
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::Body(error)
    }
}

impl Refusal {
    /// The label of `bridge_callbacks_total`.
    pub(super) const fn result(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Body(_) | Self::Encoded | Self::Invalid { .. } => "invalid",
            Self::TooLate { .. } => "too_late",
            Self::NotYet => "too_early",
            Self::Store { .. } => "unavailable",
        }
    }

    pub(super) fn log(&self) {
        match self {
            Self::Unknown => {
                tracing::info!("callback refused: unknown job, or wrong token in the URL");
            }
            Self::Body(ReadError::TooLarge { limit }) => {
                tracing::info!(limit, "callback refused: its body is larger than server.max_body");
            }
            Self::Body(ReadError::Slow | ReadError::Broken) => {
                tracing::info!("callback refused: its body did not arrive completely, or not in time");
            }
            Self::Encoded => tracing::info!("callback refused: its body is compressed or encoded"),
            Self::Invalid { job, why } => {
                tracing::warn!(job.id = %job, why, "callback refused: its body is not an answer, so the job is as before");
            }
            Self::TooLate { job, state } => {
                tracing::warn!(job.id = %job, %state, "callback refused: it came too late");
            }
            Self::NotYet => {
                tracing::info!("callback refused: its attempt still runs; the caller should repeat it")
            }
            Self::Store { job, error } => {
                tracing::error!(job.id = %job, %error, "callback refused: the store did not take it");
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unknown => {
                let detail = "Unknown URL. Use `callback.url` of the request exactly as it is.";
                let problem =
                    ProblemDetails::new(StatusCode::NOT_FOUND, "no-callback", "No such callback", detail);
                (Extension(SendAfter(GUESS_DELAY)), problem).into_response()
            }
            Self::Body(ReadError::TooLarge { limit }) => {
                let detail = format!("The body is larger than {limit} bytes, the value of server.max_body.");
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                let mut response =
                    ProblemDetails::new(status, "body-too-large", "Body too large", detail).into_response();
                // The rest of the body may still be on its way.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
            Self::Body(ReadError::Slow) => ProblemDetails::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "Body too slow",
                "The body did not arrive in time. Send it without pauses.",
            )
            .into_response(),
            Self::Body(ReadError::Broken) => {
                let title = "Body incomplete";
                ProblemDetails::new(StatusCode::BAD_REQUEST, "body-incomplete", title, "The body is incomplete.")
                    .into_response()
            }
            Self::Encoded => ProblemDetails::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body-encoded",
                "Body encoded",
                "The body is compressed or encoded (Content-Encoding). Send it unencoded.",
            )
            .into_response(),
            Self::Invalid { why, .. } => ProblemDetails::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-answer",
                "Not an answer",
                format!("Not accepted: {why}. The job is as before: correct the body, and call again."),
            )
            .into_response(),
            Self::TooLate { state, .. } => ProblemDetails::new(
                StatusCode::GONE,
                "too-late",
                "Too late",
                format!(
                    "The job is `{state}` and takes no answer any more: its time was over, it was cancelled, or it has its \
                     fallback. The answer was discarded."
                ),
            )
            .into_response(),
            Self::NotYet => ProblemDetails::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too-early",
                "Too early",
                "The attempt that this error is about still runs. Send the same call again, after its response.",
            )
            .retry_after(RETRY_EARLY_AFTER)
            .into_response(),
            Self::Store { .. } => ProblemDetails::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-stored",
                "Not stored",
                "The answer could not be stored in time. Send the same call again.",
            )
            .retry_after(RETRY_AFTER)
            .into_response(),
        }
    }
}
