//! Drops the bodies of old jobs: the walk along the index of finished jobs, and the statements.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::StoreError;
use crate::budget::Limits;
use crate::maintenance::bodies::{
    self, Droppable, FinishedJobs, MAX_FOUND, Position, StoredBytes, WINDOW_JOBS, Walked,
};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::notes;
use crate::sqlite::read::named::Named;
use crate::sqlite::write::account_bytes::{self, body_bytes};
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;

pub(crate) const WINDOW_END: &str = "SELECT finished_service_at, finished_at, id FROM jobs \
     WHERE finished_service_at >= :from_service AND (finished_service_at, finished_at, id) > (:from_service, :from_finished, :from_id) \
     ORDER BY finished_service_at, finished_at, id LIMIT 1 OFFSET 0 + :jobs";

/// `:accounts` is a JSON list of accounts; NULL for all.
pub(crate) const DROPPABLE: &str = concat!(
    "SELECT finished_service_at, finished_at, id, account_id, ",
    body_bytes!(),
    " FROM jobs WHERE finished_service_at >= :from_service AND (finished_service_at, finished_at, id) > (:from_service, :from_finished, :from_id) \
     AND finished_service_at <= :until_service AND (finished_service_at, finished_at, id) <= (:until_service, :until_finished, :until_id) \
     AND state IN ('delivered', 'cancelled') AND data IS NOT NULL \
     AND (:accounts IS NULL OR account_id IN (SELECT value FROM json_each(:accounts))) \
     ORDER BY finished_service_at, finished_at, id LIMIT 0 + :limit"
);

impl FinishedJobs for Engine {
    fn limits(&self) -> Limits {
        self.budgets.limits()
    }

    async fn stored(&self) -> Result<StoredBytes, StoreError> {
        let totals = account_bytes::totals(&self.reading).await?;
        Ok(StoredBytes { stored: totals.stored, accounts: totals.accounts })
    }

    async fn above(&self, limit: u64) -> Result<Vec<(i64, u64)>, StoreError> {
        account_bytes::above(&self.reading, limit).await
    }

    async fn window_end(&self, from: Position) -> Result<Option<Position>, StoreError> {
        let end = Named::new(WINDOW_END)
            .value("from_service", from.service_at)
            .value("from_finished", from.finished_at)
            .value("from_id", from.id)
            .value("jobs", WINDOW_JOBS)
            .query()?
            .fetch_optional(&self.reading)
            .await?;
        end.as_ref().map(position).transpose()
    }

    async fn droppable(
        &self,
        from: Position,
        until: Position,
        accounts: Option<Vec<i64>>,
    ) -> Result<Vec<Droppable>, StoreError> {
        let accounts = accounts.map(|accounts| serde_json::Value::from(accounts).to_string());
        let rows = Named::new(DROPPABLE)
            .value("from_service", from.service_at)
            .value("from_finished", from.finished_at)
            .value("from_id", from.id)
            .value("until_service", until.service_at)
            .value("until_finished", until.finished_at)
            .value("until_id", until.id)
            .value("accounts", accounts)
            .value("limit", MAX_FOUND)
            .query()?
            .fetch_all(&self.reading)
            .await?;
        let droppable = |row| {
            Ok(Droppable { position: position(row)?, account: row.try_get(3)?, bytes: row.try_get(4)? })
        };
        rows.iter().map(droppable).collect()
    }

    async fn drop_chunk(&self, jobs: Vec<Droppable>) -> Result<u64, StoreError> {
        self.execute(DropBodies { jobs }).await
    }
}

fn position(row: &SqliteRow) -> Result<Position, StoreError> {
    Ok(Position { service_at: row.try_get(0)?, finished_at: row.try_get(1)?, id: row.try_get(2)? })
}

impl Engine {
    /// Drops bodies of jobs that finished before `before`. Returns whether there may be more.
    pub(crate) async fn drop_aged(&self, walked: &mut Walked, before: Cutoff) -> Result<bool, StoreError> {
        bodies::drop_aged(self, walked, before).await
    }

    /// Drops bodies of accounts that have more bytes than `budget.stored` or the disk allows. Returns whether it has
    /// dropped all that it can.
    pub(crate) async fn drop_beyond_budget(&self, walked: &mut Walked) -> Result<bool, StoreError> {
        bodies::drop_beyond_budget(self, walked).await
    }
}

pub(crate) const DROP_BODIES: &str = "UPDATE jobs SET data = NULL, earlier_data = NULL, completion = NULL, handler_completion = NULL \
     WHERE id = :id AND state IN ('delivered', 'cancelled') AND data IS NOT NULL";

/// Drops the bodies of these jobs, and their notes. Answers with the number of jobs that had bodies.
struct DropBodies {
    jobs: Vec<Droppable>,
}

impl Command for DropBodies {
    type Answer = u64;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let mut statement = transaction.prepare_cached(DROP_BODIES)?;
        let mut notes = transaction.prepare_cached(notes::DROP)?;
        let mut dropped = 0;
        for job in &self.jobs {
            bind!(statement, DROP_BODIES, { "id" => job.position.id });
            if statement.raw_execute()? == 1 {
                // A delivered or cancelled job does not change, so its bytes are still those that the scan found.
                transaction.post_commit.bytes.dropped(job.account, job.bytes);
                notes.execute([job.position.id])?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}
