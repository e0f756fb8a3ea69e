//! Converts rows to the model. A row that this program cannot have written is an error that names the table, column and
//! id. It never affects other rows.

use std::error::Error;
use std::time::Duration;

use uuid::Uuid;

use model::{
    AccountId, CheckedCompletion, DeliveringJob, Delivery, Entity, EntityKind, Fence, HandlerName,
    HandlerRun, Job, JobId, JobRecord, JobSummary, Outcome, PreparedCompletion, QueueWait, ReturnUrl,
    RunningJob, State, StateName, Timestamp, UnknownFallbackReason, WidgetRequest,
};

use crate::jobs::row::Columns;
use crate::{Cause, StoreError};

/// The columns that [`summary`] reads. SQLite reads no body for them.
pub(crate) const SUMMARY: &str = "id, state, handler, account_id, return_url, entity_type, entity_id, received_at, due_at, \
     handler_attempts, delivery_attempts, outcome, fallback_reason, last_error, error_group, finished_at, joined_into, data IS NULL AS bodies_dropped";

/// Reads a job, whole or without bodies. It needs the columns of [`job`] and of [`summary`].
pub(crate) fn record(row: &dyn Columns) -> Result<JobRecord, StoreError> {
    if JobRow::new(row)?.flag("bodies_dropped")? {
        summary(row).map(JobRecord::WithoutBodies)
    } else {
        job(row).map(JobRecord::Whole)
    }
}

/// Reads a job without its bodies.
pub(crate) fn summary(row: &dyn Columns) -> Result<JobSummary, StoreError> {
    let row = JobRow::new(row)?;
    Ok(JobSummary {
        id: row.id,
        state: row.state_name()?,
        handler: row.handler()?,
        account_id: AccountId(row.integer("account_id")?),
        entity: row.entity()?,
        return_url: row.return_url()?,
        outcome: row.outcome()?,
        received_at: row.time("received_at")?,
        due_at: row.optional_time("due_at")?,
        finished_at: row.optional_time("finished_at")?,
        handler_attempts: row.number("handler_attempts")?,
        delivery_attempts: row.number("delivery_attempts")?,
        last_error: row.optional_text("last_error")?.map(str::to_owned),
        error_group: row.optional_integer("error_group")?,
        joined_into: row.optional_id("joined_into")?,
        bodies_dropped: row.flag("bodies_dropped")?,
    })
}

/// Reads a whole job.
pub(crate) fn job(row: &dyn Columns) -> Result<Job, StoreError> {
    let row = JobRow::new(row)?;
    Ok(Job {
        id: row.id,
        handler: row.handler()?,
        request: row.request()?,
        received_at: row.time("received_at")?,
        answer_by: row.time("answer_by")?,
        handler_attempts: row.number("handler_attempts")?,
        delivery_attempts: row.number("delivery_attempts")?,
        last_error: row.optional_text("last_error")?.map(str::to_owned),
        handler_completion: row.completion("handler_completion")?,
        error_group: row.optional_integer("error_group")?,
        joined_into: row.optional_id("joined_into")?,
        state: row.state()?,
    })
}

/// Reads the job for a worker.
pub(crate) fn running(row: &dyn Columns) -> Result<RunningJob, StoreError> {
    let row = JobRow::new(row)?;
    Ok(RunningJob {
        id: row.id,
        fence: Fence(row.integer("fence")?),
        handler: row.handler()?,
        request: row.request()?.into(),
        received_at: row.time("received_at")?,
        waiting_since: row.time("waiting_since")?,
        answer_by: row.time("answer_by")?,
        attempts: row.number("handler_attempts")?,
        crashes: row.number("crashes")?,
        last_error: row.optional_text("last_error")?.map(str::to_owned),
        is_ordered: row.optional_integer("turn")?.is_some(),
    })
}

