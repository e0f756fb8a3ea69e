//! Locks the rows of jobs until the end of the transaction, and reads what changes by operators and callbacks depend on.
//!
//! What such a change decides still holds when it writes, whatever another process does.

use std::error::Error;
use std::str::FromStr;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use model::{HandlerName, JobId, OutcomeName, StateName, Timestamp};

use crate::jobs::turns::Conversation;
use crate::postgres::write::transaction::Transaction;
use crate::retry::Found;
use crate::{Cause, StoreError};

/// Locks in the order of the ids, so that two processes do not wait for each other. With EXISTS, PostgreSQL would first read
/// all bodies of this kind into a table of hashes.
pub(crate) const LOCK: &str = "SELECT jobs.id AS id, state, handler, account_id, entity_type, entity_id, origin, \
     waiting_since, answer_by, fence, handler_attempts, body_bytes, outcome, tried, superseded_by, bodies_dropped, \
     turn IS NOT NULL AS is_in_line, lease_until IS NOT NULL AS is_leased, \
     (SELECT id FROM job_bodies WHERE job_bodies.id = jobs.id AND kind = 3) IS NOT NULL AS has_handler_completion \
     FROM unnest($1::uuid[]) AS asked (id) JOIN jobs ON jobs.id = asked.id ORDER BY jobs.id FOR NO KEY UPDATE OF jobs";

/// A job whose row is locked.
pub(crate) struct LockedJob {
    pub(crate) id: JobId,
    pub(crate) handler: HandlerName,
    pub(crate) account_id: i64,
    pub(crate) origin: String,
    pub(crate) waiting_since: Timestamp,
    pub(crate) answer_by: Timestamp,
    pub(crate) fence: i64,
    /// The charged attempts of its handler.
    pub(crate) attempts: u32,
    /// The bytes of its bodies.
    pub(crate) bytes: i64,
    pub(crate) outcome: Option<OutcomeName>,
    /// The conversation in whose line it is.
    pub(crate) line: Option<Conversation>,
    /// Its state, and what else decides whether it may be retried.
    pub(crate) found: Found,
}

impl LockedJob {
    fn read(row: &PgRow) -> Result<Self, StoreError> {
        let id = JobId::from_uuid(row.try_get("id")?);
        let handler: HandlerName = parsed(id, "handler", row.try_get("handler")?)?;
        let outcome: Option<&str> = row.try_get("outcome")?;
        let outcome: Option<OutcomeName> = outcome.map(|name| parsed(id, "outcome", name)).transpose()?;
        let (account_id, attempts): (i64, i64) =
            (row.try_get("account_id")?, row.try_get("handler_attempts")?);
        let line = entity(row)?.map(|(entity_type, entity_id)| Conversation {
            handler: handler.to_string(),
            account_id,
            entity_type,
            entity_id,
        });
        let superseded_by: Option<Uuid> = row.try_get("superseded_by")?;
        let found = Found {
            state: parsed(id, "state", row.try_get("state")?)?,
            is_leased: row.try_get("is_leased")?,
            tried: row.try_get("tried")?,
            superseded_by: superseded_by.map(JobId::from_uuid),
            is_fallback: outcome == Some(OutcomeName::Fallback),
            has_handler_completion: row.try_get("has_handler_completion")?,
            has_bodies: !row.try_get::<bool, _>("bodies_dropped")?,
        };
        Ok(Self {
            id,
            handler,
            account_id,
            origin: row.try_get("origin")?,
            waiting_since: Timestamp::from_millis(row.try_get("waiting_since")?),
            answer_by: Timestamp::from_millis(row.try_get("answer_by")?),
            fence: row.try_get("fence")?,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            bytes: row.try_get("body_bytes")?,
            outcome,
            line,
            found,
        })
    }

    pub(crate) const fn state(&self) -> StateName {
        self.found.state
    }
}

/// Returns the type and the number of the entity of a job in a line.
fn entity(row: &PgRow) -> Result<Option<(i64, i64)>, StoreError> {
    let (kind, number): (Option<i64>, Option<i64>) = (row.try_get("entity_type")?, row.try_get("entity_id")?);
    let is_in_line: bool = row.try_get("is_in_line")?;
    Ok(kind.zip(number).filter(|_| is_in_line))
}

fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(
    id: JobId,
    column: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt {
        table: "jobs",
        column,
        id: id.to_string(),
        why: Cause::of(error),
    })
}

/// Locks the jobs that exist. Returns them in the order of their ids.
pub(crate) async fn lock(
    transaction: &mut Transaction,
    ids: impl IntoIterator<Item = JobId>,
) -> Result<Vec<LockedJob>, StoreError> {
    let mut ids: Vec<Uuid> = ids.into_iter().map(JobId::as_uuid).collect();
    ids.sort_unstable();
    let rows = transaction.read(sqlx::query(LOCK).bind(ids)).await?;
    rows.iter().map(LockedJob::read).collect()
}

/// Locks one job; `None` if the job does not exist.
pub(crate) async fn lock_one(
    transaction: &mut Transaction,
    id: JobId,
) -> Result<Option<LockedJob>, StoreError> {
    Ok(lock(transaction, [id]).await?.pop())
}

/// Returns the ids of some jobs, to bind.
pub(crate) fn ids(jobs: &[LockedJob]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.id.as_uuid()).collect()
}
