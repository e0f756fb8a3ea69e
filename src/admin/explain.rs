//! `/api/v1/jobs/{id}/explain`: why a job is in its state.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::ProblemDetails;
use crate::schema;
use model::{
    Attempt, Because, ExplainContext, Explanation, HandlerName, JobId, JobRecord, JobSummary, NextStep,
    StateName, Suggestion, explain,
};
use store::Surroundings;

use super::call::{Answer, Id, STORE_TIMEOUT, job_id, within};
use super::document::tag;
use super::paths::JobPath;
use super::responses::{NoJob, StoreErrors};
use super::{Shared, refusal};

/// The explanation of a job's state, as the API and `jobs explain --json` show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationView {
    /// The job.
    #[schema(value_type = schema::JobId)]
    id: JobId,
    /// Its state.
    #[schema(value_type = schema::JobState)]
    state: StateName,
    /// Its handler.
    #[schema(value_type = schema::HandlerName)]
    handler: HandlerName,
    /// The state and the first reason, in one sentence.
    summary: String,
    /// The reasons, the most important one first.
    #[schema(value_type = Vec<schema::Because>)]
    because: Vec<Because>,
    /// What happens next; null if nothing does.
    #[schema(value_type = Option<schema::NextStep>)]
    next: Option<NextStep>,
    /// What an operator can do.
    #[schema(value_type = Vec<schema::Suggestion>)]
    you_can: Vec<Suggestion>,
    /// The group of its last error; null if there is none.
    error_group: Option<i64>,
    /// What the explanation leaves out, because only the running bridge knows it.
    #[schema(value_type = Vec<String>)]
    unknown: Vec<&'static str>,
}

impl ExplanationView {
    /// Creates the view of the explanation of `job`.
    pub fn new(
        job: &JobSummary,
        explanation: Explanation,
        around: &Surroundings,
        unknown: Vec<&'static str>,
    ) -> Self {
        let Explanation { summary, because, next, you_can, .. } = explanation;
        Self {
            id: job.id,
            state: job.state,
            handler: job.handler.clone(),
            summary,
            because,
            next,
            you_can,
            error_group: around.error_group,
            unknown,
        }
    }
}

/// Explains why a job is in its state
///
/// And what happens next, and what an operator can do.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/explain", tag = tag::JOBS, operation_id = "explainJob", params(JobPath),
    responses((status = 200, description = "The explanation.", body = ExplanationView), NoJob, StoreErrors))]
pub(super) async fn one(State(shared): State<Shared>, id: Id) -> Answer {
    let id = job_id(&shared, id).await?;
    let found = within(STORE_TIMEOUT, shared.store.jobs().get(id)).await?;
    let (job, attempts) = found.ok_or_else(|| refusal::no_job(id))?;
    let (explanation, around) = explanation(&shared, &job, &attempts).await?;
    Ok(Json(ExplanationView::new(&job.summary(), explanation, &around, Vec::new())).into_response())
}

/// Explains the state of `job`.
pub(super) async fn explanation(
    shared: &Shared,
    job: &JobRecord,
    attempts: &[Attempt],
) -> Result<(Explanation, Surroundings), ProblemDetails> {
    let summary = job.summary();
    let around = within(STORE_TIMEOUT, shared.store.jobs().surroundings(summary.id)).await?;
    let around = around.unwrap_or_default();
    let origin = summary.return_url.origin();
    let waits = within(STORE_TIMEOUT, shared.store.accounts().waits_at(origin)).await?;
    let max_awaiting = shared.live.max_awaiting(&summary.handler);
    let awaiting = shared.store.callbacks().awaiting(summary.handler.as_str());
    let context = ExplainContext {
        now: shared.clock.now(),
        is_served: Some(true),
        has_handler: shared.handlers.contains(&summary.handler),
        account: waits.account.as_ref(),
        all_accounts: waits.all_accounts.as_ref(),
        load: shared.live.load(&summary.handler),
        awaiting: max_awaiting.map(|max| (awaiting, max)),
        pause: shared.live.pause(origin),
        pace: shared.live.pace(origin),
        line: around.line,
        waiting: Some(around.waiting),
        superseded_by: around.superseded_by,
        was_sent: around.was_sent,
    };
    Ok((explain(job, attempts, &context), around))
}

#[cfg(test)]
mod tests {
    use model::ExplainCode;

    #[test]
    fn every_reason_is_documented() {
        let page = include_str!("../../docs/operations.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let first_cells: Vec<&str> = rows.collect();
        for code in ExplainCode::all() {
            let name = format!("`{code}`");
            assert!(first_cells.iter().any(|cell| cell.split(", ").any(|known| known == name)), "{name}");
        }
    }
}