/// Returns whether the job waits for further messages of its conversation.
pub(crate) fn gathers(row: &dyn Columns) -> Result<bool, StoreError> {
    Ok(JobRow::new(row)?.optional_integer("coalesce_ms")?.is_some())
}

/// Reads the job for the sender.
pub(crate) fn delivering(row: &dyn Columns) -> Result<DeliveringJob, StoreError> {
    let row = JobRow::new(row)?;
    Ok(DeliveringJob {
        id: row.id,
        fence: Fence(row.integer("fence")?),
        handler: row.handler()?,
        account_id: AccountId(row.integer("account_id")?),
        entity: row.entity()?,
        return_url: row.return_url()?,
        received_at: row.time("received_at")?,
        waiting_since: row.time("waiting_since")?,
        handler_attempts: row.number("handler_attempts")?,
        prepared: row.needed("completion", row.prepared()?)?,
        attempts: row.number("delivery_attempts")?,
        delivery: Delivery {
            failures: row.number("failures")?,
            failing_since: row.optional_time("failing_since")?,
            answer_lost: row.flag("answer_lost")?,
            refused_at: row.optional_time("refused_at")?,
        },
        tried: row.flag("tried")?,
        superseded_by: row.optional_id("superseded_by")?,
        due_at: row.time("due_at")?,
        last_run: row.last_run()?,
    })
}

/// Returns what was read, or logs why it cannot be read.
pub(crate) fn unless_damaged<T>(read: Result<T, StoreError>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(%error, "a job cannot be read and is left unchanged")).ok()
}

/// A stored duration. The schema refuses negative ones.
pub(crate) fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

struct JobRow<'r> {
    row: &'r dyn Columns,
    id: JobId,
}

impl<'r> JobRow<'r> {
    fn new(row: &'r dyn Columns) -> Result<Self, StoreError> {
        let id = row.id("id").and_then(|id| id.ok_or_else(|| "NULL".into()));
        let id = id.map_err(|error| StoreError::Corrupt {
            table: "jobs",
            column: "id",
            id: "?".into(),
            why: Cause::of(error),
        })?;
        Ok(Self { row, id: JobId::from_uuid(id) })
    }

    fn corrupt(&self, column: &'static str, why: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::Corrupt { table: "jobs", column, id: self.id.to_string(), why: Cause::of(why) }
    }

    fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.row.integer(column).map_err(|error| self.corrupt(column, error))
    }

    fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.needed(column, self.optional_integer(column)?)
    }

    fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.integer(column)? != 0)
    }

    fn optional_text(&self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        self.row.text(column).map_err(|error| self.corrupt(column, error))
    }

    fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.needed(column, self.optional_text(column)?)
    }

    fn optional_id(&self, column: &'static str) -> Result<Option<JobId>, StoreError> {
        let id: Option<Uuid> = self.row.id(column).map_err(|error| self.corrupt(column, error))?;
        Ok(id.map(JobId::from_uuid))
    }

    fn needed<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(column, "NULL is not allowed in this state"))
    }

    fn number(&self, column: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.integer(column)?).map_err(|error| self.corrupt(column, error))
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.integer(column).map(Timestamp::from_millis)
    }

    fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_integer(column)?.map(Timestamp::from_millis))
    }

    fn handler(&self) -> Result<HandlerName, StoreError> {
        self.text("handler")?.parse().map_err(|error| self.corrupt("handler", error))
    }

    fn return_url(&self) -> Result<ReturnUrl, StoreError> {
        self.text("return_url")?.parse().map_err(|error| self.corrupt("return_url", error))
    }

    fn entity(&self) -> Result<Option<Entity>, StoreError> {
        let kind = self.optional_integer("entity_type")?;
        let id = self.optional_integer("entity_id")?;
        Ok(kind.zip(id).map(|(kind, id)| Entity { kind: EntityKind::from_code(kind), id }))
    }

    fn outcome(&self) -> Result<Option<Outcome>, StoreError> {
        match self.optional_text("outcome")? {
            None => Ok(None),
            Some("handler") => Ok(Some(Outcome::Handler)),
            Some("fallback") => {
                let reason = self.text("fallback_reason")?;
                let reason = reason
                    .parse()
                    .map_err(|error: UnknownFallbackReason| self.corrupt("fallback_reason", error))?;
                Ok(Some(Outcome::Fallback(reason)))
            }
            Some(_) => Err(self.corrupt("outcome", "unknown outcome (expected one of: handler, fallback)")),
        }
    }

    fn state_name(&self) -> Result<StateName, StoreError> {
        self.text("state")?.parse().map_err(|error| self.corrupt("state", error))
    }

    fn request(&self) -> Result<WidgetRequest, StoreError> {
        let data = serde_json::from_str(self.text("data")?).map_err(|error| self.corrupt("data", error))?;
        let earlier = self.optional_text("earlier_data")?.map(serde_json::from_str).transpose();
        let earlier: Option<Vec<_>> = earlier.map_err(|error| self.corrupt("earlier_data", error))?;
        Ok(WidgetRequest {
            earlier: earlier.unwrap_or_default(),
            account_id: AccountId(self.integer("account_id")?),
            entity: self.entity()?,
            return_url: self.return_url()?,
            data,
        })
    }

    fn completion(&self, column: &'static str) -> Result<Option<CheckedCompletion>, StoreError> {
        let Some(json) = self.optional_text(column)? else { return Ok(None) };
        CheckedCompletion::from_json(json).map(Some).map_err(|error| self.corrupt(column, error))
    }

    fn prepared(&self) -> Result<Option<PreparedCompletion>, StoreError> {
        let Some(completion) = self.completion("completion")? else { return Ok(None) };
        let outcome = self.needed("outcome", self.outcome()?)?;
        Ok(Some(PreparedCompletion { completion, outcome }))
    }

    /// The attempt of the handler that is in the job's row.
    fn last_run(&self) -> Result<Option<HandlerRun>, StoreError> {
        let (started_at, ms) = (self.optional_time("handled_at")?, self.optional_integer("handled_ms")?);
        let run = |(started_at, ms)| HandlerRun { started_at, duration: duration(ms) };
        Ok(started_at.zip(ms).map(run))
    }

    fn queue_wait(&self) -> Result<QueueWait, StoreError> {
        let (due_at, coalesce) = (self.optional_time("due_at")?, self.optional_integer("coalesce_ms")?);
        Ok(match (due_at, coalesce) {
            (None, _) => QueueWait::Turn,
            (Some(due_at), None) => QueueWait::Until(due_at),
            (Some(due_at), Some(_)) => QueueWait::Messages(due_at),
        })
    }

    fn state(&self) -> Result<State, StoreError> {
        let name = self.state_name()?;
        let due_at = || self.needed("due_at", self.optional_time("due_at")?);
        let finished_at = || self.needed("finished_at", self.optional_time("finished_at")?);
        let prepared = || self.needed("completion", self.prepared()?);
        let lease_until = self.optional_time("lease_until")?;
        Ok(match name {
            StateName::Queued => State::Queued(self.queue_wait()?),
            StateName::Running => State::Running { lease_until: self.needed("lease_until", lease_until)? },
            StateName::AwaitingCallback => State::AwaitingCallback,
            StateName::Delivering => {
                State::Delivering { prepared: prepared()?, due_at: due_at()?, lease_until }
            }
            StateName::Delivered => State::Delivered { prepared: prepared()?, finished_at: finished_at()? },
            StateName::Gone => State::Gone { prepared: prepared()?, finished_at: finished_at()? },
            StateName::Dead => State::Dead { prepared: prepared()?, finished_at: finished_at()? },
            StateName::Cancelled => {
                State::Cancelled { prepared: self.prepared()?, finished_at: finished_at()? }
            }
        })
    }
}
