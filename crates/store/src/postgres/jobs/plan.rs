//! Tells the schedule what the row of a job says.

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use model::{JobId, StateName, Timestamp, UnknownState};

use crate::postgres::schedule::{Chosen, Planned, Waits, rank};
use crate::postgres::write::transaction::Transaction;
use crate::{Cause, StoreError};

/// Expands to the SQL that names what [`read`] reads.
macro_rules! planned {
    () => {
        "jobs.id, jobs.state, jobs.handler, jobs.origin, jobs.due_at, jobs.answer_by, jobs.waiting_since, jobs.lease_until, \
         jobs.fence, jobs.failures, jobs.refused_at"
    };
}
pub(crate) use planned;

pub(crate) const FIND: &str =
    concat!("SELECT ", planned!(), " FROM unnest($1::uuid[]) AS asked (id) JOIN jobs ON jobs.id = asked.id");

/// Reads what a job waits for; `None` if it is finished.
pub(crate) fn read(row: &PgRow) -> Result<(JobId, Option<Planned>), StoreError> {
    let id = JobId::from_uuid(row.try_get("id")?);
    let time = |column| row.try_get(column).map(Timestamp::from_millis);
    let optional = |column| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
    };
    let needed = |column: &'static str| {
        optional(column)?.ok_or_else(|| corrupt(id, column, "NULL is not allowed in this state"))
    };
    let handler = || row.try_get::<&str, _>("handler").map(Into::into);
    let state: &str = row.try_get("state")?;
    let state: StateName = state.parse().map_err(|error: UnknownState| corrupt(id, "state", error))?;
    let waits = match state {
        StateName::Queued => {
            Waits::Queued { handler: handler()?, due_at: optional("due_at")?, answer_by: time("answer_by")? }
        }
        StateName::Running => Waits::Running {
            handler: handler()?,
            lease_until: needed("lease_until")?,
            answer_by: time("answer_by")?,
        },
        StateName::AwaitingCallback => Waits::Awaiting { handler: handler()?, answer_by: time("answer_by")? },
        StateName::Delivering => Waits::Delivering {
            origin: row.try_get::<&str, _>("origin")?.into(),
            rank: rank(row.try_get::<i64, _>("failures")? > 0, optional("refused_at")?.is_some()),
            due_at: needed("due_at")?,
            waiting_since: time("waiting_since")?,
            lease_until: optional("lease_until")?,
        },
        StateName::Delivered | StateName::Gone | StateName::Dead | StateName::Cancelled => {
            return Ok((id, None));
        }
    };
    Ok((id, Some(Planned { fence: row.try_get("fence")?, waits })))
}

fn corrupt(
    id: JobId,
    column: &'static str,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Corrupt { table: "jobs", column, id: id.to_string(), why: Cause::of(why) }
}

/// Records what the job of a row that names [`planned!`] waits for.
pub(crate) fn record(transaction: &mut Transaction, row: &PgRow) -> Result<(), StoreError> {
    let (id, planned) = read(row)?;
    transaction.plan(id, planned);
    Ok(())
}

/// Records what each of these jobs waits for, as their rows say.
pub(crate) async fn reload(transaction: &mut Transaction, ids: Vec<JobId>) -> Result<(), StoreError> {
    let keys: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = transaction.read(sqlx::query(FIND).bind(keys)).await?;
    ids.into_iter().for_each(|id| transaction.plan(id, None));
    rows.iter().try_for_each(|row| record(transaction, row))
}

/// Records what the changed rows say, and reads the jobs that were chosen but not changed: another process has changed them.
pub(crate) async fn record_claimed(
    transaction: &mut Transaction,
    chosen: &[Chosen],
    rows: &[PgRow],
) -> Result<(), StoreError> {
    rows.iter().try_for_each(|row| record(transaction, row))?;
    if rows.len() < chosen.len() {
        let mut missed: std::collections::BTreeSet<JobId> = chosen.iter().map(|(id, _)| *id).collect();
        for row in rows {
            missed.remove(&JobId::from_uuid(row.try_get("id")?));
        }
        reload(transaction, missed.into_iter().collect()).await?;
    }
    Ok(())
}
