//! Counts the outcomes of recent jobs.

use sqlx::Row;

use model::{JobId, Timestamp};

use crate::jobs::outcomes::{Counted, MAX_SAMPLED_JOBS, SameOutcome};
use crate::sqlite::engine::Engine;
use crate::{RecentOutcomes, StoreError};

impl Engine {
    pub(crate) async fn recent_outcomes(&self, since: Timestamp) -> Result<RecentOutcomes, StoreError> {
        let rows = sqlx::query(RECENT)
            .bind(JobId::new(since, 0).as_uuid())
            .bind(MAX_SAMPLED_JOBS)
            .fetch_all(&self.reading)
            .await?;
        let mut counted = Counted::default();
        for row in &rows {
            counted.add(&SameOutcome {
                handler: row.try_get(0)?,
                outcome: row.try_get(1)?,
                reason: row.try_get(2)?,
                jobs: row.try_get(3)?,
            })?;
        }
        Ok(counted.outcomes())
    }
}

/// Ids begin with the time of receipt, so this reads only the newest rows of the table.
pub(crate) const RECENT: &str = "SELECT handler, outcome, fallback_reason, count(*) FROM ( \
     SELECT handler, outcome, fallback_reason FROM jobs WHERE id >= ?1 ORDER BY id DESC LIMIT 0 + ?2) \
     GROUP BY handler, outcome, fallback_reason";
