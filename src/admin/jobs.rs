//! `/api/v1/jobs…` and `/api/v1/stats`: looking at jobs and moving them.

use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::model::{HandlerName, JobId, JobRecord, StateName, Surroundings, WaitsFor, waits_for};
use crate::problem::Problem;
use crate::store::StoreError;

use super::job_json::{JobWithAttempts, PageView};
use super::{Shared, jobs_query, refusal};

/// A person waits no longer than this for one change; the store may still make it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for many changes.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// The same for a body to arrive: nobody else cuts a caller who sends slowly, and places are few.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Response, Problem>;

/// What stands in the path in place of an id; it need not even be text.
type Id = Result<Path<String>, PathRejection>;

/// `GET /api/v1/jobs`
pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let filter = jobs_query::parse(query.as_deref().unwrap_or_default())
        .map_err(|error| refusal::of_parameter(&error))?;
    let page = within(PATIENCE, shared.store.jobs(&filter)).await?;
    Ok(Json(PageView::from(page)).into_response())
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn one(State(shared): State<Shared>, id: Id) -> Answer {
    show(&shared, job_id(id)?).await
}

/// `POST /api/v1/jobs/{id}/retry`
pub(super) async fn retry(State(shared): State<Shared>, id: Id) -> Answer {
    let id = job_id(id)?;
    within(PATIENCE, shared.store.retry(id)).await?;
    tracing::info!(job.id = %id, "a person retries a dead job");
    show(&shared, id).await
}

/// `POST /api/v1/jobs/{id}/cancel`
pub(super) async fn cancel(State(shared): State<Shared>, id: Id) -> Answer {
    let id = job_id(id)?;
    within(PATIENCE, shared.store.cancel(id)).await?;
    tracing::info!(job.id = %id, "a person cancelled a job");
    show(&shared, id).await
}

/// The body of `POST /api/v1/jobs/retry`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryMany {
    state: String,
    handler: Option<HandlerName>,
}

/// `POST /api/v1/jobs/retry`
pub(super) async fn retry_many(State(shared): State<Shared>, request: Request) -> Answer {
    let body = tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(request, &shared)).await;
    let body = body.map_err(|_| refusal::too_slow())?.map_err(refusal::of_transfer)?;
    let RetryMany { state, handler } = serde_json::from_slice(&body).map_err(refusal::of_body)?;
    if state != StateName::Dead.as_str() {
        let why = format!("`state` is `{}`, but only dead jobs can be retried", refusal::short(&state));
        return Err(refusal::of_body(why));
    }
    let retried = within(LONG_PATIENCE, shared.store.retry_dead(handler)).await?;
    tracing::info!(jobs = retried, "a person retries dead jobs");
    Ok(Json(json!({ "retried": retried })).into_response())
}

/// `GET /api/v1/stats`
pub(super) async fn stats(State(shared): State<Shared>) -> Answer {
    let stats = within(PATIENCE, shared.store.stats()).await?;
    let now = shared.clock.now();
    let age = stats.oldest_queued.map(|oldest| now.since(oldest).as_secs_f64());
    Ok(Json(json!({
        "jobs": stats.jobs,
        "oldest_queued_seconds": age,
        "accounts_waiting": shared.health.waiting(),
    }))
    .into_response())
}

async fn show(shared: &Shared, id: JobId) -> Answer {
    let found = within(PATIENCE, shared.store.job(id)).await?;
    let (job, attempts) = found.ok_or_else(|| refusal::no_job(id))?;
    let waits_for = what_it_waits_for(shared, &job).await?;
    Ok(Json(JobWithAttempts::new(&job, &attempts, waits_for)).into_response())
}

async fn what_it_waits_for(shared: &Shared, job: &JobRecord) -> Result<Option<WaitsFor>, Problem> {
    let JobRecord::Whole(job) = job else { return Ok(None) };
    let waits = within(PATIENCE, shared.store.waits_at(job.request.return_url.origin())).await?;
    let around = Surroundings {
        now: shared.clock.now(),
        is_served: Some(true),
        has_handler: shared.handlers.contains(&job.handler),
        account: waits.account.as_ref(),
        all_accounts: waits.all_accounts.as_ref(),
    };
    Ok(waits_for(job, &around))
}

/// Text that is no id names no job.
fn job_id(id: Id) -> Result<JobId, Problem> {
    let text = id.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(text)| text);
    text.parse().map_err(|_| refusal::no_job(text))
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Problem> {
    let done = tokio::time::timeout(patience, work).await.unwrap_or(Err(StoreError::Timeout));
    done.map_err(|error| {
        let expected =
            matches!(error, StoreError::NoJob(_) | StoreError::WrongState { .. } | StoreError::TooManyLists);
        if !expected {
            tracing::error!(%error, "the admin API could not use the store");
        }
        refusal::of_store(&error)
    })
}
