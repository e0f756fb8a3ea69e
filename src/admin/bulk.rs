//! `/api/v1/jobs/bulk…`: changes the jobs that match a filter, after a dry run; shows and stops such changes.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::problem::ProblemDetails;
use model::{Filter, Timestamp};
use store::{Actor, Bulk, BulkAction, BulkOrder, BulkPlan};

use super::access::{Bodies, Visitor};
use super::bulk_json::{BulkPlanView, BulkView};
use super::bulk_token::{BoundTo, BulkTokens, Counted, TOKEN_LIFE, TokenRefusal};
use super::call::{Answer, BULK_TIMEOUT, STORE_TIMEOUT, object, read, run_to_end, within};
use super::document::tag;
use super::filter::{BadFilter, searches_bodies};
use super::paths::BulkPath;
use super::responses::{
    BodyErrors, BulkChangeEnded, BulkErrors, BulkToken, NoBulkChange, StoreErrors, WideFilter,
};
use super::{Shared, refusal};

/// How long a dry run may count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(30);

const CHANGE: &str = r#"Send {"action":"retry","filter":"state:dead handler:greet","dry_run":true} first, or "cancel" as the action. The response has a token: send the same with "token" instead of "dry_run". "force":true retries superseded jobs too."#;

/// The body of `POST /api/v1/jobs/bulk`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkRequest, example = json!({ "action": "retry", "filter": "state:dead handler:greet", "dry_run": true }))]
struct Change {
    /// What to do to each job.
    action: FilterAction,
    /// Which jobs. Not empty.
    #[schema(example = "state:dead handler:greet since:2h", min_length = 1)]
    filter: String,
    /// Whether to retry superseded jobs too.
    #[serde(default)]
    force: bool,
    /// Whether only to count the jobs. Send either this or `token`.
    #[serde(default)]
    dry_run: bool,
    /// The token of the dry run.
    token: Option<String>,
}

/// What a change by filter may do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FilterAction {
    /// Delivers it again.
    Retry,
    /// Cancels it.
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

/// Changes the jobs that match a filter
///
/// In two steps. First send `"dry_run": true`: nothing changes, and the 200 says what would. Then send the same `action`,
/// `filter` and `force` with the `token` of that response. It is valid once, for five minutes, and until the bridge restarts.
/// The change runs in the background, and changes no job that is newer than those of the dry run, nor more jobs.
#[utoipa::path(post, path = "/api/v1/jobs/bulk", tag = tag::BULK, operation_id = "changeJobs", request_body = Change,
    responses(
        (status = 200, description = "The dry run: what the change would do.", body = BulkPlanView),
        (status = 202, description = "The change has begun.", body = BulkView,
            headers(("Location" = String, description = "The path of the change."))),
        BodyErrors, BulkToken, WideFilter, BulkErrors))]
pub(super) async fn change(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Answer {
    let body = read(&shared, request).await?;
    let asked: Change = object(&body, CHANGE)?;
    let Change { action, filter, force, dry_run, token } = asked;
    let asked = Asked { action: action.into(), filter: &filter, force, bodies: visitor.bodies };
    match (dry_run, &token) {
        (true, None) => {
            let DryRun { plan, filter, token } = count(&shared, by, asked).await?;
            let view = BulkPlanView::new((asked.action, filter, force), &plan, shared.rates);
            let view = match token {
                Some((token, expires_at)) => view.with_token(token, expires_at),
                None => view,
            };
            Ok(Json(view).into_response())
        }
        (false, Some(token)) => {
            let id = begin(&shared, by.clone(), asked, token).await?;
            begun(&shared, by, id).await
        }
        (true, Some(_)) => Err(refusal::of_body("it has both `dry_run` and `token`", CHANGE)),
        (false, None) => Err(refusal::of_body("it has neither `dry_run` nor `token`", CHANGE)),
    }
}

/// What a change by filter should do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) action: BulkAction,
    pub(super) filter: &'a str,
    /// Whether a retry includes superseded jobs.
    pub(super) force: bool,
    /// How the caller sees bodies: the number of matches reveals what they contain.
    pub(super) bodies: Bodies,
}

/// The result of a dry run.
#[derive(Debug)]
pub(super) struct DryRun {
    pub(super) plan: BulkPlan,
    /// The filter, written in full and narrowed to the states that allow the action.
    pub(super) filter: String,
    /// The token that the change needs, and when it expires; `None` if there is nothing to change.
    pub(super) token: Option<(String, Timestamp)>,
}

/// Parses the filter as of the moment `at`, and narrows it to the jobs that the action can change.
async fn narrowed(shared: &Shared, asked: Asked<'_>, at: Timestamp) -> Result<Filter, ProblemDetails> {
    if asked.filter.trim().is_empty() {
        let why = "`filter` is empty; to change all jobs, name their states, like `state:dead`";
        return Err(refusal::of_body(why, CHANGE));
    }
    let parsed = shared.account_names.parse(asked.filter, &shared.store, at).await;
    let filter = parsed.map_err(|error| match error {
        BadFilter::Text(error) => refusal::of_body(format!("`filter`: {error}"), CHANGE),
        BadFilter::Store(error) => refusal::of_store(&error),
    })?;
    if searches_bodies(&filter) && asked.bodies.revealed() != Bodies::Full {
        return Err(refusal::hidden_text());
    }
    Ok(asked.action.narrow(filter))
}

