//! `/api/v1/jobs…` and `/api/v1/stats`: shows, retries and cancels jobs.

use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;

use crate::handler::completion_json;
use crate::job_log::Finished;
use crate::problem::ProblemDetails;
use model::{Attempt, HandlerName, JobId, JobRecord, OutcomeName, StateName};
use store::{Actor, Resend, RetriedDead, RetryOptions};

use super::call::{Answer, BULK_TIMEOUT, Id, STORE_TIMEOUT, job_id, read, run_to_end, within};
use super::filter::BadFilter;
use super::job_json::{JobWithAttempts, PageView};
use super::jobs_query::JobsQuery;
use super::outcomes_json::OutcomesView;
use super::{Shared, explain, jobs_query, refusal};

/// The period of `last_hour` in the stats.
const LAST_HOUR: Duration = Duration::from_secs(3_600);

/// `GET /api/v1/jobs`
pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let JobsQuery { mut list, q } = jobs_query::parse(query.as_deref().unwrap_or_default())
        .map_err(|error| refusal::of_parameter(&error))?;
    if let Some(q) = q {
        let parsed = shared.account_names.parse(&q, &shared.store, shared.clock.now()).await;
        list.filter = list.filter.and_all(match parsed {
            Ok(filter) => filter,
            Err(BadFilter::Text(error)) => {
                return Err(refusal::of_parameter(jobs_query::refused("q", &q, error)));
            }
            Err(BadFilter::Store(error)) => return Err(refusal::of_store(&error)),
        });
    }
    let page = within(STORE_TIMEOUT, shared.store.jobs().list(&list)).await?;
    Ok(Json(PageView::from(page)).into_response())
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn one(State(shared): State<Shared>, id: Id) -> Answer {
    show(&shared, job_id(&shared, id).await?).await
}

/// The body of `POST /api/v1/jobs/{id}/retry`; without one, the defaults apply.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryOne {
    send: Option<OutcomeName>,
    #[serde(default)]
    force: bool,
}

const RETRY_ONE: &str =
    r#"Send {"send":"handler"} or {"send":"fallback"}, {"force":true}, both, or no body."#;
const RETRY_MANY: &str = r#"Send {"state":"dead"}; add "handler" to retry only that handler's jobs, and "force":true to include superseded jobs."#;

/// `POST /api/v1/jobs/{id}/retry`
pub(super) async fn retry(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Id,
    request: Request,
) -> Answer {
    let id = job_id(&shared, id).await?;
    let body = read(&shared, request).await?;
    let asked = if body.is_empty() { Ok(None) } else { serde_json::from_slice::<Option<RetryOne>>(&body) };
    let RetryOne { send, force } = asked.map_err(|why| refusal::of_body(why, RETRY_ONE))?.unwrap_or_default();
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
    .await?;
    show(&shared, id).await
}

/// `POST /api/v1/jobs/{id}/cancel`
pub(super) async fn cancel(State(shared): State<Shared>, Extension(by): Extension<Actor>, id: Id) -> Answer {
    let id = job_id(&shared, id).await?;
    let (store, job_log) = (shared.store.clone(), shared.job_log.clone());
    run_to_end(STORE_TIMEOUT, async move {
        store.operator(by).cancel(id).await?;
        // In the same task, so that the job is logged even if the caller has hung up.
        if let Some((job, _)) = store.jobs().get(id).await? {
            job_log.finished(Finished::from(&job.summary()));
        }
        Ok(())
    })
    .await?;
    show(&shared, id).await
}

const COMPLETE: &str = r#"Send what its handler would answer, like {"data":{"reply":"…"}}."#;

/// `POST /api/v1/jobs/{id}/complete`
pub(super) async fn complete(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    id: Id,
    request: Request,
) -> Answer {
    let id = job_id(&shared, id).await?;
    let body = read(&shared, request).await?;
    let value = serde_json::from_slice(&body).map_err(|why| refusal::of_body(why, COMPLETE))?;
    let completion = completion_json::checked(&value).map_err(|why| refusal::of_body(why, COMPLETE))?;
    let store = shared.store.clone();
    run_to_end(STORE_TIMEOUT, async move {
        store.operator(by).complete(id, completion).await?;
        tracing::info!(job.id = %id, "job completed by operator");
        Ok(())
    })
    .await?;
    show(&shared, id).await
}

/// The body of `POST /api/v1/jobs/retry`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryMany {
    state: String,
    handler: Option<HandlerName>,
    #[serde(default)]
    force: bool,
}

/// `POST /api/v1/jobs/retry`
pub(super) async fn retry_many(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    request: Request,
) -> Answer {
    let body = read(&shared, request).await?;
    let asked = serde_json::from_slice(&body).map_err(|why| refusal::of_body(why, RETRY_MANY));
    let RetryMany { state, handler, force } = asked?;
    if state != StateName::Dead.as_str() {
        let why =
            format!("`state` is `{}`, but only dead jobs can be retried in bulk", refusal::short(&state));
        return Err(refusal::of_body(why, RETRY_MANY));
    }
    let store = shared.store.clone();
    let RetriedDead { retried, superseded } = run_to_end(BULK_TIMEOUT, async move {
        let done = store.operator(by).retry_dead(handler, force).await?;
        let RetriedDead { retried, superseded } = done;
        tracing::info!(jobs = retried, superseded, force, "dead jobs retried by operator");
        Ok(done)
    })
    .await?;
    Ok(Json(json!({ "retried": retried, "superseded": superseded })).into_response())
}

/// `GET /api/v1/stats`
pub(super) async fn stats(State(shared): State<Shared>) -> Answer {
    let stats = within(STORE_TIMEOUT, shared.store.jobs().stats()).await?;
    let now = shared.clock.now();
    let lately = within(STORE_TIMEOUT, shared.store.jobs().recent_outcomes(now - LAST_HOUR)).await?;
    let age = stats.oldest_queued.map(|oldest| now.since(oldest).as_secs_f64());
    Ok(Json(json!({
        "jobs": stats.jobs,
        "oldest_queued_seconds": age,
        "waiting_for_turn": stats.waiting_for_turn,
        "accounts_waiting": shared.health.waiting(),
        "unknown_paths": shared.health.misdirected_calls(),
        "last_hour": OutcomesView::from(&lately),
    }))
    .into_response())
}

async fn found(shared: &Shared, id: JobId) -> Result<(JobRecord, Vec<Attempt>), ProblemDetails> {
    within(STORE_TIMEOUT, shared.store.jobs().get(id)).await?.ok_or_else(|| refusal::no_job(id))
}

async fn show(shared: &Shared, id: JobId) -> Answer {
    let (job, attempts) = found(shared, id).await?;
    let notes = within(STORE_TIMEOUT, shared.store.callbacks().notes(id)).await?;
    let waits_for = match &job {
        JobRecord::Whole(job_with_state) if !job_with_state.state.name().is_finished() => {
            explain::explanation(shared, &job, &attempts).await?.0.waits_for()
        }
        _ => None,
    };
    Ok(Json(JobWithAttempts::new(&job, &attempts, &notes, waits_for)).into_response())
}
