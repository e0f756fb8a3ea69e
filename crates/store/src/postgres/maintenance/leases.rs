//! Frees claims with an expired lease.

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::{StateName, Timestamp};

use crate::StoreError;
use crate::jobs::turns::Conversation;
use crate::postgres::jobs::plan::{self, planned};
use crate::postgres::jobs::turns;
use crate::postgres::jobs::work_claims::count;
use crate::postgres::schedule::Chosen;
use crate::postgres::write::command::Command;
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;

pub(crate) const FREE_RUNNING: &str = concat!(
    "UPDATE jobs SET state = 'queued', due_at = CASE WHEN turn IS NULL THEN $3 END, lease_until = NULL, \
     fence = jobs.fence + 1, crashes = crashes + 1, \
     last_error = 'the process ended, or lost its lease, while the handler ran' \
     FROM unnest($1::uuid[], $2::bigint[]) AS chosen (id, fence) \
     WHERE jobs.id = chosen.id AND jobs.fence = chosen.fence \
     RETURNING account_id, entity_type, entity_id, turn IS NOT NULL AS in_line, ",
    planned!()
);
pub(crate) const FREE_DELIVERING: &str = concat!(
    "UPDATE jobs SET due_at = $3, lease_until = NULL, fence = jobs.fence + 1, answer_lost = true, tried = true \
     FROM unnest($1::uuid[], $2::bigint[]) AS chosen (id, fence) \
     WHERE jobs.id = chosen.id AND jobs.fence = chosen.fence RETURNING ",
    planned!()
);

/// The number of claims that one statement frees.
const MAX_TOGETHER: usize = 1_000;

/// Frees claims with an expired lease, or at start all claims, because their owner is dead. Answers with their number.
///
/// No attempt is charged, but a running job counts a crash. A delivery that was under way may have arrived.
pub(crate) struct FreeLeases {
    /// Frees the leases that end at this moment or earlier; `None` frees all.
    pub(crate) until: Option<Timestamp>,
    /// When the jobs are due again.
    pub(crate) now: Timestamp,
}

impl Command for FreeLeases {
    type Answer = u64;

    async fn apply(&self, transaction: &mut Transaction) -> Result<u64, StoreError> {
        let Some(schedule) = transaction.schedule() else { return Ok(0) };
        let expired = schedule.expired(self.until);
        let mut freed = 0;
        for chosen in expired.running.chunks(MAX_TOGETHER) {
            let rows = self.free(transaction, FREE_RUNNING, chosen).await?;
            freed += rows.len();
            self.queue(transaction, &rows).await?;
        }
        for chosen in expired.delivering.chunks(MAX_TOGETHER) {
            let rows = self.free(transaction, FREE_DELIVERING, chosen).await?;
            freed += rows.len();
            for row in &rows {
                transaction.post_commit.undelivered(row.try_get("origin")?, self.now);
            }
        }
        Ok(freed as u64)
    }
}

impl FreeLeases {
    async fn free(
        &self,
        transaction: &mut Transaction,
        sql: &'static str,
        chosen: &[Chosen],
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut chosen = chosen.to_vec();
        chosen.sort_unstable();
        let free = sqlx::query(sql)
            .bind(column(&chosen, |(id, _)| id.as_uuid()))
            .bind(column(&chosen, |(_, fence)| *fence))
            .bind(self.now.as_millis());
        let rows = transaction.change(free).await?;
        plan::record_claimed(transaction, &chosen, &rows).await?;
        Ok(rows)
    }

    /// Records the freed jobs for the lanes of workers, and gives the turns of their conversations.
    async fn queue(&self, transaction: &mut Transaction, rows: &[PgRow]) -> Result<(), StoreError> {
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(StateName::Running, StateName::Queued, count(rows.len()));
        let mut lines: Vec<Conversation> = Vec::new();
        for row in rows {
            let answer_by = Timestamp::from_millis(row.try_get("answer_by")?);
            if row.try_get("in_line")? {
                post_commit.answer_by(answer_by);
                lines.push(turns::read(row)?);
            } else {
                post_commit.queued(row.try_get("handler")?, self.now, answer_by);
            }
        }
        for conversation in &lines {
            turns::give(transaction, conversation).await?;
        }
        Ok(())
    }
}
