//! `/api/v1/jobs…` and `/api/v1/stats`: shows, retries and cancels jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::handler::completion_json;
use crate::health::{Misdirected, Refused, Waiting};
use crate::job_log::Finished;
use crate::problem::ProblemDetails;
use crate::schema;
use model::{Attempt, CheckedCompletion, HandlerName, JobId, JobRecord, OutcomeName, StateName};
use store::{Actor, Resend, RetriedDead, RetryOptions};

use super::access::{Bodies, Visitor};
use super::bulk_json::RetriedView;
use super::call::{
    Answer, BULK_TIMEOUT, Id, STORE_TIMEOUT, job_id, object, object_or_default, read, run_to_end, within,
};
use super::document::tag;
use super::filter::{BadFilter, searches_bodies};
use super::job_json::{JobWithAttempts, PageView};
use super::jobs_query::JobsQuery;
use super::outcomes_json::OutcomesView;
use super::paths::JobPath;
use super::query::{BadParameter, Params};
use super::responses::{
    BodyErrors, HiddenText, ListErrors, NoCancel, NoCompletion, NoJob, NoRetry, QueryErrors, StoreErrors,
};
use super::{Shared, explain, masked, refusal};

/// The period of `last_hour` in the stats.
const LAST_HOUR: Duration = Duration::from_secs(3_600);

/// Lists jobs
///
/// Newest first, without their bodies. Lists of unfinished, dead, gone and cancelled jobs are always complete. A search that no
/// index covers stops after 100,000 jobs, or 20,000 unfinished ones, or a second (`stopped`), and continues at `next_cursor`. The
/// bridge serves two lists at a time; a further request waits up to 2 s, and then gets 503.
#[utoipa::path(get, path = "/api/v1/jobs", tag = tag::JOBS, operation_id = "listJobs", params(Params<JobsQuery>),
    responses((status = 200, description = "A page of jobs.", body = PageView),
        QueryErrors, HiddenText, ListErrors))]
pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Params(JobsQuery { mut list, q }): Params<JobsQuery>,
) -> Answer {
    if let Some(q) = q {
        let parsed = shared.account_names.parse(&q, &shared.store, shared.clock.now()).await;
        list.filter = list.filter.and_all(match parsed {
            Ok(filter) if searches_bodies(&filter) && visitor.bodies.revealed() != Bodies::Full => {
                return Err(refusal::hidden_text());
            }
            Ok(filter) => filter,
            Err(BadFilter::Text(error)) => {
                return Err(refusal::of_parameter(BadParameter::value("q", &q, error)));
            }
            Err(BadFilter::Store(error)) => return Err(refusal::of_store(&error)),
        });
    }
    let page = within(STORE_TIMEOUT, shared.store.jobs().list(&list)).await?;
    Ok(Json(PageView::from(page)).into_response())
}

/// Shows one job
///
/// With its bodies, its attempts and notes, and what it waits for.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = tag::JOBS, operation_id = "getJob", params(JobPath),
    responses((status = 200, description = "The job.", body = JobWithAttempts), NoJob, StoreErrors))]
pub(super) async fn one(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    id: Id,
) -> Answer {
    show(&shared, &visitor, job_id(&shared, id).await?).await
}

/// The body of `POST /api/v1/jobs/{id}/retry`; without one, the defaults apply.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetryRequest)]
pub(super) struct RetryOne {
    /// Send what the handler returned, or the fallback, instead of what was sent last.
    #[schema(value_type = Option<schema::Outcome>)]
    pub(super) send: Option<OutcomeName>,
    /// Whether to send it although a newer job has the same `return_url`.
    #[serde(default)]
    pub(super) force: bool,
}

const RETRY_ONE: &str =
    r#"Send {"send":"handler"} or {"send":"fallback"}, {"force":true}, both, or no body."#;
const RETRY_MANY: &str = r#"Send {"state":"dead"}; add "handler" to retry only that handler's jobs, and "force":true to include superseded jobs."#;

/// Delivers a job again
///
/// A dead or gone job is delivered again, a waiting one now.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = tag::JOBS, operation_id = "retryJob", params(JobPath),
    request_body = Option<RetryOne>,
    responses((status = 200, description = "The job.", body = JobWithAttempts), BodyErrors, NoRetry, StoreErrors))]
