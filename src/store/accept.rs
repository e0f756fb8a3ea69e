//! Storing what comes in.
//!
//! A request is new if its idempotency key is: keys go in first, and only those that went in get a job.
//! A job for which a worker is free goes in as `running`, so that it is not claimed by another statement.

use std::collections::HashSet;
use std::time::Instant;

use sqlx::{Row, SqliteConnection};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::model::{Fence, JobId, NewJob, RunningJob, StateName, Timestamp};

use super::StoreError;
use super::effects::Effects;
use super::lanes::{Lanes, Slot};
use super::statement::RowsStatement;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that the request belongs to.
    pub id: JobId,
    /// The request had come in before; `id` is the first one's.
    pub duplicate: bool,
}

/// A request on its way into the store.
pub(super) struct Accept {
    pub(super) job: NewJob,
    /// Past it nobody waits for the answer, so the request is dropped unless its transaction has begun.
    pub(super) drop_after: Instant,
    pub(super) reply: oneshot::Sender<Result<Accepted, StoreError>>,
}

/// What the transaction did with one request.
pub(super) enum Stored {
    /// It is a job now; with a slot it is claimed already.
    New(Option<Slot<RunningJob>>),
    /// It was known.
    Duplicate(JobId),
}

const KEYS: RowsStatement = RowsStatement {
    before: "INSERT INTO idempotency_keys (account_id, key, job_id, expires_at) SELECT * FROM (VALUES ",
    width: 4,
    after: ") WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING RETURNING job_id",
};

const JOBS: RowsStatement = RowsStatement {
    before: "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, entity_type, entity_id, data, \
             received_at, answer_by, due_at, lease_until, fence) SELECT * FROM (VALUES ",
    width: 14,
    after: ") WHERE column1 IS NOT NULL",
};

pub(super) const KNOWN: &str = "SELECT job_id FROM idempotency_keys WHERE account_id = ? AND key = ?";

/// Stores all of `accepts`; the results are in the same order.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    effects: &mut Effects,
    accepts: &[Accept],
    lanes: &Lanes<RunningJob>,
    now: Timestamp,
    steady: Timestamp,
) -> Result<Vec<Stored>, StoreError> {
    let inserted = KEYS
        .run(connection, accepts, |Accept { job, .. }, row| {
            row.push(job.request.account_id.0)
                .push(job.idempotency_key.as_str())
                .push(job.id.as_uuid())
                .push(job.token_expires_at.as_millis());
        })
        .await?;
    let mut new = HashSet::with_capacity(inserted.len());
    for row in &inserted {
        new.insert(JobId::from_uuid(row.try_get::<Uuid, _>(0)?));
    }

    let mut offers = lanes.offers(now);
    let mut results = Vec::with_capacity(accepts.len());
    for Accept { job, .. } in accepts {
        results.push(if new.contains(&job.id) {
            Stored::New(offers.next(job.handler.as_str()))
        } else {
            Stored::Duplicate(known(connection, job).await?)
        });
    }

    let rows: Vec<(&NewJob, Option<Timestamp>)> = accepts
        .iter()
        .zip(&results)
        .filter_map(|(accept, stored)| match stored {
            Stored::New(slot) => Some((&accept.job, slot.as_ref().map(|slot| steady + slot.lease))),
            Stored::Duplicate(_) => None,
        })
        .collect();
    insert(connection, &rows, now).await?;
    for (job, lease) in rows {
        if lease.is_some() {
            effects.count(StateName::Running, 1);
        } else {
            effects.count(StateName::Queued, 1);
            effects.queued(job.handler.as_str(), now, job.answer_by);
        }
    }
    Ok(results)
}

async fn insert(
    connection: &mut SqliteConnection,
    rows: &[(&NewJob, Option<Timestamp>)],
    now: Timestamp,
) -> Result<(), StoreError> {
    JOBS.run(connection, rows, |(job, lease), row| {
        let state = if lease.is_some() { StateName::Running } else { StateName::Queued };
        let due_at = if lease.is_some() { None } else { Some(now.as_millis()) };
        row.push(job.id.as_uuid())
            .push(state.as_str())
            .push(job.handler.as_str())
            .push(job.request.account_id.0)
            .push(job.request.return_url.origin())
            .push(job.request.return_url.as_str())
            .push(job.request.entity.map(|entity| entity.kind.code()))
            .push(job.request.entity.map(|entity| entity.id))
            .push(job.request.data.to_string())
            .push(job.received_at.as_millis())
            .push(job.answer_by.as_millis())
            .push(due_at)
            .push(lease.map(Timestamp::as_millis))
            .push(i64::from(lease.is_some()));
    })
    .await?;
    Ok(())
}

async fn known(connection: &mut SqliteConnection, job: &NewJob) -> Result<JobId, StoreError> {
    let id: Uuid = sqlx::query_scalar(KNOWN)
        .bind(job.request.account_id.0)
        .bind(job.idempotency_key.as_str())
        .fetch_one(connection)
        .await?;
    Ok(JobId::from_uuid(id))
}

/// The job as the worker gets it that was free when it came in.
pub(super) fn running(job: NewJob) -> RunningJob {
    RunningJob {
        id: job.id,
        fence: Fence(1),
        handler: job.handler,
        request: job.request.into(),
        received_at: job.received_at,
        answer_by: job.answer_by,
        attempts: 0,
        crashes: 0,
        last_error: None,
    }
}
