//! What an operator does with a job on its page: exactly what the API does. Afterwards the browser gets back to the job, so
//! that loading the page again repeats nothing.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use url::form_urlencoded;

use model::{JobId, OutcomeName, StateName, Timestamp};
use store::Actor;

use super::super::gather::Visit;
use super::super::parts::mark::words;
use super::super::parts::moment;
use super::complete::{Typed, check};
use super::query::{Done, LONG, Query};
use super::read::{LastChange, Missing, find, last_change};
use super::text::rich;
use super::view::Shown;
use super::{absent, path, respond};
use crate::admin::Shared;
use crate::admin::access::Bodies;
use crate::admin::call::{Id, STORE_TIMEOUT, run_to_end, text, within};
use crate::admin::jobs::{RetryOne, cancel_one, complete_one, retry_one};
use crate::problem::ProblemDetails;

/// `POST /jobs/{id}/retry`
pub(super) async fn retry(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    id: Id,
    form: Bytes,
) -> Response {
    let id = match find(&shared, &text(id)).await {
        Ok(id) => id,
        Err(missing) => return absent(missing, visit, &shared).await,
    };
    let changed = match asked_retry(&form) {
        Some(asked) => retry_one(&shared, by, id, asked).await,
        None => Err(ProblemDetails::of_status(StatusCode::BAD_REQUEST, "The form is not one of this page.")),
    };
    result(visit, &shared, id, Done::Retried, changed).await
}

/// What the form asks for; `None` if no form of this page does.
fn asked_retry(form: &[u8]) -> Option<RetryOne> {
    let mut asked = RetryOne::default();
    for (name, value) in form_urlencoded::parse(form) {
        match (&*name, &*value) {
            ("csrf", _) => {}
            ("force", "true") => asked.force = true,
            ("send", value) => asked.send = Some(value.parse::<OutcomeName>().ok()?),
            _ => return None,
        }
    }
    Some(asked)
}

/// `POST /jobs/{id}/cancel`
pub(super) async fn cancel(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    id: Id,
) -> Response {
    let id = match find(&shared, &text(id)).await {
        Ok(id) => id,
        Err(missing) => return absent(missing, visit, &shared).await,
    };
    let changed = cancel_one(&shared, by, id).await;
    result(visit, &shared, id, Done::Cancelled, changed).await
}

/// `POST /jobs/{id}/complete`
pub(super) async fn complete(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    id: Id,
    form: Bytes,
) -> Response {
    let id = match find(&shared, &text(id)).await {
        Ok(id) => id,
        Err(missing) => return absent(missing, visit, &shared).await,
    };
    let typed = form_urlencoded::parse(&form).find(|(name, _)| name == "completion");
    // A browser sends the line ends of a text as CR LF.
    let typed = typed.map(|(_, text)| text.replace("\r\n", "\n")).unwrap_or_default();
    match check(&typed) {
        Ok(completion) => {
            let changed = complete_one(&shared, by, id, completion).await;
            match changed {
                // The text must not be lost because the store is busy.
                Err(problem) if problem.status().is_server_error() => {
                    let why = problem.detail().to_owned();
                    typed_again(visit, &shared, id, problem.status(), Typed { text: typed, why }).await
                }
                changed => result(visit, &shared, id, Done::Completed, changed).await,
            }
        }
        Err(why) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            typed_again(visit, &shared, id, status, Typed { text: typed, why }).await
        }
    }
}

/// The page of a job, with what was typed and why it was not accepted.
async fn typed_again(visit: Visit, shared: &Shared, id: JobId, status: StatusCode, typed: Typed) -> Response {
    let shown = Shown { typed: Some(typed), limit: short(&visit), ..Shown::default() };
    respond(visit, shared, id, status, shown).await
}

