//! `/actions`: who did what, when, from where, and how it ended.

mod answer;
mod asked;
mod row;

pub(in crate::admin::pages) use row::{COLUMNS, row};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use store::{ActionFilter, ActionKind, ActionPage, ActionSource};

use super::Page;
use super::gather::{Visit, part};
use super::parts::icon::Icon;
use super::parts::mark::Tone;
use super::parts::{panel, table};
use super::shell::{Search, Tab};
use crate::admin::Shared;
use answer::Found;
use asked::Asked;

/// The number of actions on a page, which keeps it below 60 KB with the longest targets.
const PER_PAGE: u32 = 25;

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/actions", get(show))
}

/// `GET /actions?job=&what=&source=&who=&before=`
async fn show(State(shared): State<Shared>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::parse(query.as_deref().unwrap_or_default());
    let (listed, shell) =
        tokio::join!(part(shared.store.actions(&asked.filter, asked.before, PER_PAGE)), visit.shell(&shared));
    let now = shell.now;
    let found = |page: &ActionPage| Found {
        actions: page.actions.clone(),
        is_filtered: asked.filter != ActionFilter::default(),
        is_later: asked.before.is_some(),
        has_more: page.next.is_some(),
    };
    let answer = answer::decide(listed.as_ref().map(found), now);
    let body = html! {
        @for why in &asked.refused { (panel::note(Tone::Bad, Icon::Errors, why, html! {})) }
        (panel::panel("h-act", "Newest first", form(&asked), html! {
            @match &listed {
                Ok(page) if page.actions.is_empty() => (nothing(&asked)),
                Ok(page) => {
                    (table::table("cards", "Actions of operators, newest first", &COLUMNS, html! {
                        @for action in &page.actions { (row(action, now)) }
                    }))
                    (pages(&asked, page.next))
                }
                Err(why) => (panel::unreadable(why)),
            }
        }))
    };
    Page { tab: Tab::Actions, search: Search::JOBS, answer, body }.respond(&shell)
}

fn form(asked: &Asked) -> Markup {
    let ActionFilter { job_id, kind, source, who } = &asked.filter;
    html! {
        form.acts action=(Tab::Actions.path()) {
            @if let Some(id) = job_id { input type="hidden" name="job" value=(id); }
            select name="what" aria-label="What was done" {
                option value="" { "All actions" }
                @for one in ActionKind::ALL {
                    option value=(one.as_str()) selected[*kind == Some(one)] { (one.as_str()) }
                }
            }
            select name="source" aria-label="From where" {
                option value="" { "From everywhere" }
                @for one in ActionSource::ALL {
                    option value=(one.as_str()) selected[*source == Some(one)] { (row::of_source(one)) }
                }
            }
            input.short type="search" name="who" value=(who.as_deref().unwrap_or_default()) autocomplete="off"
                aria-label="The whole name of who did it" placeholder="Who";
            button.btn.s type="submit" { "Filter" }
            @if asked.filter != ActionFilter::default() { a.btn.s href=(Tab::Actions.path()) { "All" } }
        }
    }
}

fn nothing(asked: &Asked) -> Markup {
    let all = html! { a.btn.s href=(Tab::Actions.path()) { "All actions" } };
    if asked.before.is_some() {
        return panel::empty(
            Tone::Plain,
            Icon::Actions,
            "No older action.",
            "The list ends before this page.",
            all,
        );
    }
    if asked.filter == ActionFilter::default() {
        let why = "Each change by a page, the API or a command appears here, with who made it.";
        return panel::empty(Tone::Plain, Icon::Actions, "No action yet.", why, html! {});
    }
    let why = "The log keeps the newest 10,000 actions. Changes of many jobs are listed without their jobs.";
    panel::empty(Tone::Plain, Icon::Search, "No action matches.", why, all)
}

fn pages(asked: &Asked, next: Option<u64>) -> Markup {
    html! {
        @if asked.before.is_some() || next.is_some() {
            p.bulk {
                @if asked.before.is_some() { a.btn.s href=(asked.at(None)) { "Newest" } }
                @match next {
                    Some(next) => { a.btn.s rel="next" href=(asked.at(Some(next))) { "Older" } }
                    None => { span.m { "End of the list" } }
                }
            }
        }
    }
}
