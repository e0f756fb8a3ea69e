//! `/`: are bots waiting?
//!
//! [`read`] reads values ([`facts`]), [`answer`] and [`ruler`] decide what they mean, and the other modules only make
//! markup of them.

mod answer;
mod charts;
mod facts;
mod missed;
mod read;
mod ruler;
mod service;
mod side;
#[cfg(test)]
mod testing;
mod trouble;
mod waiting;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

pub(super) use waiting::what_then;

use super::Page;
use super::gather::Visit;
use super::shell::{Search, Tab};
use crate::admin::Shared;
use facts::Facts;

/// `GET /`
pub(super) async fn now(State(shared): State<Shared>, visit: Visit) -> Response {
    let (facts, shell) = tokio::join!(read::facts(&shared), visit.shell(&shared));
    let csrf = shell.visitor.may_change().then(|| shell.visitor.csrf_field());
    let body = body(&facts, csrf.as_ref());
    let page = Page { tab: Tab::Now, search: Search::JOBS, answer: answer::answer(&facts), body };
    page.respond(&shell)
}

fn body(facts: &Facts, csrf: Option<&Markup>) -> Markup {
    html! {
        (ruler::ruler(facts).render())
        (waiting::render(facts))
        (missed::render(facts))
        div.grid.c3 { (trouble::render(facts, csrf)) (charts::latency(facts)) (charts::traffic(facts)) }
        div.grid.c21 { (service::render(facts)) (side::states(facts)) }
        div.grid.c21 { (side::errors(facts)) (side::store(facts)) }
    }
}