pub(super) async fn retry(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    Extension(visitor): Extension<Visitor>,
    id: Id,
    request: Request,
) -> Answer {
    let id = job_id(&shared, id).await?;
    let body = read(&shared, request).await?;
    let asked = object_or_default(&body, RETRY_ONE)?;
    retry_one(&shared, by, id, asked).await?;
    show(&shared, &visitor, id).await
}

/// Delivers a job again.
pub(super) async fn retry_one(
    shared: &Shared,
    by: Actor,
    id: JobId,
    RetryOne { send, force }: RetryOne,
) -> Result<(), ProblemDetails> {
    let send = match send {
        None => Resend::Last,
        Some(OutcomeName::Handler) => Resend::Handler,
        Some(OutcomeName::Fallback) => {
            let (job, _attempts) = within(STORE_TIMEOUT, shared.store.jobs().get(id))
                .await?
                .ok_or_else(|| refusal::no_job(id))?;
            Resend::Fallback((shared.fallback)(&job.summary().handler))
        }
    };
    let store = shared.store.clone();
    run_to_end(STORE_TIMEOUT, async move {
        store.operator(by).retry_with(id, RetryOptions { send, force }).await?;
        tracing::info!(job.id = %id, force, "job retried by operator");
        Ok(())
    })
    .await
}

/// Cancels a job
///
/// Its bot gets no continue.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = tag::JOBS, operation_id = "cancelJob", params(JobPath),
    responses((status = 200, description = "The job.", body = JobWithAttempts), NoCancel, StoreErrors))]
pub(super) async fn cancel(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    Extension(visitor): Extension<Visitor>,
    id: Id,
) -> Answer {
    let id = job_id(&shared, id).await?;
    cancel_one(&shared, by, id).await?;
    show(&shared, &visitor, id).await
}

/// Cancels a job.
pub(super) async fn cancel_one(shared: &Shared, by: Actor, id: JobId) -> Result<(), ProblemDetails> {
    let (store, job_log) = (shared.store.clone(), shared.job_log.clone());
    run_to_end(STORE_TIMEOUT, async move {
        store.operator(by).cancel(id).await?;
        // In the same task, so that the job is logged even if the caller has hung up.
        if let Some((job, _)) = store.jobs().get(id).await? {
            job_log.finished(Finished::from(&job.summary()));
        }
        Ok(())
    })
    .await
}

const COMPLETE: &str = r#"Send what its handler would answer, like {"data":{"reply":"…"}}."#;

/// Answers a job in place of its handler
///
/// If the job has no completion yet.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/complete", tag = tag::JOBS, operation_id = "completeJob", params(JobPath),
    request_body = schema::Answer,
    responses((status = 200, description = "The job.", body = JobWithAttempts), BodyErrors, NoCompletion, StoreErrors))]
pub(super) async fn complete(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    Extension(visitor): Extension<Visitor>,
    id: Id,
    request: Request,
) -> Answer {
    let id = job_id(&shared, id).await?;
    let body = read(&shared, request).await?;
    let value = serde_json::from_slice(&body).map_err(|why| refusal::of_body(why, COMPLETE))?;
    let completion = completion_json::checked(&value).map_err(|why| refusal::of_body(why, COMPLETE))?;
    complete_one(&shared, by, id, completion).await?;
    show(&shared, &visitor, id).await
}

/// Answers a job in place of its handler.
pub(super) async fn complete_one(
    shared: &Shared,
    by: Actor,
    id: JobId,
    completion: CheckedCompletion,
) -> Result<(), ProblemDetails> {
    let store = shared.store.clone();
    run_to_end(STORE_TIMEOUT, async move {
        store.operator(by).complete(id, completion).await?;
        tracing::info!(job.id = %id, "job completed by operator");
        Ok(())
    })
    .await
}

/// The body of `POST /api/v1/jobs/retry`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetryDeadRequest)]
struct RetryMany {
    /// The state of the jobs.
    #[schema(value_type = schema::Dead)]
    state: String,
    /// Only jobs of this handler.
    #[schema(value_type = Option<schema::HandlerName>)]
    handler: Option<HandlerName>,
    /// Whether to retry superseded jobs too.
    #[serde(default)]
    force: bool,
}

