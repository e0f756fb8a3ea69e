//! Reads the jobs around a job, to explain its state. Every statement reads a bounded part of an index.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use model::{JobId, Line};

use crate::postgres::engine::Engine;
use crate::postgres::jobs::snapshot::snapshot;
use crate::{StoreError, Surroundings};

/// The maximum number of jobs of a line to count.
const MAX_COUNTED: i64 = 100;
/// The maximum number of unfinished jobs to read for the number of deliveries that wait.
const MAX_READ: i64 = 100_000;

pub(crate) const JOB: &str = "SELECT superseded_by, tried, error_group, turn, handler, account_id, entity_type, entity_id, \
     origin FROM jobs WHERE id = $1";
/// Selects the jobs before a job in the line of its conversation.
pub(crate) const AHEAD: &str = "SELECT id FROM jobs WHERE handler = $1 AND account_id = $2 AND entity_type = $3 \
     AND entity_id = $4 AND turn IS NOT NULL AND turn < $5 ORDER BY turn LIMIT $6";
/// Counts the deliveries of an account that wait, up to a limit, among a limited number of unfinished jobs.
pub(crate) const WAITING: &str = "SELECT count(*) FROM (SELECT 1 FROM ( \
     SELECT state, lease_until, origin FROM jobs WHERE ended IS NULL LIMIT $2) AS unfinished \
     WHERE state = 'delivering' AND lease_until IS NULL AND origin = $1 LIMIT 1000) AS waiting";

impl Engine {
    /// Returns the jobs around the job `id`; `None` if there is no such job.
    pub(crate) async fn surroundings(&self, id: JobId) -> Result<Option<Surroundings>, StoreError> {
        let mut snapshot = snapshot(&self.reading).await?;
        let Some(row) = sqlx::query(JOB).bind(id.as_uuid()).fetch_optional(&mut *snapshot).await? else {
            return Ok(None);
        };
        let origin: &str = row.try_get("origin")?;
        let waiting = sqlx::query_scalar(WAITING).bind(origin).bind(MAX_READ);
        let waiting: i64 = waiting.fetch_one(&mut *snapshot).await?;
        let superseded_by: Option<Uuid> = row.try_get("superseded_by")?;
        Ok(Some(Surroundings {
            line: line(&mut snapshot, &row).await?,
            superseded_by: superseded_by.map(JobId::from_uuid),
            was_sent: row.try_get("tried")?,
            waiting: waiting.unsigned_abs(),
            error_group: row.try_get("error_group")?,
        }))
    }
}

async fn line(snapshot: &mut PgConnection, row: &PgRow) -> Result<Option<Line>, StoreError> {
    let Some(turn) = row.try_get::<Option<i64>, _>("turn")? else { return Ok(None) };
    let rows = sqlx::query(AHEAD)
        .bind(row.try_get::<&str, _>("handler")?)
        .bind(row.try_get::<i64, _>("account_id")?)
        .bind(row.try_get::<Option<i64>, _>("entity_type")?)
        .bind(row.try_get::<Option<i64>, _>("entity_id")?)
        .bind(turn)
        .bind(MAX_COUNTED + 1)
        .fetch_all(snapshot)
        .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (found, most) = (rows.len() as u64, MAX_COUNTED.unsigned_abs());
    Ok(Some(Line {
        first: JobId::from_uuid(first.try_get(0)?),
        jobs: found.min(most),
        is_more: found > most,
    }))
}
