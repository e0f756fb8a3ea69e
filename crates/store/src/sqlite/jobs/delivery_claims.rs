//! Claims deliveries, and decides which jobs of a lane go first.
//!
//! Jobs of the last minute precede all older jobs, because their customers still wait for the bot. Otherwise the
//! backlog of an account that is connected after hours would hold up its fresh jobs. Within an age group, first tries
//! precede retries. A claim reserves some places for the jobs that have been due longest, so that neither old jobs nor
//! retries starve. A job that Kommo refused, perhaps only because of its account, comes after all others, because Kommo
//! may refuse the job itself. Among the jobs due longest it can precede retries, so that it does not starve either.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row};

use model::{DeliveringJob, HandlerRun, JobId, Timestamp};

use crate::jobs::row::{Claimed, columns};
use crate::jobs::rows;
use crate::records::YOUNG;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::row::claimed;
use crate::sqlite::jobs::work_claims::{by_age, count};
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{LongestDue, StoreError};

pub(crate) const NEXT_DELIVERY: &str = "SELECT min(due_at) FROM ( \
     SELECT min(due_at) AS due_at FROM jobs \
     WHERE state = 'delivering' AND lease_until IS NULL AND origin = ?1 AND delivery_rank = 0 \
     UNION ALL \
     SELECT min(due_at) FROM jobs \
     WHERE state = 'delivering' AND lease_until IS NULL AND origin = ?1 AND delivery_rank = 1 \
     UNION ALL \
     SELECT min(due_at) FROM jobs \
     WHERE state = 'delivering' AND lease_until IS NULL AND origin = ?1 AND delivery_rank = 2)";

/// Expands to the SQL that selects some due jobs of the lane `:origin`, in the order of an index.
macro_rules! part {
    ($which:literal by $order:literal) => {
        concat!(
            "SELECT * FROM (SELECT id FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
             AND origin = :origin AND due_at <= :now AND ",
            $which,
            " ORDER BY ",
            $order,
            " LIMIT 0 + :limit)"
        )
    };
}

/// Expands to the SQL that claims at most `:limit` jobs of these parts. SQLite reads the parts of a UNION ALL one after
/// the other, and stops at the limit.
macro_rules! claim {
    ($first:literal by $first_order:literal $(, $which:literal by $order:literal)+ $(,)?) => {
        concat!(
            "UPDATE jobs SET lease_until = :lease_until, fence = fence + 1 WHERE id IN (SELECT id FROM (",
            part!($first by $first_order),
            $(" UNION ALL ", part!($which by $order),)+
            ") LIMIT 0 + :limit) RETURNING ",
            columns!()
        )
    };
}

/// Claims at most `:limit` jobs of the lane `:origin` that are due at `:now`, by rank: from the highest rank if `:which`
/// is 1, from the lowest if it is 0.
pub(crate) const LONGEST_DUE: &str = claim!(
    "delivery_rank = 2 * :which" by "due_at",
    "delivery_rank = 1" by "due_at",
    "delivery_rank = 2 - 2 * :which" by "due_at",
);

/// Claims at most `:limit` jobs of the lane `:origin` that are due at `:now`, and takes those received after `:which`
/// first. It finds retries by the time at which they are due: in an outage, most young ones wait for their backoff, and
/// each claim would read past all of them. A young job cannot be due for longer than it exists, so the claim reads past
/// few old ones either.
pub(crate) const YOUNG_FIRST: &str = claim!(
    "delivery_rank = 0 AND waiting_since > :which" by "waiting_since",
    "delivery_rank = 1 AND due_at > :which AND waiting_since > :which" by "due_at",
    "delivery_rank = 0 AND waiting_since <= :which" by "due_at",
    "delivery_rank = 1 AND (due_at <= :which OR waiting_since <= :which)" by "due_at",
    "delivery_rank = 2" by "due_at",
);

/// Selects the last charged attempt of a handler that is not in the row of its job, because it did not give the
/// completion without an error.
pub(crate) const LAST_RUN: &str = "SELECT started_at, duration_ms FROM other_attempts \
     WHERE job_id = ? AND stage = 'handler' ORDER BY number DESC LIMIT 1";

/// Claims due deliveries to one origin.
pub(crate) struct ClaimDeliveries {
    pub(crate) origin: Arc<str>,
    pub(crate) limit: usize,
    pub(crate) longest_due: LongestDue,
    pub(crate) now: Timestamp,
    pub(crate) lease_until: Timestamp,
}

impl Command for ClaimDeliveries {
    type Answer = Vec<DeliveringJob>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let LongestDue { jobs, retries_first } = self.longest_due;
        let mut claimed = Claimed::default();
        if jobs > 0 {
            claimed = self.longest_due(transaction, jobs.min(self.limit), retries_first)?;
        }
        if claimed.rows < self.limit {
            let young = self.young_first(transaction, self.limit - claimed.rows)?;
            claimed.jobs.extend(young.jobs);
        }
        for job in claimed.jobs.iter_mut().filter(|job| job.last_run.is_none() && job.handler_attempts > 0) {
            job.last_run = last_run(transaction, job.id)?;
        }
        let mut next = transaction.prepare_cached(NEXT_DELIVERY)?;
        let next: Option<i64> = next.query_one([&*self.origin], |row| row.get(0))?;
        transaction.post_commit.delivery_lane(&self.origin, next.map(Timestamp::from_millis));
        Ok(by_age(claimed.jobs, |job| job.waiting_since))
    }
}

fn last_run(transaction: &Transaction<'_>, id: JobId) -> Result<Option<HandlerRun>, StoreError> {
    let mut statement = transaction.prepare_cached(LAST_RUN)?;
    let run = |row: &Row<'_>| {
        let (started_at, ms) = (Timestamp::from_millis(row.get(0)?), row.get(1)?);
        Ok(HandlerRun { started_at, duration: rows::duration(ms) })
    };
    Ok(statement.query_one([id.as_uuid()], run).optional()?)
}

impl ClaimDeliveries {
    fn longest_due(
        &self,
        transaction: &Transaction<'_>,
        limit: usize,
        retries_first: bool,
    ) -> Result<Claimed<DeliveringJob>, StoreError> {
        let mut statement = transaction.prepare_cached(LONGEST_DUE)?;
        bind!(statement, LONGEST_DUE, {
            "lease_until" => self.lease_until.as_millis(),
            "origin" => &*self.origin,
            "now" => self.now.as_millis(),
            "limit" => count(limit),
            "which" => retries_first,
        });
        claimed(statement.raw_query(), rows::delivering)
    }

    fn young_first(
        &self,
        transaction: &Transaction<'_>,
        limit: usize,
    ) -> Result<Claimed<DeliveringJob>, StoreError> {
        let mut statement = transaction.prepare_cached(YOUNG_FIRST)?;
        bind!(statement, YOUNG_FIRST, {
            "lease_until" => self.lease_until.as_millis(),
            "origin" => &*self.origin,
            "now" => self.now.as_millis(),
            "limit" => count(limit),
            "which" => (self.now - YOUNG).as_millis(),
        });
        claimed(statement.raw_query(), rows::delivering)
    }
}

impl Engine {
    pub(crate) async fn claim_deliveries(
        &self,
        origin: Arc<str>,
        limit: usize,
        longest_due: LongestDue,
        lease: Duration,
    ) -> Result<Vec<DeliveringJob>, StoreError> {
        let (now, lease_until) = (self.moment().steady, self.lease(lease));
        self.execute(ClaimDeliveries { origin, limit, longest_due, now, lease_until }).await
    }
}