/// `POST /jobs/{id}/reveal`: records that someone sees the bodies, and then shows them, in this response only.
pub(super) async fn reveal(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    id: Id,
) -> Response {
    let id = match find(&shared, &text(id)).await {
        Ok(id) => id,
        Err(missing) => return absent(missing, visit, &shared).await,
    };
    if visit.visitor().bodies.revealed() != Bodies::Full {
        return Redirect::to(&path(id)).into_response();
    }
    match within(STORE_TIMEOUT, shared.store.jobs().get(id)).await {
        Ok(Some(_)) => {}
        Ok(None) => return absent(Missing::Unknown(id.to_string()), visit, &shared).await,
        Err(problem) => return refused(visit, &shared, id, "shown", problem).await,
    }
    let store = shared.store.clone();
    let recorded = run_to_end(STORE_TIMEOUT, async move { store.operator(by).record_reveal(id).await }).await;
    match recorded {
        Ok(()) => {
            let shown = Shown { is_revealed: true, limit: LONG, ..Shown::default() };
            respond(visit, &shared, id, StatusCode::OK, shown).await
        }
        // What is not recorded is not shown.
        Err(problem) => refused(visit, &shared, id, "shown", problem).await,
    }
}

fn short(visit: &Visit) -> usize {
    Query::default().limit(visit.visitor().bodies)
}

/// The response to a change.
async fn result(
    visit: Visit,
    shared: &Shared,
    id: JobId,
    done: Done,
    changed: Result<(), ProblemDetails>,
) -> Response {
    match changed {
        Ok(()) => Redirect::to(&format!("{}?done={}", path(id), done.code())).into_response(),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            absent(Missing::Unknown(id.to_string()), visit, shared).await
        }
        Err(problem) => refused(visit, shared, id, done.code(), problem).await,
    }
}

/// The page of a job that was not changed, with the reason.
async fn refused(visit: Visit, shared: &Shared, id: JobId, verb: &str, problem: ProblemDetails) -> Response {
    let status = problem.status();
    let mut now_is = None;
    if status == StatusCode::CONFLICT
        && let Some(last) = last_change(shared, id).await
        && let Ok(Some((job, _))) = within(STORE_TIMEOUT, shared.store.jobs().get(id)).await
    {
        now_is = Some((job.summary().state, last));
    }
    let why = words_of_refusal(id, verb, problem.detail(), now_is.as_ref(), shared.clock.now());
    let shown = Shown { refused: Some(why), limit: short(&visit), ..Shown::default() };
    respond(visit, shared, id, status, shown).await
}

/// Says why a job was not changed. If another operator changed it before, that is the reason.
fn words_of_refusal(
    id: JobId,
    verb: &str,
    detail: &str,
    now_is: Option<&(StateName, LastChange)>,
    now: Timestamp,
) -> Markup {
    html! {
        "Job " (id.shortened()) " was not " (verb) ": "
        @match now_is {
            Some((state, LastChange { who, what, at })) => {
                "it is " strong { (words(*state)) } ". " (who) " ran " code { (what) } " on it at "
                (moment::moment(*at, now)) ". " (rich(detail))
            }
            None => (rich(detail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_forms_of_the_page_retry() {
        for (form, expected) in [
            ("csrf=x", Some((None, false))),
            ("csrf=x&force=true", Some((None, true))),
            ("csrf=x&send=fallback", Some((Some(OutcomeName::Fallback), false))),
            ("send=handler&force=true", Some((Some(OutcomeName::Handler), true))),
            ("send=both", None),
            ("force=false", None),
            ("all=true", None),
        ] {
            let asked = asked_retry(form.as_bytes()).map(|asked| (asked.send, asked.force));
            assert_eq!(asked, expected, "{form}");
        }
    }

    #[test]
    fn a_change_by_another_operator_is_named() {
        let id = JobId::new(Timestamp::from_millis(1_700_000_000_000), 1);
        let at = Timestamp::from_millis(1_700_000_000_000);
        let last = LastChange { who: "<b>ann</b>".into(), what: "jobs retry".into(), at };
        let now_is = (StateName::Delivering, last);
        let html = words_of_refusal(id, "retried", "Job is delivering.", Some(&now_is), at).into_string();
        assert!(html.contains("it is <strong>delivering</strong>. &lt;b&gt;ann&lt;/b&gt; ran"), "{html}");
        let html = words_of_refusal(id, "retried", "The disk is full.", None, at).into_string();
        assert!(html.ends_with("was not retried: The disk is full."), "{html}");
    }
}
