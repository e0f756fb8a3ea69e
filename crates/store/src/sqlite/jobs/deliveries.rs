//! The origins for which deliveries wait.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;

use model::Timestamp;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::lane_reload::DELIVERY;

impl Engine {
    pub(crate) async fn waiting_deliveries(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut waiting = Vec::new();
        for row in sqlx::query(DELIVERY).fetch_all(&self.reading).await? {
            let origin: String = row.try_get(0)?;
            let jobs: i64 = sqlx::query_scalar(WAITING).bind(&origin).fetch_one(&self.reading).await?;
            waiting.push((origin, u64::try_from(jobs).unwrap_or(0)));
        }
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
        let origins = serde_json::Value::from(origins).to_string();
        let rows = sqlx::query(WITH_DELIVERIES).bind(origins).fetch_all(&self.reading).await?;
        rows.iter().map(|row| Ok(row.try_get::<&str, _>(0)?.into())).collect()
    }
}

/// Selects since when the oldest delivery waits. It jumps along the lanes. Of each, it reads the oldest first try, and all
/// retries; then the few deliveries that are under way.
pub(crate) const OLDEST: &str = "WITH RECURSIVE lane (name) AS ( \
     SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     UNION ALL \
     SELECT (SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin > lane.name) FROM lane WHERE lane.name IS NOT NULL) \
     SELECT min(waiting_since) FROM ( \
     SELECT (SELECT min(waiting_since) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = lane.name AND delivery_rank = 0) AS waiting_since FROM lane WHERE name IS NOT NULL \
     UNION ALL \
     SELECT (SELECT min(waiting_since) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = lane.name AND delivery_rank > 0) FROM lane WHERE name IS NOT NULL \
     UNION ALL \
     SELECT min(waiting_since) FROM jobs WHERE state = 'delivering' AND lease_until IS NOT NULL)";

pub(crate) const WAITING: &str =
    "SELECT count(*) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL AND origin = ?";

/// The permits limit the number of deliveries under way, so reading all of them is cheap.
pub(crate) const WITH_DELIVERIES: &str = "SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM jobs \
     WHERE state = 'delivering' AND lease_until IS NULL AND origin = value) \
     OR value IN (SELECT origin FROM jobs WHERE lease_until IS NOT NULL AND state = 'delivering')";