/// Delivers all dead jobs again
///
/// Of all handlers or of one. The retry runs to its end even if the caller hangs up.
#[utoipa::path(post, path = "/api/v1/jobs/retry", tag = tag::BULK, operation_id = "retryDeadJobs", request_body = RetryMany,
    responses((status = 200, description = "How many jobs are delivered again.", body = RetriedView), BodyErrors, StoreErrors))]
pub(super) async fn retry_many(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    request: Request,
) -> Answer {
    let body = read(&shared, request).await?;
    let RetryMany { state, handler, force } = object(&body, RETRY_MANY)?;
    if state != StateName::Dead.as_str() {
        let why =
            format!("`state` is `{}`, but only dead jobs can be retried in bulk", refusal::short(&state));
        return Err(refusal::of_body(why, RETRY_MANY));
    }
    let store = shared.store.clone();
    let done = run_to_end(BULK_TIMEOUT, async move {
        let done = store.operator(by).retry_dead(handler, force).await?;
        let RetriedDead { retried, superseded } = done;
        tracing::info!(jobs = retried, superseded, force, "dead jobs retried by operator");
        Ok(done)
    })
    .await?;
    Ok(Json(RetriedView::from(done)).into_response())
}

/// The numbers of the jobs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stats)]
struct StatsView<'a> {
    /// The number of jobs in each state.
    #[schema(value_type = BTreeMap<schema::JobState, u64>)]
    jobs: BTreeMap<StateName, u64>,
    /// How long the oldest job has waited for a worker; null if none waits. Jobs that wait for their turn do not count.
    oldest_queued_seconds: Option<f64>,
    /// The queued jobs that wait until an earlier job of their conversation is answered.
    waiting_for_turn: u64,
    /// The accounts that wait for an operator.
    accounts_waiting: Vec<Waiting>,
    /// The last five unknown paths of the public listener that were called with POST since the start.
    unknown_paths: Vec<Misdirected>,
    /// The requests that were refused since the start, by outcome, the most frequent first.
    refused: Vec<Refused>,
    /// The jobs that were received in the last hour.
    last_hour: OutcomesView<'a>,
}

/// Returns statistics
///
/// The jobs in each state, and the outcomes of the last hour.
#[utoipa::path(get, path = "/api/v1/stats", tag = tag::STATE, operation_id = "getStats",
    responses((status = 200, description = "The statistics.", body = StatsView), StoreErrors))]
pub(super) async fn stats(State(shared): State<Shared>) -> Answer {
    let stats = within(STORE_TIMEOUT, shared.store.jobs().stats()).await?;
    let now = shared.clock.now();
    let lately = within(STORE_TIMEOUT, shared.store.jobs().recent_outcomes(now - LAST_HOUR)).await?;
    let view = StatsView {
        jobs: stats.jobs,
        oldest_queued_seconds: stats.oldest_queued.map(|oldest| now.since(oldest).as_secs_f64()),
        waiting_for_turn: stats.waiting_for_turn,
        accounts_waiting: shared.health.waiting(),
        unknown_paths: shared.health.misdirected_calls(),
        refused: shared.health.refused_requests(),
        last_hour: OutcomesView::from(&lately),
    };
    Ok(Json(view).into_response())
}

async fn found(shared: &Shared, id: JobId) -> Result<(JobRecord, Vec<Attempt>), ProblemDetails> {
    within(STORE_TIMEOUT, shared.store.jobs().get(id)).await?.ok_or_else(|| refusal::no_job(id))
}

async fn show(shared: &Shared, visitor: &Visitor, id: JobId) -> Answer {
    let (job, attempts) = found(shared, id).await?;
    let notes = within(STORE_TIMEOUT, shared.store.callbacks().notes(id)).await?;
    let waits_for = match &job {
        JobRecord::Whole(job_with_state) if !job_with_state.state.name().is_finished() => {
            explain::explanation(shared, &job, &attempts).await?.0.waits_for()
        }
        _ => None,
    };
    let view = JobWithAttempts::new(&job, &attempts, &notes, waits_for);
    let bodies = visitor.bodies.revealed();
    if bodies == Bodies::Full {
        return Ok(Json(view).into_response());
    }
    let value = serde_json::to_value(view).map_err(|_| refusal::hidden_text())?;
    Ok(Json(masked::job(value, bodies)).into_response())
}
