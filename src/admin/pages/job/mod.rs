//! `/jobs/{id}`: one job. Why it is in its state, what an operator can do, and what happened to it.
//!
//! [`read`] gathers the facts. The other modules turn them into what the page says ([`answer`], [`choice`], [`attempts`],
//! [`time_line`], [`bodies`]) and into markup, without reading anything. [`change`] does what an operator asks for.

mod answer;
mod aside;
mod attempts;
mod bodies;
mod change;
mod choice;
mod complete;
mod query;
mod read;
mod text;
mod time_line;
mod view;
mod why;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use maud::html;

use model::JobId;

use super::gather::Visit;
use super::parts::icon::Icon;
use super::parts::mark::Tone;
use super::parts::panel::Answer;
use super::shell::{Search, Shell, Tab};
use super::{Page, not_found};
use crate::admin::Shared;
use crate::admin::call::{Id, text};
use crate::admin::refusal::short;
use query::Query;
use read::Missing;
use view::Shown;

/// The routes of the page.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/jobs/{id}", get(show))
        .route("/jobs/{id}/retry", get(back).post(change::retry))
        .route("/jobs/{id}/cancel", get(back).post(change::cancel))
        .route("/jobs/{id}/complete", get(back).post(change::complete))
        .route("/jobs/{id}/reveal", get(back).post(change::reveal))
}

/// The path of a job.
fn path(id: JobId) -> String {
    format!("/jobs/{id}")
}

/// `GET /jobs/{id}`. The beginning of an id leads to the job.
async fn show(State(shared): State<Shared>, visit: Visit, id: Id, RawQuery(query): RawQuery) -> Response {
    let given = text(id);
    let id = match read::find(&shared, &given).await {
        Ok(id) => id,
        Err(missing) => return absent(missing, visit, &shared).await,
    };
    if given != id.to_string() {
        return Redirect::to(&path(id)).into_response();
    }
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let shown = Shown { limit: query.limit(visit.visitor().bodies), query, ..Shown::default() };
    respond(visit, &shared, id, StatusCode::OK, shown).await
}

/// Where a browser gets if it loads the result of a form again: at the job.
async fn back(id: Id) -> Response {
    let given = text(id);
    match given.parse::<JobId>() {
        Ok(id) => Redirect::to(&path(id)).into_response(),
        Err(_) => Redirect::to(Tab::Jobs.path()).into_response(),
    }
}

/// The page of the job `id`.
async fn respond(visit: Visit, shared: &Shared, id: JobId, status: StatusCode, shown: Shown) -> Response {
    match read::read(shared, id).await {
        Ok(Some(seen)) => {
            let shell = visit.shell(shared).await;
            (status, view::page(&seen, &shell, &shown)).into_response()
        }
        Ok(None) => absent(Missing::Unknown(id.to_string()), visit, shared).await,
        Err(why) => absent(Missing::Unreadable(why), visit, shared).await,
    }
}

/// The page for a job that cannot be shown.
async fn absent(missing: Missing, visit: Visit, shared: &Shared) -> Response {
    match missing {
        Missing::Unknown(id) => {
            not_found(visit, shared, Tab::Jobs, format!("There is no job {}", short(&id))).await
        }
        Missing::Several(prefix, ids, is_more) => {
            let shell = visit.shell(shared).await;
            several(&shell, &prefix, &ids, is_more)
        }
        Missing::Unreadable(why) => {
            let shell = visit.shell(shared).await;
            let answer = Answer::new(Tone::Bad, Icon::Warning, "The job could not be read", html! { (why) });
            let body = super::parts::panel::unreadable("The job may exist. Nothing was changed.");
            let page = Page { tab: Tab::Jobs, search: Search::JOBS, answer, body };
            page.respond_with(StatusCode::SERVICE_UNAVAILABLE, &shell)
        }
    }
}

/// The page for the beginning of several ids.
fn several(shell: &Shell, prefix: &str, ids: &[JobId], is_more: bool) -> Response {
    let why = html! { "Add digits to name one of them, or choose it here." };
    let answer =
        Answer::new(Tone::Plain, Icon::Info, format!("Several jobs have ids that begin with {prefix}"), why);
    let body = html! {
        section.panel { div.in {
            ul.stack {
                @for id in ids { li { a.mono href=(path(*id)) { (id) } } }
                @if is_more { li.m { "… and more" } }
            }
        } }
    };
    let page = Page { tab: Tab::Jobs, search: Search::JOBS, answer, body };
    page.respond_with(StatusCode::CONFLICT, shell)
}
