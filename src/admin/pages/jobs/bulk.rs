//! `/jobs/bulk…`: changes of all jobs that match a filter: the dry run, the change, its progress, and its end.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};

use crate::admin::Shared;
use crate::admin::bulk::{Asked as AskedBulk, DryRun, Number, begin, count, found, number, stop_one};
use crate::admin::call::read;
use crate::admin::pages::gather::{Visit, in_time};
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::{Answer, empty, panel};
use crate::admin::pages::parts::{amount, moment};
use crate::admin::pages::shell::{Search, Tab};
use crate::admin::pages::{Icon, Page, icon, not_found};
use crate::admin::refusal;
use crate::problem::ProblemDetails;
use model::Timestamp;
use store::{ActionResult, ActionSource, Actor, Bulk, BulkAction, StoreError};

use super::asked::{Asked, Done, SelectedAction, list_of};
use super::dry_run::view;
use super::progress::{Progress, progress};
use super::selected::Selected;
use super::{Extra, Listed, find, show};
use crate::admin::access::Visitor;

/// `POST /jobs/bulk`: without a token, the dry run; with its token, the change.
pub(super) async fn change(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    request: Request,
) -> Result<Response, ProblemDetails> {
    let Selected { q, action, token, .. } = Selected::of(&read(&shared, request).await?);
    let asked = Asked { q, ..Asked::default() };
    let Some(action) = action else {
        let address = Asked { done: Some(Done::Nothing), ..asked }.address();
        return Ok(Redirect::to(&address).into_response());
    };
    let bulk =
        AskedBulk { action: action.into(), filter: &asked.q, force: false, bodies: visit.visitor().bodies };
    if let Some(token) = token {
        return Ok(match begin(&shared, by, bulk, &token).await {
            Ok(id) => Redirect::to(&format!("/jobs/bulk/{id}")).into_response(),
            Err(problem) => {
                let listed = find(&shared, &visit, &asked).await;
                show(&shared, visit, asked, listed, refused(&problem)).await
            }
        });
    }
    let (listed, plan) = tokio::join!(find(&shared, &visit, &asked), count(&shared, by, bulk));
    let extra = match (plan, &listed) {
        // The page says what is wrong with the filter.
        (_, Listed::Refused(_)) => Extra::None,
        (Ok(plan), _) => dry_run(&shared, action, plan, &listed),
        (Err(problem), _) => refused(&problem),
    };
    Ok(show(&shared, visit, asked, listed, extra).await)
}

fn dry_run(shared: &Shared, action: SelectedAction, dry_run: DryRun, listed: &Listed) -> Extra {
    let (jobs, is_complete) = match listed {
        Listed::Jobs(jobs) => (&jobs.page.jobs[..], jobs.page.next.is_none()),
        Listed::Refused(_) | Listed::Unreadable(_) => (&[][..], false),
    };
    let DryRun { plan, token, .. } = dry_run;
    Extra::DryRun(Box::new(view(
        action,
        &plan,
        token,
        (jobs, is_complete),
        (shared.rates, &shared.account_names),
    )))
}

fn refused(problem: &ProblemDetails) -> Extra {
    Extra::Refused { status: problem.status(), why: problem.detail().to_owned() }
}

/// `GET /jobs/bulk/{id}`
pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    id: Number,
) -> Result<Response, ProblemDetails> {
    let bulk = match number(id) {
        Ok(id) => {
            let found = in_time(found(&shared, by, id)).await;
            found.unwrap_or_else(|_| Err(refusal::of_store(&StoreError::Timeout)))
        }
        Err(problem) => Err(problem),
    };
    let bulk = match bulk {
        Ok(bulk) => bulk,
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            return Ok(not_found(visit, &shared, Tab::Jobs, "There is no such bulk change".to_owned()).await);
        }
        Err(problem) => return Ok(unreadable(visit, &shared, &problem).await),
    };
    let shell = visit.shell(&shared).await;
    let Progress { tone, sign, sentence } = progress(&bulk);
    let answer = Answer::new(tone, sign, sentence, why(&bulk, shared.rates.per_account));
    let body = html! {
        @if bulk.state == ActionResult::Running { (running(&bulk, &shell.visitor)) }
        (panel("h-bulk", format!("Bulk change {}", bulk.id), html! {}, facts(&bulk, shared.clock.now())))
    };
    Ok(Page { tab: Tab::Jobs, search: Search::JOBS, answer, body }.respond(&shell))
}

