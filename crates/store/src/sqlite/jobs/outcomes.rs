//! Counts the outcomes of recent jobs: how many bots got their handler's answer, and why the others got the fallback.

use sqlx::Row;

use model::{JobId, Timestamp, UnknownFallbackReason};

use crate::sqlite::engine::Engine;
use crate::{FallbackCount, RecentOutcomes, StoreError};

/// The maximum number of jobs to count, newest first. It bounds the cost.
pub(crate) const MAX_SAMPLED_JOBS: u32 = 10_000;

impl Engine {
    pub(crate) async fn recent_outcomes(&self, since: Timestamp) -> Result<RecentOutcomes, StoreError> {
        let rows = sqlx::query(RECENT)
            .bind(JobId::new(since, 0).as_uuid())
            .bind(MAX_SAMPLED_JOBS)
            .fetch_all(&self.reading)
            .await?;
        let (mut seen, mut outcomes) = (0, RecentOutcomes::default());
        for row in rows {
            let (handler, outcome, reason, jobs): (&str, Option<&str>, Option<&str>, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            let jobs = jobs.unsigned_abs();
            seen += jobs;
            outcomes.jobs += if outcome.is_some() { jobs } else { 0 };
            let Some(reason) = reason else { continue };
            let corrupt = |column, why: String| StoreError::Corrupt {
                table: "jobs",
                column,
                id: "?".into(),
                why: why.into(),
            };
            outcomes.fallbacks.push(FallbackCount {
                handler: handler
                    .parse()
                    .map_err(|_| corrupt("handler", format!("`{handler}` is not the name of a handler")))?,
                reason: reason
                    .parse()
                    .map_err(|error: UnknownFallbackReason| corrupt("fallback_reason", error.to_string()))?,
                jobs,
            });
        }
        outcomes.fallbacks.sort_by_key(|count| std::cmp::Reverse(count.jobs));
        outcomes.is_sample = seen >= u64::from(MAX_SAMPLED_JOBS);
        Ok(outcomes)
    }
}

/// Ids begin with the time of receipt, so this reads only the newest rows of the table.
pub(crate) const RECENT: &str = "SELECT handler, outcome, fallback_reason, count(*) FROM ( \
     SELECT handler, outcome, fallback_reason FROM jobs WHERE id >= ?1 ORDER BY id DESC LIMIT 0 + ?2) \
     GROUP BY handler, outcome, fallback_reason";
