//! The dashboard: what the API knows, as pages for the people who operate the bridge.
//!
//! The server renders every page completely, so all of them work without JavaScript. A page reads the store and the
//! running bridge like an endpoint of the API does, decides what the answer to its question is ([`parts::panel::Answer`]),
//! and passes both to functions that only make markup. A small script ([`assets`]) loads the page again when something
//! changed. [`super::access`] has decided who may see a page before it runs.

mod accounts;
mod actions;
mod assets;
mod errors;
mod gather;
mod handlers;
mod job;
mod jobs;
mod keys;
mod look;
mod now;
mod parts;
mod problem;
mod settings;
mod shell;
mod store;

use axum::Router;
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use maud::{Markup, html};

use super::Shared;
use parts::mark::Tone;
use parts::panel::Answer;
use shell::{Search, Shell, Tab};

pub(in crate::admin) use gather::Visit;
pub(in crate::admin) use parts::icon::{Icon, icon};
pub(in crate::admin) use problem::{Requested, in_layout};
pub(in crate::admin) use shell::head;

/// The routes of the pages.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(now::now))
        .route("/errors", get(errors::list))
        .route("/errors/{id}", get(errors::one))
        .route("/errors/{id}/retry", get(errors::confirm).post(errors::retry))
        .route("/accounts", get(accounts::list))
        .route("/accounts/resume", post(accounts::resume))
        .route("/handlers", get(handlers::list))
        .route("/handlers/{name}/test", get(handlers::form).post(handlers::test))
        .route("/look", get(look::save))
        .route("/favicon.ico", get(assets::favicon))
        .route(assets::ROUTE, get(assets::serve))
        .merge(job::routes())
        .merge(jobs::routes())
        .merge(store::routes())
        .merge(settings::routes())
        .merge(actions::routes())
        .route_layer(middleware::from_fn(gather::limit_time))
}

/// A page: its answer is also its title.
struct Page<'a> {
    tab: Tab,
    search: Search<'a>,
    answer: Answer,
    body: Markup,
}

impl Page<'_> {
    /// The response.
    fn respond(&self, shell: &Shell) -> Response {
        let main = html! { (self.answer.render(self.tab == Tab::Now)) (self.body) };
        let document = shell.document(self.tab, &self.answer.sentence, &self.search, &main);
        Html(document).into_response()
    }

    /// The response with another status.
    fn respond_with(&self, status: StatusCode, shell: &Shell) -> Response {
        (status, self.respond(shell)).into_response()
    }
}

/// Leads a browser from a form to a page. `address` is made of literals and numbers.
fn see(address: &str) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// The page for something that does not exist.
async fn not_found(visit: Visit, shared: &Shared, tab: Tab, what: String) -> Response {
    let shell = visit.shell(shared).await;
    let why = html! { "It may have been deleted when its retention was over. " a href=(tab.path()) { "Back to the list" } };
    let answer = Answer::new(Tone::Warn, Icon::Info, what, why);
    let page = Page { tab, search: Search::JOBS, answer, body: html! {} };
    page.respond_with(StatusCode::NOT_FOUND, &shell)
}