async fn unreadable(visit: Visit, shared: &Shared, problem: &ProblemDetails) -> Response {
    let shell = visit.shell(shared).await;
    let why = html! { (problem.detail()) " A change that has begun continues." };
    let answer = Answer::new(Tone::Bad, Icon::Warning, "The bulk change could not be read", why);
    let again = html! { a.btn.s href="" { "Try again" } };
    let body =
        panel("h-bulk", "Bulk change", html! {}, empty(Tone::Bad, Icon::Warning, "Not read.", "", again));
    Page { tab: Tab::Jobs, search: Search::JOBS, answer, body }.respond_with(problem.status(), &shell)
}

/// `POST /jobs/bulk/{id}/stop`. The page that follows says how the change ended.
pub(super) async fn stop(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Number,
) -> Result<Response, ProblemDetails> {
    let id = number(id)?;
    stop_one(&shared, by, id).await?;
    Ok(Redirect::to(&format!("/jobs/bulk/{id}")).into_response())
}

fn why(bulk: &Bulk, rate: u32) -> Markup {
    let is_retry = bulk.action == BulkAction::Retry;
    html! {
        @match bulk.state {
            ActionResult::Running => { "It continues in the background, also if you leave this page or the bridge restarts. " },
            ActionResult::Stopped => { "The other jobs stay as they are. " },
            ActionResult::Failed => { "The bridge's log says why. " },
            ActionResult::Done => {},
        }
        @if is_retry && bulk.changed > 0 {
            "The retried jobs are delivered at up to " (rate) " requests per second and account. "
        }
        @if bulk.skipped > 0 {
            (amount::count(bulk.skipped, "job")) " stayed unchanged, because the state did not allow it or changed meanwhile"
            @if is_retry { ", or because a newer request of the bot replaced the job" } ". "
        }
        @let others = bulk.max_jobs.map_or(0, |max| max.saturating_sub(bulk.changed + bulk.skipped));
        @if bulk.state == ActionResult::Done && others > 0 {
            (amount::number(others)) " of the counted jobs no longer matched when their turn came."
        }
    }
}

fn running(bulk: &Bulk, visitor: &Visitor) -> Markup {
    let done = bulk.changed + bulk.skipped;
    html! {
        div.panel.note.active role="status" {
            div.why {
                (icon(Icon::Running))
                span {
                    (amount::number(bulk.changed)) " done"
                    @if let Some(max) = bulk.max_jobs { ", " (amount::number(max.saturating_sub(done))) " to go" } "."
                }
            }
            div.acts {
                @match bulk.max_jobs {
                    Some(max) => progress max=(max.max(1)) value=(done.min(max)) aria-label="Progress" { (done) " of " (max) },
                    None => progress aria-label="Progress" { (done) },
                }
                a.btn.s href="" { (icon(Icon::Refresh)) "Refresh" }
                @if visitor.may_change() {
                    form method="post" action={ "/jobs/bulk/" (bulk.id) "/stop" } {
                        (visitor.csrf_field())
                        button.btn.s type="submit" { (icon(Icon::X)) "Stop" }
                    }
                }
            }
        }
    }
}

const fn through(source: ActionSource) -> &'static str {
    match source {
        ActionSource::Page => "on a page",
        ActionSource::Api => "through the API",
        ActionSource::Cli => "by a command",
    }
}

fn facts(bulk: &Bulk, now: Timestamp) -> Markup {
    html! {
        div.in { dl.facts {
            dt { "Filter" } dd { a href=(list_of(&bulk.filter)) { code { (bulk.filter) } } }
            dt { "Begun" } dd { (moment::moment(bulk.at, now)) " UTC, " (through(bulk.by.source())) " (" (bulk.by.name()) ")" }
            dt { "Changed" } dd { (amount::number(bulk.changed)) @if let Some(max) = bulk.max_jobs { " of " (amount::number(max)) } }
            dt { "Unchanged" } dd { (amount::number(bulk.skipped)) }
        } }
    }
}