/// Makes a dry run.
pub(super) async fn count(shared: &Shared, by: Actor, asked: Asked<'_>) -> Result<DryRun, ProblemDetails> {
    let (at, elapsed) = (shared.clock.now(), shared.clock.elapsed());
    let Asked { action, force, .. } = asked;
    let filter = narrowed(shared, asked, at).await?;
    let counting = async { shared.store.operator(by).plan_bulk(&filter, action, COUNT_TIMEOUT).await };
    let plan = within(BULK_TIMEOUT, counting).await?;
    let filter = filter.to_string();
    let Some(newest) = plan.newest else { return Ok(DryRun { plan, filter, token: None }) };
    let counted = Counted { at, newest, jobs: plan.jobs };
    let to = BoundTo { action, filter: &filter, force };
    let tokens = shared.bulk_tokens.as_ref();
    let token = tokens.as_ref().and_then(|tokens| tokens.issue(&counted, to, elapsed));
    let token = token.ok_or_else(refusal::no_random)?;
    Ok(DryRun { plan, filter, token: Some((token, at + TOKEN_LIFE)) })
}

/// Begins the change that a dry run has counted. Returns its number.
pub(super) async fn begin(
    shared: &Shared,
    by: Actor,
    asked: Asked<'_>,
    token: &str,
) -> Result<u64, ProblemDetails> {
    let refused = |error: TokenRefusal| refusal::of_bulk_token(&error);
    let at = BulkTokens::read(token).map_err(refused)?.at;
    let filter = narrowed(shared, asked, at).await?;
    let Asked { action, force, .. } = asked;
    let text = filter.to_string();
    let tokens = shared.bulk_tokens.as_ref().as_ref().ok_or_else(refusal::no_random)?;
    let to = BoundTo { action, filter: &text, force };
    let Counted { newest, jobs, .. } = tokens.redeem(token, to, shared.clock.elapsed()).map_err(refused)?;
    let order = BulkOrder { action, filter, force, newest, max_jobs: jobs };
    let store = shared.store.clone();
    let begun_id = run_to_end(STORE_TIMEOUT, async move { store.operator(by).begin_bulk(order).await }).await;
    let id = begun_id.inspect_err(|_| tokens.give_back(token))?;
    tracing::info!(bulk.id = id, action = action.as_str(), jobs, "bulk change begun by operator");
    Ok(id)
}

pub(super) type Number = Result<Path<String>, PathRejection>;

/// Shows a bulk change and its progress
#[utoipa::path(get, path = "/api/v1/jobs/bulk/{id}", tag = tag::BULK, operation_id = "getBulkChange", params(BulkPath),
    responses((status = 200, description = "The bulk change.", body = BulkView), NoBulkChange, StoreErrors))]
pub(super) async fn one(State(shared): State<Shared>, Extension(by): Extension<Actor>, id: Number) -> Answer {
    let bulk = found(&shared, by, number(id)?).await?;
    Ok(Json(BulkView::from(&bulk)).into_response())
}

/// Stops a bulk change
///
/// What it has changed stays changed.
#[utoipa::path(post, path = "/api/v1/jobs/bulk/{id}/stop", tag = tag::BULK, operation_id = "stopBulkChange", params(BulkPath),
    responses(
        (status = 200, description = "The bulk change, which has stopped.", body = BulkView),
        NoBulkChange, BulkChangeEnded, StoreErrors))]
pub(super) async fn stop(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Number,
) -> Answer {
    let id = number(id)?;
    let stopped = stop_one(&shared, by.clone(), id).await?;
    let bulk = found(&shared, by, id).await?;
    if !stopped {
        return Err(refusal::bulk_ended(id));
    }
    Ok(Json(BulkView::from(&bulk)).into_response())
}

/// Stops a bulk change. Returns `false` if it has already ended, or does not exist.
pub(super) async fn stop_one(shared: &Shared, by: Actor, id: u64) -> Result<bool, ProblemDetails> {
    let store = shared.store.clone();
    let stopped = run_to_end(STORE_TIMEOUT, async move { store.operator(by).stop_bulk(id).await }).await?;
    if stopped {
        tracing::info!(bulk.id = id, "bulk change stopped by operator");
    }
    Ok(stopped)
}

/// The bulk change with this number.
pub(super) async fn found(shared: &Shared, by: Actor, id: u64) -> Result<Bulk, ProblemDetails> {
    let bulk = within(STORE_TIMEOUT, async { shared.store.operator(by).bulk(id).await }).await?;
    bulk.ok_or_else(|| refusal::no_bulk(id))
}

/// The number in a path. Any other text is not the number of a bulk change.
pub(super) fn number(id: Number) -> Result<u64, ProblemDetails> {
    let text = id.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(text)| text);
    let parsed = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    parsed.ok_or_else(|| refusal::no_bulk(text))
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
