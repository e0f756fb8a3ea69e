//! The origins for which deliveries wait.
//!
//! No index has the unfinished jobs by origin, so each of these statements reads all unfinished jobs.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;

use model::Timestamp;

use crate::StoreError;
use crate::postgres::engine::Engine;

impl Engine {
    pub(crate) async fn waiting_deliveries(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = sqlx::query(WAITING).fetch_all(&self.reading).await?;
        let mut waiting = Vec::with_capacity(rows.len());
        for row in &rows {
            let jobs: i64 = row.try_get(1)?;
            waiting.push((row.try_get(0)?, u64::try_from(jobs).unwrap_or(0)));
        }
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// Returns when the oldest job in `delivering` was received, by the steady clock.
    pub(crate) async fn oldest_undelivered(&self) -> Result<Option<Timestamp>, StoreError> {
        let oldest: Option<i64> = sqlx::query_scalar(OLDEST).fetch_one(&self.reading).await?;
        Ok(oldest.map(Timestamp::from_millis))
    }

    pub(crate) async fn with_deliveries(
        &self,
        origins: &[Arc<str>],
    ) -> Result<HashSet<Arc<str>>, StoreError> {
        let origins: Vec<&str> = origins.iter().map(|origin| &**origin).collect();
        let rows = sqlx::query(WITH_DELIVERIES).bind(origins).fetch_all(&self.reading).await?;
        rows.iter().map(|row| Ok(row.try_get::<&str, _>(0)?.into())).collect()
    }
}

/// Counts the deliveries that wait, for each origin.
pub(crate) const WAITING: &str = "SELECT origin, count(*) FROM jobs WHERE ended IS NULL AND state = 'delivering' \
     AND lease_until IS NULL GROUP BY origin";

/// Selects since when the oldest delivery waits.
pub(crate) const OLDEST: &str =
    "SELECT min(waiting_since) FROM jobs WHERE ended IS NULL AND state = 'delivering'";

/// Selects those of these origins that have deliveries.
pub(crate) const WITH_DELIVERIES: &str = "SELECT DISTINCT origin FROM jobs WHERE ended IS NULL AND state = 'delivering' \
     AND origin = ANY($1)";
