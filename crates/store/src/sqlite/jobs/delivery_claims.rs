//! Claims deliveries, and decides which jobs of a lane go first.
//!
//! Jobs of the last minute precede all older jobs, because their customers still wait for the bot. Otherwise the
//! backlog of an account that is connected after hours would hold up its fresh jobs. Within an age group, first tries
//! precede retries. A claim reserves some places for the jobs that have been due longest, so that neither old jobs nor
//! retries starve. A job that Kommo refused, perhaps only because of its account, comes after all others, because Kommo
//! may refuse the job itself. Among the jobs due longest it can precede retries, so that it does not starve either.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use model::{DeliveringJob, Timestamp};

use crate::records::YOUNG;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::rows::{self, COLUMNS};
use crate::sqlite::jobs::work_claims::{by_age, count};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::named::Named;
use crate::sqlite::write::post_commit::PostCommit;
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

/// Claims at most `:limit` jobs of the lane `:origin` that are due at `:now`, by rank: from the highest rank if `:which`
/// is 1, from the lowest if it is 0.
pub(crate) fn longest_due() -> String {
    deliver(&[
        Part::longest_due("delivery_rank = 2 * :which"),
        Part::longest_due("delivery_rank = 1"),
        Part::longest_due("delivery_rank = 2 - 2 * :which"),
    ])
}

/// Claims at most `:limit` jobs of the lane `:origin` that are due at `:now`, and takes those received after `:which`
/// first.
pub(crate) fn young_first() -> String {
    deliver(&[
        Part::oldest("delivery_rank = 0 AND waiting_since > :which"),
        Part::oldest("delivery_rank = 1 AND waiting_since > :which"),
        Part::longest_due("delivery_rank = 0 AND waiting_since <= :which"),
        Part::longest_due("delivery_rank = 1 AND waiting_since <= :which"),
        Part::longest_due("delivery_rank = 2"),
    ])
}

/// Some jobs of a lane, in the order of an index.
struct Part {
    which: &'static str,
    order: &'static str,
}

impl Part {
    const fn longest_due(which: &'static str) -> Self {
        Self { which, order: "due_at" }
    }

    const fn oldest(which: &'static str) -> Self {
        Self { which, order: "waiting_since" }
    }

    fn select(&self) -> String {
        let Self { which, order } = self;
        format!(
            "SELECT * FROM (SELECT id FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
             AND origin = :origin AND due_at <= :now AND {which} ORDER BY {order} LIMIT 0 + :limit)"
        )
    }
}

/// Joins the parts with UNION ALL: SQLite reads them one after the other, and stops at the limit.
fn deliver(parts: &[Part]) -> String {
    let parts: Vec<String> = parts.iter().map(Part::select).collect();
    let select = parts.join(" UNION ALL ");
    format!(
        "UPDATE jobs SET lease_until = :lease_until, fence = fence + 1 \
         WHERE id IN (SELECT id FROM ({select}) LIMIT 0 + :limit) RETURNING {COLUMNS}"
    )
}

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

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let mut rows = Vec::new();
        let LongestDue { jobs, retries_first } = self.longest_due;
        if jobs > 0 {
            let rank = i64::from(retries_first);
            rows = self.claim(connection, longest_due(), jobs.min(self.limit), rank).await?;
        }
        if rows.len() < self.limit {
            let young = (self.now - YOUNG).as_millis();
            rows.extend(self.claim(connection, young_first(), self.limit - rows.len(), young).await?);
        }
        let next: Option<i64> =
            sqlx::query_scalar(NEXT_DELIVERY).bind(&*self.origin).fetch_one(connection).await?;
        post_commit.delivery_lane(&self.origin, next.map(Timestamp::from_millis));
        Ok(by_age(rows::readable(&rows, rows::delivering), |job| job.waiting_since))
    }
}

impl ClaimDeliveries {
    async fn claim(
        &self,
        connection: &mut SqliteConnection,
        sql: String,
        limit: usize,
        which: i64,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = Named::new(&sql)
            .value("lease_until", self.lease_until.as_millis())
            .value("origin", &*self.origin)
            .value("now", self.now.as_millis())
            .value("limit", count(limit))
            .value("which", which)
            .query()?
            .fetch_all(connection)
            .await?;
        Ok(rows)
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
