//! What the API answers when it cannot do what was asked.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::response::IntoResponse;
use http::StatusCode;

use crate::problem::ProblemDetails;
use store::StoreError;

/// A store that cannot do it now may be asked again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A list ends about this soon.
const LIST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a failure of the store looks like to the caller.
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
            "There is no completion of the handler",
            sentence(error),
        ),
        // Asking again does not fix it.
        StoreError::Corrupt { .. } => ProblemDetails::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store-damaged",
            "A row of the store is damaged",
            sentence(error),
        ),
        StoreError::Timeout => unavailable(
            "The store did not answer in time. What was asked may still be done: look at the job before \
             asking again."
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
        "The store cannot do it now",
        detail,
    )
    .retry_after(RETRY_AFTER)
}

/// There is no job with this id; it may have been, and was deleted after `store.retention`.
pub(super) fn no_job(id: impl std::fmt::Display) -> ProblemDetails {
    let detail = format!(
        "There is no job `{}`. Finished jobs are deleted after store.retention.",
        short(&id.to_string())
    );
    ProblemDetails::new(StatusCode::NOT_FOUND, "no-job", "No such job", detail)
}

/// A query parameter that cannot be followed.
pub(super) fn of_parameter(error: impl std::fmt::Display) -> ProblemDetails {
    ProblemDetails::new(StatusCode::BAD_REQUEST, "bad-parameter", "Bad query parameter", sentence(error))
}

/// A body that is not what the path takes, and what to send instead.
pub(super) fn of_body(why: impl std::fmt::Display, instead: &str) -> ProblemDetails {
    let detail = format!("The body: {why}. {instead}");
    ProblemDetails::new(StatusCode::BAD_REQUEST, "bad-body", "Bad body", detail)
}

/// A body that did not arrive whole.
pub(super) fn of_transfer(rejection: BytesRejection) -> ProblemDetails {
    let status = rejection.into_response().status();
    ProblemDetails::of_status(status, "The body is too long, or did not arrive whole.")
}

/// A body that does not arrive.
pub(super) fn too_slow() -> ProblemDetails {
    ProblemDetails::of_status(
        StatusCode::REQUEST_TIMEOUT,
        "The body did not arrive in time. Send it without pauses.",
    )
}

fn sentence(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// What a caller sent, cut so that it cannot flood its own answer.
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
    fn what_a_caller_sent_is_cut() {
        assert_eq!(short("abc"), "abc");
        assert_eq!(short(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
    }
}
