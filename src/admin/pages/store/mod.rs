//! `/store`: whether the store is sound, how long its disk lasts, and its backups. Backs up and checks the store now.

mod answer;
mod facts;
pub(super) mod forecast;
mod panels;
mod read;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use maud::html;

use store::Actor;

use super::gather::Visit;
use super::shell::{Search, Tab};
use super::{Page, see};
use crate::admin::Shared;
use crate::problem::ProblemDetails;

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/store", get(show))
        .route("/store/backup", get(back).post(back_up))
        .route("/store/check", get(back).post(check))
}

/// Leads from the address of a form, which a browser loads again, to the page.
async fn back() -> Response {
    Redirect::to(Tab::Store.path()).into_response()
}

/// `GET /store`
async fn show(State(shared): State<Shared>, visit: Visit) -> Response {
    let (facts, shell) = tokio::join!(read::facts(&shared), visit.shell(&shared));
    let body = html! {
        @if !shell.visitor.may_change() { (panels::read_only()) }
        div.grid.c21 {
            div.grid { (panels::backups(&facts, &shell.visitor)) (panels::check(&facts, &shell.visitor)) }
            div.grid { (panels::size(&facts)) (panels::content(&facts)) }
        }
    };
    Page { tab: Tab::Store, search: Search::JOBS, answer: answer::decide(&facts), body }.respond(&shell)
}

/// `POST /store/backup`
async fn back_up(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
) -> Result<Response, ProblemDetails> {
    if shared.live.backups().is_none() {
        let why = "Backups have no folder: set `store.backup_folder` and restart, or run `salesbot-bridge backup FILE`.";
        return Err(ProblemDetails::of_status(StatusCode::CONFLICT, why));
    }
    shared.live.back_up_now(by);
    Ok(see(Tab::Store.path()))
}

/// `POST /store/check`
async fn check(State(shared): State<Shared>, Extension(by): Extension<Actor>) -> Response {
    let url = shared.live.store().url;
    shared.store_check.start(url, shared.clock.clone(), shared.health.clone(), by.name());
    see(Tab::Store.path())
}
