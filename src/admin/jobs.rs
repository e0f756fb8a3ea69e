//! `/api/v1/jobs…` and `/api/v1/stats`: shows, retries and cancels jobs.

use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::handler::completion_json;
use crate::job_log::Finished;
use crate::problem::ProblemDetails;
use model::{
    Attempt, HandlerName, JobId, JobRecord, OutcomeName, StateName, WaitContext, WaitsFor, waits_for,
};
use store::{Resend, RetriedDead, RetryOptions, StoreError};

use super::job_json::{JobWithAttempts, PageView};
use super::outcomes_json::OutcomesView;
use super::{Shared, jobs_query, refusal};

/// How long a caller waits for one change. The store may still make the change later.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for many changes.
const BULK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a body may take to arrive. Nothing else ends the connection of a slow sender, and connections are limited.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The period of `last_hour` in the stats.
const LAST_HOUR: Duration = Duration::from_secs(3_600);

type Answer = Result<Response, ProblemDetails>;

/// The id in the path, which may not be valid UTF-8.
type Id = Result<Path<String>, PathRejection>;

/// `GET /api/v1/jobs`
pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let filter = jobs_query::parse(query.as_deref().unwrap_or_default())
        .map_err(|error| refusal::of_parameter(&error))?;
    let page = within(STORE_TIMEOUT, shared.store.jobs().list(&filter)).await?;
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
pub(super) async fn retry(State(shared): State<Shared>, id: Id, request: Request) -> Answer {
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
        store.jobs().retry_with(id, RetryOptions { send, force }).await?;
        tracing::info!(job.id = %id, force, "job retried by operator");
        Ok(())
    })
    .await?;
    show(&shared, id).await
}

/// `POST /api/v1/jobs/{id}/cancel`
pub(super) async fn cancel(State(shared): State<Shared>, id: Id) -> Answer {
    let id = job_id(&shared, id).await?;
    let (store, job_log) = (shared.store.clone(), shared.job_log.clone());
    run_to_end(STORE_TIMEOUT, async move {
        store.jobs().cancel(id).await?;
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
pub(super) async fn complete(State(shared): State<Shared>, id: Id, request: Request) -> Answer {
    let id = job_id(&shared, id).await?;
    let body = read(&shared, request).await?;
    let value = serde_json::from_slice(&body).map_err(|why| refusal::of_body(why, COMPLETE))?;
    let completion = completion_json::checked(&value).map_err(|why| refusal::of_body(why, COMPLETE))?;
    let store = shared.store.clone();
    run_to_end(STORE_TIMEOUT, async move {
        store.callbacks().complete_by_operator(id, completion).await?;
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
pub(super) async fn retry_many(State(shared): State<Shared>, request: Request) -> Answer {
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
        let done = store.jobs().retry_dead(handler, force).await?;
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
    let waits_for = reason_to_wait(shared, &job).await?;
    Ok(Json(JobWithAttempts::new(&job, &attempts, &notes, waits_for)).into_response())
}

async fn reason_to_wait(shared: &Shared, job: &JobRecord) -> Result<Option<WaitsFor>, ProblemDetails> {
    let JobRecord::Whole(job) = job else { return Ok(None) };
    let waits =
        within(STORE_TIMEOUT, shared.store.accounts().waits_at(job.request.return_url.origin())).await?;
    let context = WaitContext {
        now: shared.clock.now(),
        is_served: Some(true),
        has_handler: shared.handlers.contains(&job.handler),
        account: waits.account.as_ref(),
        all_accounts: waits.all_accounts.as_ref(),
    };
    Ok(waits_for(job, &context))
}

async fn read(shared: &Shared, request: Request) -> Result<Bytes, ProblemDetails> {
    let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, shared)).await;
    body.map_err(|_| refusal::too_slow())?.map_err(refusal::of_transfer)
}

/// Finds the job that the path names by its id or a unique prefix of the id. Any other text matches no job.
async fn job_id(shared: &Shared, id: Id) -> Result<JobId, ProblemDetails> {
    let text = id.map_or_else(|_| char::REPLACEMENT_CHARACTER.to_string(), |Path(text)| text);
    let prefix = text.parse().map_err(|_| refusal::no_job(text))?;
    within(STORE_TIMEOUT, shared.store.jobs().find(prefix)).await
}

/// Runs `work` to its end, even if the caller hangs up or `timeout` passes, because a bulk change must not stop
/// halfway.
async fn run_to_end<T: Send + 'static>(
    timeout: Duration,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, ProblemDetails> {
    let running = tokio::spawn(work);
    // The task fails only if the process is stopping.
    within(timeout, async { running.await.unwrap_or(Err(StoreError::Closed)) }).await
}

async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ProblemDetails> {
    let done = tokio::time::timeout(timeout, work).await.unwrap_or(Err(StoreError::Timeout));
    done.map_err(|error| {
        if !error.is_of_the_asker() {
            tracing::error!(%error, "admin API call failed in the store");
        }
        refusal::of_store(&error)
    })
}
