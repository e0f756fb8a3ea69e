//! The completions of jobs outside the normal path: from callbacks and operators. The table of jobs only has the sum of the
//! bytes, which the caller updates.

use model::JobId;

use crate::StoreError;
use crate::postgres::write::transaction::Transaction;

pub(crate) const ADD: &str = "INSERT INTO job_bodies (id, kind, body) VALUES ($1, 2, $2) \
     ON CONFLICT (id, kind) DO UPDATE SET body = excluded.body";
pub(crate) const KEEP: &str = "UPDATE job_bodies SET kind = 3 WHERE id = $1 AND kind = 2";
pub(crate) const DROP: &str = "DELETE FROM job_bodies WHERE id = $1 AND kind = 2";
pub(crate) const RESTORE: &str = "UPDATE job_bodies SET kind = 2 WHERE id = $1 AND kind = 3";

/// Stores the completion of a job. It replaces the present one.
pub(crate) async fn set(transaction: &mut Transaction, id: JobId, json: &str) -> Result<(), StoreError> {
    transaction.execute(sqlx::query(ADD).bind(id.as_uuid()).bind(json)).await?;
    Ok(())
}

/// Replaces the completion of a job with a fallback. `keeps`: the present one is its handler's, and stays beside the
/// fallback.
pub(crate) async fn replace(
    transaction: &mut Transaction,
    id: JobId,
    keeps: bool,
    fallback: &str,
) -> Result<(), StoreError> {
    if keeps {
        transaction.execute(sqlx::query(KEEP).bind(id.as_uuid())).await?;
    }
    set(transaction, id, fallback).await
}

/// Replaces a fallback with the completion of the handler, which was beside it.
pub(crate) async fn restore(transaction: &mut Transaction, id: JobId) -> Result<(), StoreError> {
    transaction.execute(sqlx::query(DROP).bind(id.as_uuid())).await?;
    transaction.execute(sqlx::query(RESTORE).bind(id.as_uuid())).await?;
    Ok(())
}
