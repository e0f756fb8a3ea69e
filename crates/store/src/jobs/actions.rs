//! The log of actions, for any engine: what a row contains.

use model::JobId;

use super::row::Columns;
use super::table_row::TableRow;
use crate::{Action, ActionKind, ActionPage, ActionResult, ActionSource, Actor, StoreError};

/// The maximum number of actions in the log. Older ones are deleted, except for those that continue.
pub(crate) const MAX_ACTIONS: i64 = 10_000;
/// The maximum number of characters of a target.
const MAX_TARGET: usize = 1_000;

/// An action to record.
#[derive(Clone, Debug)]
pub(crate) struct NewAction {
    pub(crate) by: Actor,
    pub(crate) kind: ActionKind,
    pub(crate) job_id: Option<JobId>,
    pub(crate) target: Option<String>,
    /// The number of changed or restored jobs.
    pub(crate) jobs: u64,
    pub(crate) result: ActionResult,
}

impl NewAction {
    /// Creates an action that is done and concerns no job.
    pub(crate) fn on(by: &Actor, kind: ActionKind, target: impl Into<String>) -> Self {
        let target = Some(target.into()).filter(|target| !target.is_empty());
        Self { by: by.clone(), kind, job_id: None, target, jobs: 0, result: ActionResult::Done }
    }

    /// Creates an action that has changed one job.
    pub(crate) fn on_job(by: &Actor, kind: ActionKind, id: JobId) -> Self {
        Self { by: by.clone(), kind, job_id: Some(id), target: None, jobs: 1, result: ActionResult::Done }
    }

    /// The beginning of the target, as far as the log keeps it.
    pub(crate) fn short_target(&self) -> Option<String> {
        self.target.as_ref().map(|text| text.chars().take(MAX_TARGET).collect())
    }
}

/// A number of jobs, or of an action, as the store has it.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a page of at most `limit` actions. The query has read one more, if there is one.
pub(crate) fn page<'r>(
    rows: impl ExactSizeIterator<Item = &'r dyn Columns>,
    limit: u32,
) -> Result<ActionPage, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    let actions: Vec<Action> = rows.take(limit).map(action).collect::<Result<_, _>>()?;
    let next = actions.last().filter(|_| has_more).map(|last| last.id);
    Ok(ActionPage { actions, next })
}

fn action(row: &dyn Columns) -> Result<Action, StoreError> {
    let row = TableRow::new("actions", row)?;
    Ok(Action {
        id: row.id.unsigned_abs(),
        at: row.time("at")?,
        by: actor(&row)?,
        what: row.text("what")?.to_owned(),
        job_id: row.optional_job_id("job_id")?,
        target: row.optional_text("target")?.map(str::to_owned),
        jobs: row.number("jobs")?,
        result: row.named("result", ActionResult::from_name)?,
    })
}

/// Reads `source` and `who`.
pub(crate) fn actor(row: &TableRow<'_>) -> Result<Actor, StoreError> {
    Ok(Actor::new(row.named("source", ActionSource::from_name)?, row.text("who")?))
}
