//! `/handlers`: what each handler does at the moment and did lately; and a test request to one.

mod answer;
mod row;
mod test;

pub(super) use test::{form, test};

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::Page;
use super::gather::{Visit, part};
use super::parts::icon::Icon;
use super::parts::mark::Tone;
use super::parts::{panel, table};
use super::shell::{Search, Tab};
use crate::admin::Shared;
use crate::admin::handlers::{recent, views};

/// `GET /handlers`
pub(super) async fn list(State(shared): State<Shared>, visit: Visit) -> Response {
    let now = shared.clock.now();
    let (stats, shell) = tokio::join!(part(recent(&shared)), visit.shell(&shared));
    let handlers = views(&shared, stats.as_deref().unwrap_or_default());
    let answer = answer::decide(&handlers, stats.is_ok(), now);
    let context = row::Context { now, has_stats: stats.is_ok(), may_change: shell.visitor.may_change() };
    let body = html! {
        @if let Err(why) = &stats {
            (panel::note(Tone::Bad, Icon::Warning, html! { "The numbers of the last 5 minutes could not be read. " (why) }, html! { a.btn.s href="" { "Try again" } }))
        }
        @if !context.may_change {
            (panel::note(Tone::Plain, Icon::Lock, html! { "You have the read-only token. A test request needs " code { "admin.token" } "." }, ""))
        }
        (panel::panel("h-ha", "Handlers", html! { span.m { "numbers of the last 5 minutes; times from the receipt to the continue" } },
            table::table("cards", "Handlers", &row::COLUMNS, html! { @for one in &handlers { (row::row(one, &context)) } })))
    };
    Page { tab: Tab::Handlers, search: Search::JOBS, answer, body }.respond(&shell)
}
