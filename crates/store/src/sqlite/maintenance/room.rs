//! The budgets of the accounts, and the room on the disk for them.

use model::Budget;

use crate::sqlite::engine::Engine;
use crate::sqlite::file::log;
use crate::sqlite::file::room::room;

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

    /// Returns the length of the write-ahead log in bytes; 0 for an observer.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| log::bytes_of(file.path()))
    }
}
