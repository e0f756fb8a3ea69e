//! The budgets of the accounts, and the room on the disk for them.

use model::Budget;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::file::log;
use crate::sqlite::file::room::{free, room};

impl Engine {
    pub(crate) fn set_budget(&self, budget: Budget) {
        self.budgets.set(budget);
    }

    /// Measures the room on the disk. Logs when it becomes too small for the budgets, and when it no longer is.
    pub(crate) fn measure_room(&self) {
        let Some(room) = self.file.as_ref().and_then(|file| room(file.path())) else { return };
        match self.budgets.set_room(room) {
            Some((limits, true)) => tracing::info!(
                room,
                unfinished = limits.unfinished,
                stored = limits.stored,
                "the disk is too small for the budgets; each account gets a share of the disk instead (sizes in bytes)"
            ),
            Some((_, false)) => tracing::info!("the disk has room for the budgets again"),
            None => {}
        }
    }

    /// Returns the bytes inside the store's file that new jobs can use before the file grows.
    pub(crate) async fn reusable_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
        let bytes: i64 = sqlx::query_scalar(sql).fetch_one(&self.reading).await?;
        Ok(bytes.unsigned_abs())
    }

    /// Returns the length of the store's file in bytes, without the log; 0 for an observer.
    pub(crate) fn file_bytes(&self) -> u64 {
        let file = self.file.as_ref().and_then(|file| std::fs::metadata(file.path()).ok());
        file.map_or(0, |file| file.len())
    }

    /// Returns the free space on the disk in bytes; `None` if it cannot be determined.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.file.as_ref().and_then(|file| free(file.path()))
    }

    /// Returns the length of the write-ahead log in bytes; 0 for an observer.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| log::bytes_of(file.path()))
    }
}
