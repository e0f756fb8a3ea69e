//! Drops the bodies of old jobs: the walk along the index of finished jobs, and the statements.

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::StoreError;
use crate::budget::{Limits, signed};
use crate::maintenance::bodies::{self, Droppable, FinishedJobs, Position, StoredBytes, Walked};
use crate::postgres::engine::Engine;
use crate::postgres::maintenance::ids;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::Cutoff;

/// Selects the last job of a window. The offset is [`WINDOW_JOBS`](bodies::WINDOW_JOBS): PostgreSQL plans for the number only
/// if it is in the statement.
pub(crate) const WINDOW_END: &str = "SELECT finished_service_at, finished_at, id FROM jobs \
     WHERE finished_service_at >= $1 AND (finished_service_at, finished_at, id) > ($1, $2, $3) \
     ORDER BY finished_service_at, finished_at, id LIMIT 1 OFFSET 2000";

/// The limit is [`MAX_FOUND`](bodies::MAX_FOUND). `$7` contains the accounts; NULL for all.
pub(crate) const DROPPABLE: &str = "SELECT finished_service_at, finished_at, id, account_id, body_bytes FROM jobs \
     WHERE finished_service_at >= $1 AND (finished_service_at, finished_at, id) > ($1, $2, $3) \
     AND finished_service_at <= $4 AND (finished_service_at, finished_at, id) <= ($4, $5, $6) \
     AND state IN ('delivered', 'cancelled') AND NOT bodies_dropped \
     AND ($7::bigint[] IS NULL OR account_id = ANY($7)) \
     ORDER BY finished_service_at, finished_at, id LIMIT 500";

pub(crate) const STORED: &str =
    "SELECT coalesce(sum(stored), 0)::bigint, count(*) FROM account_bytes WHERE stored > 0";
pub(crate) const ABOVE: &str = "SELECT account_id, stored FROM account_bytes WHERE stored > $1";

impl FinishedJobs for Engine {
    fn limits(&self) -> Limits {
        self.budgets.limits()
    }

    async fn stored(&self) -> Result<StoredBytes, StoreError> {
        let row = sqlx::query(STORED).fetch_one(&self.reading).await?;
        Ok(StoredBytes { stored: unsigned(row.try_get(0)?), accounts: unsigned(row.try_get(1)?) })
    }

    async fn above(&self, limit: u64) -> Result<Vec<(i64, u64)>, StoreError> {
        let rows = sqlx::query(ABOVE).bind(signed(limit)).fetch_all(&self.reading).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)))).collect()
    }

    async fn window_end(&self, from: Position) -> Result<Option<Position>, StoreError> {
        let end = sqlx::query(WINDOW_END).bind(from.service_at).bind(from.finished_at).bind(from.id);
        end.fetch_optional(&self.walking).await?.as_ref().map(position).transpose()
    }

    async fn droppable(
        &self,
        from: Position,
        until: Position,
        accounts: Option<Vec<i64>>,
    ) -> Result<Vec<Droppable>, StoreError> {
        let droppable = sqlx::query(DROPPABLE)
            .bind(from.service_at)
            .bind(from.finished_at)
            .bind(from.id)
            .bind(until.service_at)
            .bind(until.finished_at)
            .bind(until.id)
            .bind(accounts);
        let rows = droppable.fetch_all(&self.walking).await?;
        let droppable = |row| {
            Ok(Droppable { position: position(row)?, account: row.try_get(3)?, bytes: row.try_get(4)? })
        };
        rows.iter().map(droppable).collect()
    }

    async fn drop_chunk(&self, jobs: Vec<Droppable>) -> Result<u64, StoreError> {
        self.execute(DropBodies::new(jobs)).await
    }
}

/// Reads the first three columns.
pub(super) fn position(row: &PgRow) -> Result<Position, StoreError> {
    Ok(Position { service_at: row.try_get(0)?, finished_at: row.try_get(1)?, id: row.try_get(2)? })
}

fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

impl Engine {
    /// Drops bodies of jobs that finished before `before`. Returns whether there may be more.
    pub(crate) async fn drop_aged(&self, walked: &mut Walked, before: Cutoff) -> Result<bool, StoreError> {
        bodies::drop_aged(self, walked, before).await
    }

    /// Drops bodies of accounts that have more bytes than `budget.stored` allows. Returns whether it has dropped all that
    /// it can.
    pub(crate) async fn drop_beyond_budget(&self, walked: &mut Walked) -> Result<bool, StoreError> {
        bodies::drop_beyond_budget(self, walked).await
    }
}

/// Marks jobs as jobs without bodies. `$4` contains their bytes: the new row no longer has them.
pub(crate) const MARK_DROPPED: &str = "UPDATE jobs SET bodies_dropped = true, body_bytes = 0 \
     FROM unnest($1::uuid[], $4::bigint[]) AS r (id, bytes) \
     WHERE jobs.id = ANY($1) AND jobs.id BETWEEN $2 AND $3 AND jobs.id = r.id \
     AND jobs.state IN ('delivered', 'cancelled') AND NOT jobs.bodies_dropped \
     RETURNING jobs.id, jobs.account_id, r.bytes";
pub(crate) const DELETE_BODIES: &str = "DELETE FROM job_bodies WHERE id = ANY($1) AND id BETWEEN $2 AND $3";
/// Notes may quote what the bodies contain.
pub(crate) const DELETE_NOTES: &str = "DELETE FROM notes WHERE job_id = ANY($1) AND job_id BETWEEN $2 AND $3";

/// Drops the bodies of these jobs, and their notes. Answers with the number of jobs that had bodies.
struct DropBodies {
    ids: Vec<Uuid>,
    bytes: Vec<i64>,
}

impl DropBodies {
    fn new(mut jobs: Vec<Droppable>) -> Self {
        jobs.sort_unstable_by_key(|job| job.position.id);
        Self {
            ids: jobs.iter().map(|job| job.position.id).collect(),
            bytes: jobs.iter().map(|job| job.bytes).collect(),
        }
    }
}

impl Command for DropBodies {
    type Answer = u64;

    async fn apply(&self, transaction: &mut Transaction) -> Result<u64, StoreError> {
        let mark = ids::of(MARK_DROPPED, &self.ids).bind(&self.bytes);
        let rows = transaction.change(mark).await?;
        let mut dropped: Vec<Uuid> = Vec::with_capacity(rows.len());
        for row in &rows {
            dropped.push(row.try_get(0)?);
            // A delivered or cancelled job does not change, so its bytes are still those that the scan found.
            transaction.post_commit.bytes.dropped(row.try_get(1)?, row.try_get(2)?);
        }
        if !dropped.is_empty() {
            dropped.sort_unstable();
            transaction.execute(ids::of(DELETE_BODIES, &dropped)).await?;
            transaction.execute(ids::of(DELETE_NOTES, &dropped)).await?;
        }
        Ok(dropped.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintenance::bodies::{MAX_FOUND, WINDOW_JOBS};

    #[test]
    fn the_statements_contain_the_limits() {
        assert!(WINDOW_END.ends_with(&format!(" OFFSET {WINDOW_JOBS}")));
        assert!(DROPPABLE.ends_with(&format!(" LIMIT {MAX_FOUND}")));
    }
}
