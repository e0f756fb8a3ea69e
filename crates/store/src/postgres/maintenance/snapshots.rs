//! Measures how old the oldest snapshot in the database is. While a session holds one, PostgreSQL keeps all rows and index
//! entries that were replaced or deleted since then, so everything becomes slower and larger.

use crate::StoreError;
use crate::postgres::engine::Engine;

/// Transactions that are prepared hold a snapshot like those of sessions. A user sees the sessions of other users only with the
/// role `pg_read_all_stats`.
pub(crate) const OLDEST_SNAPSHOT: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - began)), 0)::float8 FROM ( \
     SELECT xact_start AS began FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL \
     UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS transactions";

impl Engine {
    /// Sets the metric.
    pub(super) async fn measure_snapshots(&self) -> Result<(), StoreError> {
        let seconds: f64 = sqlx::query_scalar(OLDEST_SNAPSHOT).fetch_one(&self.reading).await?;
        metrics::gauge!("bridge_store_oldest_snapshot_seconds").set(seconds.max(0.0));
        Ok(())
    }
}
