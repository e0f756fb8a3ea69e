//! `/api/v1/jobs/bulk…`: changes the jobs that match a filter, after a dry run; shows and stops such changes.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use crate::problem::ProblemDetails;
use model::{Filter, Timestamp};
use store::{Actor, Bulk, BulkAction, BulkOrder};

use super::bulk_json::{BulkPlanView, BulkView};
use super::bulk_token::{BoundTo, BulkTokens, Counted, TOKEN_LIFE, TokenRefusal};
use super::call::{Answer, BULK_TIMEOUT, STORE_TIMEOUT, read, run_to_end, within};
use super::filter::BadFilter;
use super::{Shared, refusal};

/// How long a dry run may count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(30);

const CHANGE: &str = r#"Send {"action":"retry","filter":"state:dead handler:greet","dry_run":true} first, or "cancel" as the action. The response has a token: send the same with "token" instead of "dry_run". "force":true retries superseded jobs too."#;

/// The body of `POST /api/v1/jobs/bulk`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    action: FilterAction,
    filter: String,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    dry_run: bool,
    token: Option<String>,
}

/// What a change by filter may do.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FilterAction {
    Retry,
    Cancel,
}

impl From<FilterAction> for BulkAction {
    fn from(action: FilterAction) -> Self {
        match action {
            FilterAction::Retry => Self::Retry,
            FilterAction::Cancel => Self::Cancel,
        }
    }
}

/// `POST /api/v1/jobs/bulk`
pub(super) async fn change(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    request: Request,
) -> Answer {
    let body = read(&shared, request).await?;
    let asked: Change = serde_json::from_slice(&body).map_err(|why| refusal::of_body(why, CHANGE))?;
    match (asked.dry_run, &asked.token) {
        (true, None) => count(&shared, by, &asked).await,
        (false, Some(token)) => begin(&shared, by, &asked, token).await,
        (true, Some(_)) => Err(refusal::of_body("it has both `dry_run` and `token`", CHANGE)),
        (false, None) => Err(refusal::of_body("it has neither `dry_run` nor `token`", CHANGE)),
    }
}

/// Parses the filter as of the moment `at`, and narrows it to the jobs that the action can change.
async fn narrowed(shared: &Shared, asked: &Change, at: Timestamp) -> Result<Filter, ProblemDetails> {
    if asked.filter.trim().is_empty() {
        let why = "`filter` is empty; to change all jobs, name their states, like `state:dead`";
        return Err(refusal::of_body(why, CHANGE));
    }
    let parsed = shared.account_names.parse(&asked.filter, &shared.store, at).await;
    let filter = parsed.map_err(|error| match error {
        BadFilter::Text(error) => refusal::of_body(format!("`filter`: {error}"), CHANGE),
        BadFilter::Store(error) => refusal::of_store(&error),
    })?;
    Ok(BulkAction::from(asked.action).narrow(filter))
}

async fn count(shared: &Shared, by: Actor, asked: &Change) -> Answer {
    let (at, elapsed) = (shared.clock.now(), shared.clock.elapsed());
    let (action, force) = (asked.action.into(), asked.force);
    let filter = narrowed(shared, asked, at).await?;
    let counting = async { shared.store.operator(by).plan_bulk(&filter, action, COUNT_TIMEOUT).await };
    let plan = within(BULK_TIMEOUT, counting).await?;
    let filter = filter.to_string();
    let mut view = BulkPlanView::new((action, filter.clone(), force), &plan, shared.rates);
    if let Some(newest) = plan.newest {
        let counted = Counted { at, newest, jobs: plan.jobs };
        let to = BoundTo { action, filter: &filter, force };
        let tokens = shared.bulk_tokens.as_ref();
        let token = tokens.as_ref().and_then(|tokens| tokens.issue(&counted, to, elapsed));
        view = view.with_token(token.ok_or_else(refusal::no_random)?, at + TOKEN_LIFE);
    }
    Ok(Json(view).into_response())
}

async fn begin(shared: &Shared, by: Actor, asked: &Change, token: &str) -> Answer {
    let refused = |error: TokenRefusal| refusal::of_bulk_token(&error);
    let at = BulkTokens::read(token).map_err(refused)?.at;
    let filter = narrowed(shared, asked, at).await?;
    let (action, force, text) = (asked.action.into(), asked.force, filter.to_string());
    let tokens = shared.bulk_tokens.as_ref().as_ref().ok_or_else(refusal::no_random)?;
    let to = BoundTo { action, filter: &text, force };
    let Counted { newest, jobs, .. } = tokens.redeem(token, to, shared.clock.elapsed()).map_err(refused)?;
    let order = BulkOrder { action, filter, force, newest, max_jobs: jobs };
    let (store, acts) = (shared.store.clone(), by.clone());
    let begun_id =
        run_to_end(STORE_TIMEOUT, async move { store.operator(acts).begin_bulk(order).await }).await;
    let id = begun_id.inspect_err(|_| tokens.give_back(token))?;
    tracing::info!(bulk.id = id, action = action.as_str(), jobs, "bulk change begun by operator");
    begun(shared, by, id).await
}

type Number = Result<Path<String>, PathRejection>;

/// `GET /api/v1/jobs/bulk/{id}`
pub(super) async fn one(State(shared): State<Shared>, Extension(by): Extension<Actor>, id: Number) -> Answer {
    let bulk = found(&shared, by, number(id)?).await?;
    Ok(Json(BulkView::from(&bulk)).into_response())
}

/// `POST /api/v1/jobs/bulk/{id}/stop`
pub(super) async fn stop(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Number,
) -> Answer {
    let id = number(id)?;
    let (store, stops) = (shared.store.clone(), by.clone());
    let stopped = run_to_end(STORE_TIMEOUT, async move { store.operator(stops).stop_bulk(id).await }).await?;
    let bulk = found(&shared, by, id).await?;
    if !stopped {
        return Err(refusal::bulk_ended(id));
    }
    tracing::info!(bulk.id = id, jobs = bulk.changed, "bulk change stopped by operator");
    Ok(Json(BulkView::from(&bulk)).into_response())
}

async fn found(shared: &Shared, by: Actor, id: u64) -> Result<Bulk, ProblemDetails> {
    let bulk = within(STORE_TIMEOUT, async { shared.store.operator(by).bulk(id).await }).await?;
    bulk.ok_or_else(|| refusal::no_bulk(id))
}

fn number(id: Number) -> Result<u64, ProblemDetails> {
    let text = id.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(text)| text);
    text.parse().map_err(|_| refusal::no_bulk(text))
}

/// Answers with a bulk change that has begun, and where to watch it.
pub(super) async fn begun(shared: &Shared, by: Actor, id: u64) -> Answer {
    let bulk = found(shared, by, id).await?;
    let mut response: Response = (StatusCode::ACCEPTED, Json(BulkView::from(&bulk))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/jobs/bulk/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}
