//! Counts the recent jobs of each handler, and how long they took.

use sqlx::Row;

use model::{JobId, Timestamp};

use crate::jobs::handler_stats::{MAX_SAMPLED_JOBS, Sampled, Samples};
use crate::sqlite::engine::Engine;
use crate::{HandlerStats, StoreError};

/// Ids begin with the time of receipt, so this reads only the newest rows of the table.
pub(crate) const RECENT: &str = "SELECT handler, state, outcome, received_at, finished_at FROM jobs WHERE id >= ?1 \
     ORDER BY id DESC LIMIT 0 + ?2";

impl Engine {
    /// Returns the statistics of the handlers that got jobs since `since`.
    pub(crate) async fn handler_stats(&self, since: Timestamp) -> Result<Vec<HandlerStats>, StoreError> {
        let rows = sqlx::query(RECENT)
            .bind(JobId::new(since, 0).as_uuid())
            .bind(MAX_SAMPLED_JOBS)
            .fetch_all(&self.reading)
            .await?;
        let mut samples = Samples::default();
        for row in &rows {
            samples.add(&Sampled {
                handler: row.try_get(0)?,
                state: row.try_get(1)?,
                outcome: row.try_get(2)?,
                received_at: row.try_get(3)?,
                finished_at: row.try_get(4)?,
            });
        }
        Ok(samples.stats())
    }
}
