//! The API's error responses.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::response::IntoResponse;
use http::StatusCode;

use crate::problem::ProblemDetails;
use store::StoreError;

use super::bulk_token::TokenRefusal;

/// When to retry if the store is temporarily unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// When to retry if too many lists are running.
const LIST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Converts an error of the store into a response.
pub(super) fn of_store(error: &StoreError) -> ProblemDetails {
    match error {
        StoreError::NoJob(id) => no_job(*id),
        StoreError::NoMatch(prefix) => no_job(*prefix),
        StoreError::Ambiguous { .. } => {
            ProblemDetails::new(StatusCode::CONFLICT, "ambiguous-id", "The id is too short", sentence(error))
        }
        StoreError::WrongState { .. } => ProblemDetails::new(
            StatusCode::CONFLICT,
            "wrong-state",
            "The job's state does not allow it",
            sentence(error),
        ),
        StoreError::Superseded { .. } => ProblemDetails::new(
            StatusCode::CONFLICT,
            "superseded",
            "A newer job has the same return_url",
            sentence(error),
        ),
        StoreError::NoHandlerCompletion(_) => ProblemDetails::new(
            StatusCode::CONFLICT,
            "no-handler-completion",
            "The handler returned no completion",
            sentence(error),
        ),
        StoreError::NoBulk(id) => no_bulk(*id),
        StoreError::SlowFilter | StoreError::LongFilter(_) => ProblemDetails::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "filter-too-wide",
            "The filter is too wide",
            sentence(error),
        ),
        // Not a 503, because a retry does not help.
        StoreError::Corrupt { .. } => ProblemDetails::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store-damaged",
            "A row of the store is damaged",
            sentence(error),
        ),
        StoreError::Timeout => unavailable(
            "The store did not respond in time. The change may still be made: look at the job before \
             retrying."
                .to_owned(),
        ),
        StoreError::TooManyLists => ProblemDetails::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-lists",
            "Too many lists at once",
            sentence(error),
        )
        .retry_after(LIST_RETRY_AFTER),
        error => unavailable(sentence(error)),
    }
}

fn unavailable(detail: String) -> ProblemDetails {
    ProblemDetails::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "store-unavailable",
        "The store is unavailable",
        detail,
    )
    .retry_after(RETRY_AFTER)
}

/// Reports that no job has this id; a job that had it may have been deleted.
pub(super) fn no_job(id: impl std::fmt::Display) -> ProblemDetails {
    let detail = format!(
        "There is no job `{}`. Finished jobs are deleted after store.retention.",
        short(&id.to_string())
    );
    ProblemDetails::new(StatusCode::NOT_FOUND, "no-job", "No such job", detail)
}

/// Reports that no bulk change has this number.
pub(super) fn no_bulk(id: impl std::fmt::Display) -> ProblemDetails {
    let detail = format!(
        "There is no bulk change `{}`. GET /api/v1/actions shows the numbers of actions.",
        short(&id.to_string())
    );
    ProblemDetails::new(StatusCode::NOT_FOUND, "no-bulk-change", "No such bulk change", detail)
}

/// Reports a bulk change that cannot be stopped.
pub(super) fn bulk_ended(id: u64) -> ProblemDetails {
    let detail = format!("Bulk change {id} has already ended.");
    ProblemDetails::new(StatusCode::CONFLICT, "bulk-change-ended", "The bulk change has ended", detail)
}

/// Reports a token that does not allow a bulk change.
pub(super) fn of_bulk_token(error: &TokenRefusal) -> ProblemDetails {
    let detail = format!("{} Make another dry run, and send its token.", sentence(error));
    ProblemDetails::new(StatusCode::CONFLICT, "bulk-token", "The token of the dry run does not fit", detail)
}

/// Reports that the system provides no random bytes.
pub(super) fn no_random() -> ProblemDetails {
    let detail =
        "The system provides no random bytes for a token. Use the command instead: `jobs retry --filter`.";
    ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "no-random", "No random bytes", detail)
        .retry_after(RETRY_AFTER)
}

/// Reports an invalid query parameter.
pub(super) fn of_parameter(error: impl std::fmt::Display) -> ProblemDetails {
    ProblemDetails::new(StatusCode::BAD_REQUEST, "bad-parameter", "Bad query parameter", sentence(error))
}

/// Reports a search whose result would reveal what customers wrote.
pub(super) fn hidden_text() -> ProblemDetails {
    let detail = "A word searches what customers wrote, which admin.show_data hides from this token. \
                  Use a key, such as lead:, account:, handler: or error:.";
    ProblemDetails::new(StatusCode::FORBIDDEN, "hidden-text", "Hidden text", detail)
}

/// Reports that no group of errors has this number; a group that had it may have expired.
pub(super) fn no_group(id: &str) -> ProblemDetails {
    let detail = format!(
        "There is no group of errors `{}`. Groups expire store.retention after their last error.",
        short(id)
    );
    ProblemDetails::of_status(StatusCode::NOT_FOUND, detail)
}

/// Reports a body that the path does not accept, and what to send instead.
pub(super) fn of_body(why: impl std::fmt::Display, instead: &str) -> ProblemDetails {
    let detail = format!("The body is invalid: {why}. {instead}");
    ProblemDetails::new(StatusCode::BAD_REQUEST, "bad-body", "Bad body", detail)
}

/// Reports a body that did not arrive completely.
pub(super) fn of_transfer(rejection: BytesRejection) -> ProblemDetails {
    let status = rejection.into_response().status();
    ProblemDetails::of_status(status, "The body is too long or incomplete.")
}

/// Reports a body that takes too long to arrive.
pub(super) fn too_slow() -> ProblemDetails {
    ProblemDetails::of_status(
        StatusCode::REQUEST_TIMEOUT,
        "The body did not arrive in time. Send it without pauses.",
    )
}

pub(super) fn sentence(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Shortens text from a caller, so that it cannot flood the response.
pub(super) fn short(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    let kept: String = text.chars().take(MAX_CHARS).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}

#[cfg(test)]
mod tests {
    use model::{JobId, StateName, Timestamp};

    use super::*;

    #[test]
    fn each_failure_of_the_store_has_its_status() {
        let id = JobId::new(Timestamp::from_millis(0), 0);
        let wrong = StoreError::WrongState { id, state: StateName::Gone, allowed: "only this" };
        let corrupt =
            StoreError::Corrupt { table: "jobs", column: "data", id: id.to_string(), why: "no JSON".into() };
        for (error, status) in [
            (StoreError::NoJob(id), 404),
            (wrong, 409),
            (StoreError::Superseded { id, newer: id }, 409),
            (StoreError::NoHandlerCompletion(id), 409),
            (StoreError::NoBulk(7), 404),
            (StoreError::SlowFilter, 422),
            (StoreError::LongFilter("x".into()), 422),
            (StoreError::NoMatch(id.into()), 404),
            (StoreError::Ambiguous { prefix: id.into(), ids: vec![id], more: false }, 409),
            (corrupt, 500),
            (StoreError::Full, 503),
            (StoreError::Busy, 503),
            (StoreError::ReadOnly("x".into()), 503),
            (StoreError::Timeout, 503),
            (StoreError::TooManyLists, 503),
            (StoreError::Closed, 503),
            (StoreError::Database("x".into()), 503),
        ] {
            assert_eq!(of_store(&error).into_response().status(), status, "{error}");
        }
    }

    #[test]
    fn text_from_a_caller_is_shortened() {
        assert_eq!(short("abc"), "abc");
        assert_eq!(short(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
    }
}
