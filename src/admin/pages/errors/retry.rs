//! `/errors/{id}/retry`: counts the dead jobs of a group and asks; then delivers them again.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use url::form_urlencoded;

use store::{Actor, DeadInGroup, ErrorGroup, RetriedDead};

use super::row::title;
use super::{find, id_of, no_group};
use crate::admin::access::Visitor;
use crate::admin::call::{Id, read};
use crate::admin::errors::retry_group;
use crate::admin::pages::gather::{Visit, part};
use crate::admin::pages::parts::amount;
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::{self, Answer};
use crate::admin::pages::shell::{Search, Tab};
use crate::admin::pages::{Page, not_found, see};
use crate::admin::{Shared, refusal};
use crate::problem::ProblemDetails;

/// `GET /errors/{id}/retry`
pub(in crate::admin::pages) async fn confirm(State(shared): State<Shared>, visit: Visit, id: Id) -> Response {
    show(&shared, visit, &id_of(id), None).await
}

/// `POST /errors/{id}/retry`
pub(in crate::admin::pages) async fn retry(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    id: Id,
    request: Request,
) -> Response {
    let id = id_of(id);
    let group = match find(&shared, &id).await {
        Ok(Some(group)) => group.id,
        Ok(None) | Err(_) => return show(&shared, visit, &id, None).await,
    };
    let done = match read(&shared, request).await {
        Ok(body) => match asked_force(&body) {
            Ok(force) => retry_group(&shared, by, group, force).await,
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    match done {
        Ok(RetriedDead { retried, superseded }) => {
            see(&format!("/errors/{group}?retried={retried}&superseded={superseded}"))
        }
        Err(problem) => show(&shared, visit, &id, Some((problem.status(), problem.detail()))).await,
    }
}

/// Whether the form asks to retry superseded jobs too.
///
/// # Errors
/// It has a field that no form of this page has.
fn asked_force(form: &[u8]) -> Result<bool, ProblemDetails> {
    let mut force = false;
    for (name, value) in form_urlencoded::parse(form) {
        match (&*name, &*value) {
            ("csrf", _) => {}
            ("force", "1") => force = true,
            (other, _) => {
                let why = format!("unknown field or value `{}`", refusal::short(other));
                return Err(refusal::of_body(why, "Send `force=1` to include superseded jobs, or no field."));
            }
        }
    }
    Ok(force)
}

/// Shows what a retry would do, and why the last one failed.
async fn show(shared: &Shared, visit: Visit, id: &str, failed: Option<(StatusCode, &str)>) -> Response {
    let (group, dead) = match find(shared, id).await {
        Ok(Some(group)) => {
            let dead = part(shared.store.errors().dead(group.id)).await;
            (group, dead)
        }
        Ok(None) => return not_found(visit, shared, Tab::Errors, no_group(id)).await,
        Err(why) => {
            let answer =
                Answer::new(Tone::Bad, Icon::Warning, "The errors could not be read", html! { (why) });
            let page = Page { tab: Tab::Errors, search: Search::JOBS, answer, body: html! {} };
            return page.respond_with(StatusCode::SERVICE_UNAVAILABLE, &visit.shell(shared).await);
        }
    };
    let shell = visit.shell(shared).await;
    let body = html! {
        @if let Some((_, why)) = failed {
            (panel::note(Tone::Bad, Icon::X, html! { strong { "The jobs were not retried. " } (why) }, ""))
        }
        @match &dead {
            Ok(dead) => (question(&group, *dead, &shell.visitor)),
            Err(why) => (panel::panel("h-r", "Dead jobs of this error", "", panel::unreadable(why))),
        }
    };
    let page =
        Page { tab: Tab::Errors, search: Search::JOBS, answer: answer(&group, dead.as_ref().ok()), body };
    match failed {
        Some((status, _)) => page.respond_with(status, &shell),
        None => page.respond(&shell),
    }
}

/// The number of jobs, honest about jobs that were not counted.
fn counted(jobs: u64, is_complete: bool) -> String {
    let jobs = if jobs == 1 { "1\u{a0}dead job".to_owned() } else { amount::count(jobs, "dead job") };
    if is_complete { jobs } else { format!("at least {jobs}") }
}

fn answer(group: &ErrorGroup, dead: Option<&DeadInGroup>) -> Answer {
    let (sign, sentence) = match dead {
        Some(DeadInGroup { jobs: 0, superseded: 0, is_complete: true }) => {
            (Icon::Ok, "No dead job to retry".to_owned())
        }
        Some(dead) => (Icon::Retry, format!("Retry {}?", counted(dead.jobs, dead.is_complete))),
        None => (Icon::Retry, "Retry the dead jobs of this error?".to_owned()),
    };
    let why = html! { a href="/errors" { "Errors" } " / " a.wrap href={ "/errors/" (group.id) } { (title(group)) } };
    Answer::new(Tone::Plain, sign, sentence, why)
}

fn question(group: &ErrorGroup, dead: DeadInGroup, visitor: &Visitor) -> Markup {
    let DeadInGroup { jobs, superseded, is_complete } = dead;
    let back = html! { a.btn href={ "/errors/" (group.id) } { "Back" } };
    if jobs == 0 && superseded == 0 && is_complete {
        let why = "Jobs whose last failure was this error are delivered, unfinished, gone or deleted by now.";
        let empty = panel::empty(Tone::Ok, Icon::Ok, "Nothing to retry.", why, back);
        return panel::panel("h-r", "Dead jobs of this error", "", empty);
    }
    let facts = html! {
        dl.facts {
            dt { "Retried" } dd { strong { (counted(jobs, is_complete)) } " whose last failure was this error" }
            dt { "Left out" }
            dd {
                @if superseded == 0 { "none" } @else {
                    (amount::number(superseded)) ", because a newer job has the same return_url: their bots already wait for that one"
                }
            }
            dt { "Each bot gets" } dd { "the completion that its job has: the answer of its handler, or the fallback" }
            dt { "How fast" } dd { "at the pace of each account, with a new time limit" }
            @if !is_complete { dt { "Counted" } dd { "among the newest 50,000 dead jobs; the retry includes older ones" } }
        }
    };
    let body = if visitor.may_change() {
        html! {
            form.in method="post" action={ "/errors/" (group.id) "/retry" } {
                (visitor.csrf_field())
                (facts)
                @if superseded > 0 {
                    p { label.check { input type="checkbox" name="force" value="1"; "Retry the " (amount::number(superseded)) " left out, too" } }
                }
                p.acts {
                    button.btn.go type="submit" { (icon(Icon::Retry)) "Retry " (counted(jobs, is_complete)) }
                    (back)
                }
            }
        }
    } else {
        html! {
            div.in {
                (facts)
                p.acts { span.m { "You have the read-only token. A retry needs " code { "admin.token" } "." } (back) }
            }
        }
    };
    html! {
        section.panel.dry aria-labelledby="h-r" {
            header { h2 #h-r { "Dry run: nothing is changed yet" } }
            (body)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_honest_about_jobs_that_were_not_counted() {
        for (jobs, is_complete, expected) in [
            (1, true, "1\u{a0}dead job"),
            (1_200, true, "1,200\u{a0}dead jobs"),
            (0, false, "at least 0\u{a0}dead jobs"),
        ] {
            assert_eq!(counted(jobs, is_complete), expected);
        }
    }
}
