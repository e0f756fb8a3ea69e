//! Stores charged attempts that do not go into the rows of their jobs.

use model::{Attempt, JobId};

use crate::StoreError;
use crate::jobs::reports::duration_ms;
use crate::postgres::write::rows::column;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;

pub(crate) const INSERT: &str = "INSERT INTO other_attempts (job_id, stage, number, started_at, duration_ms, result, \
     status, error) SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], \
     $7::bigint[], $8::text[])";

/// Inserts attempts.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    mut attempts: Vec<(JobId, &Attempt)>,
) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    attempts.sort_unstable_by_key(|(id, attempt)| (*id, attempt.stage.as_str(), attempt.number));
    let insert = sqlx::query(INSERT)
        .bind(column(&attempts, |(id, _)| id.as_uuid()))
        .bind(column(&attempts, |(_, attempt)| attempt.stage.as_str()))
        .bind(column(&attempts, |(_, attempt)| i64::from(attempt.number)))
        .bind(column(&attempts, |(_, attempt)| attempt.started_at.as_millis()))
        .bind(column(&attempts, |(_, attempt)| duration_ms(attempt)))
        .bind(column(&attempts, |(_, attempt)| attempt.result.as_str()))
        .bind(column(&attempts, |(_, attempt)| attempt.status.map(i64::from)))
        .bind(column(&attempts, |(_, attempt)| attempt.error.as_deref().map(storable)));
    transaction.execute(insert).await?;
    Ok(())
}
