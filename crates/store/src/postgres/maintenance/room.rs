//! The budgets of the accounts, and the size of the database.
//!
//! A client does not learn how much room the server's disk has. So the budgets always apply as they are configured, and a
//! full disk is an error of the statement that needs the room.

use std::sync::atomic::Ordering;

use model::Budget;

use crate::StoreError;
use crate::postgres::engine::Engine;

/// Counts the tables of other programs in the same database too.
pub(crate) const SIZE: &str = "SELECT pg_database_size(current_database())";

impl Engine {
    pub(crate) fn set_budget(&self, budget: Budget) {
        self.budgets.set(budget);
    }

    /// Measures the size of the database.
    pub(crate) async fn measure_size(&self) -> Result<(), StoreError> {
        let bytes: i64 = sqlx::query_scalar(SIZE).fetch_one(&self.reading).await?;
        self.maintenance.bytes.store(bytes.unsigned_abs(), Ordering::Relaxed);
        Ok(())
    }

    /// Returns 0: PostgreSQL shows how much room its files have only to an extension.
    #[allow(clippy::unused_async, reason = "the other engine reads it from its file")]
    pub(crate) async fn reusable_bytes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Returns the size of the database in bytes, as maintenance measured it within the last minute; 0 for an observer.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.maintenance.bytes.load(Ordering::Relaxed)
    }

    /// Returns `None`: the disk is on the server.
    #[allow(clippy::unused_self, reason = "the other engine asks for its file")]
    pub(crate) const fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// Returns 0: the write-ahead log belongs to the server and not to the database.
    #[allow(clippy::unused_self, reason = "the other engine asks for its file")]
    pub(crate) const fn log_bytes(&self) -> u64 {
        0
    }
}
