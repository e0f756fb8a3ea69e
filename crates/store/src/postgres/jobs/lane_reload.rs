//! Fills the schedule and the lanes: from the store at start, and later from what other processes have changed.
//!
//! This runs inside the writer's transaction, so the result is never older than the lanes in memory.

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::JobId;
use model::maps::HashMap;

use super::outside_turns;
use super::plan::{self, planned};
use crate::StoreError;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;

/// Selects the next unfinished jobs along their index, which is ordered by a hash of `return_url`. Jobs with the same hash
/// come together, so that the next page begins after them.
pub(crate) const PAGE: &str = concat!(
    "SELECT hashtextextended(jobs.return_url, 0) AS hash, ",
    planned!(),
    " FROM jobs WHERE jobs.ended IS NULL AND hashtextextended(jobs.return_url, 0) >= $1 \
     ORDER BY hashtextextended(jobs.return_url, 0) FETCH FIRST $2 ROWS WITH TIES"
);

/// The number of jobs in a page. The time limit of a statement must suffice for it.
const PAGE_SIZE: i64 = 5_000;

/// Selects the bytes of each account's unfinished jobs.
pub(crate) const UNFINISHED_BYTES: &str =
    "SELECT account_id, unfinished FROM account_bytes WHERE unfinished > 0";

/// Takes the jobs that other processes have changed.
pub(crate) const TAKE_OUTSIDE_CHANGES: &str = "DELETE FROM outside_changes RETURNING job_id";

/// Reads what all unfinished jobs wait for.
pub(crate) struct LoadSchedule;

impl Command for LoadSchedule {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        if let Some(schedule) = transaction.schedule() {
            schedule.clear();
        }
        let mut from = Some(i64::MIN);
        while let Some(first) = from {
            let page = transaction.read(sqlx::query(PAGE).bind(first).bind(PAGE_SIZE)).await?;
            page.iter().try_for_each(|row| plan::record(transaction, row))?;
            let is_last = page.len() < usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX);
            let last: Option<i64> = page.last().map(|row| row.try_get("hash")).transpose()?;
            from = last.filter(|_| !is_last).and_then(|last| last.checked_add(1));
        }
        Ok(())
    }
}

/// Sets all lanes as the schedule has them, and the bytes of all accounts.
pub(crate) struct ReloadLanes;

impl Command for ReloadLanes {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let bytes = transaction.read(sqlx::query(UNFINISHED_BYTES)).await?;
        let of_account = |row: &PgRow| -> Result<(i64, u64), sqlx::Error> {
            Ok((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))
        };
        let bytes = bytes.iter().map(of_account).collect::<Result<HashMap<_, _>, _>>()?;
        let Some(schedule) = transaction.schedule() else { return Ok(()) };
        let (work, deadline) = (schedule.work_lanes(), schedule.next_overdue());
        let delivery = schedule.delivery_lanes();
        let awaiting = schedule.awaiting_jobs();
        let awaiting = awaiting.filter_map(|(handler, jobs)| Some((handler.parse().ok()?, jobs))).collect();
        let post_commit = &mut transaction.post_commit;
        post_commit.all_work(work, deadline);
        post_commit.all_delivery(delivery);
        post_commit.all_bytes(bytes);
        post_commit.all_awaiting(awaiting);
        Ok(())
    }
}

/// Reads the jobs that other processes have changed, and then sets all lanes. Answers with the number of these jobs.
pub(crate) struct PollOutsideChanges;

impl Command for PollOutsideChanges {
    type Answer = usize;

    async fn apply(&self, transaction: &mut Transaction) -> Result<usize, StoreError> {
        if transaction.schedule().is_none() {
            return Ok(0);
        }
        let rows = transaction.change(sqlx::query(TAKE_OUTSIDE_CHANGES)).await?;
        let ids = rows.iter().map(|row| row.try_get(0).map(JobId::from_uuid));
        let mut ids = ids.collect::<Result<Vec<JobId>, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        let changed = ids.len();
        if changed > 0 {
            plan::reload(transaction, ids.clone()).await?;
            outside_turns::give(transaction, &ids).await?;
            ReloadLanes.apply(transaction).await?;
        }
        Ok(changed)
    }
}
