//! The error responses of the API, for its description. Each operation names those that can occur, and a test compares
//! them with the responses of the other tests.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Describes a response with problem details.
pub(super) fn problem(status: u16, about: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(about).content("application/problem+json", content);
    match status {
        401 => {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let header = HeaderBuilder::new().schema(Some(text)).description(Some("How to send the token."));
            response.header("WWW-Authenticate", header.build()).build()
        }
        503 => {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
            let about = "After how many seconds a retry may help.";
            let header = HeaderBuilder::new().schema(Some(seconds)).description(Some(about));
            response.header("Retry-After", header.build()).build()
        }
        _ => response.build(),
    }
}

/// Declares a set of error responses.
macro_rules! responses {
    ($(#[doc = $about:literal] $set:ident { $($status:literal => $why:literal,)+ })+) => {$(
        #[doc = $about]
        pub(super) enum $set {}

        impl IntoResponses for $set {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status.to_string(), problem($status, $why).into())),+].into()
            }
        }
    )+};
}

responses! {
    /// Of operations that use the store, apart from lists of jobs.
    StoreErrors {
        500 => "A row of the store is damaged (`store-damaged`). A retry does not help.",
        503 => "The store is unavailable or did not respond in time (`store-unavailable`).",
    }
    /// Of operations that read a list of jobs.
    ListErrors {
        500 => "A row of the store is damaged (`store-damaged`). A retry does not help.",
        503 => "The bridge already reads two lists of jobs (`too-many-lists`), or the store is unavailable or did not respond \
                in time (`store-unavailable`).",
    }
    /// Of operations that begin a bulk change.
    BulkErrors {
        500 => "A row of the store is damaged (`store-damaged`). A retry does not help.",
        503 => "The bridge already reads two lists of jobs (`too-many-lists`), the system provides no random bytes for a token \
                (`no-random`), or the store is unavailable or did not respond in time (`store-unavailable`).",
    }
    /// Of a search for what customers wrote; `document` adds the other reasons.
    HiddenText {
        403 => "`q` searches what customers wrote, which `admin.show_data` hides from this token (`hidden-text`).",
    }
    /// Of operations with query parameters.
    QueryErrors {
        400 => "A parameter is unknown, occurs twice, or has an invalid value (`bad-parameter`).",
    }
    /// Of operations with a body.
    BodyErrors {
        400 => "The body is not JSON, or is not what the operation accepts (`bad-body`). `detail` says what to send.",
        408 => "The body did not arrive within 10 seconds.",
        413 => "The body is larger than 16 KiB.",
    }
    /// Of operations that read one job.
    NoJob {
        404 => "There is no such job (`no-job`). Finished jobs are deleted after `store.retention`.",
        409 => "Several jobs have this prefix (`ambiguous-id`).",
    }
    /// Of the retry of a job.
    NoRetry {
        404 => "There is no such job (`no-job`). Finished jobs are deleted after `store.retention`.",
        409 => "The job is not dead, gone or waiting for its delivery, its continue is on its way, or its texts were erased \
                (`wrong-state`); a newer job has the same `return_url` (`superseded`); the handler returned no completion to \
                send (`no-handler-completion`); or several jobs have this prefix (`ambiguous-id`).",
    }
    /// Of the cancellation of a job.
    NoCancel {
        404 => "There is no such job (`no-job`). Finished jobs are deleted after `store.retention`.",
        409 => "The job is finished (`wrong-state`), or several jobs have this prefix (`ambiguous-id`).",
    }
    /// Of the completion of a job by an operator.
    NoCompletion {
        404 => "There is no such job (`no-job`). Finished jobs are deleted after `store.retention`.",
        409 => "The job has a completion or is finished (`wrong-state`), or several jobs have this prefix (`ambiguous-id`).",
    }
    /// Of operations with a filter that may be too wide.
    WideFilter {
        422 => "The filter is too wide (`filter-too-wide`): the search would take too long.",
    }
    /// Of operations on a bulk change.
    NoBulkChange {
        404 => "There is no bulk change with this number (`no-bulk-change`).",
    }
    /// Of stopping a bulk change.
    BulkChangeEnded {
        409 => "The bulk change has ended (`bulk-change-ended`).",
    }
    /// Of the second step of a bulk change.
    BulkToken {
        409 => "The token is unknown, used or expired, or belongs to another dry run (`bulk-token`).",
    }
    /// Of operations on a group of errors.
    NoGroup {
        404 => "There is no group of errors with this number. Groups expire `store.retention` after their last error.",
    }
    /// Of the stream of events.
    TooManyFollowers {
        503 => "Eight callers already follow the events (`too-many-followers`).",
    }
}
