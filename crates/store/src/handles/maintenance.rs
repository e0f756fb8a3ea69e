//! The handle for maintenance.

use tokio_util::sync::CancellationToken;

use model::{AccountId, Budget};

use crate::engine::{Engine, on};
use crate::records::DatabaseSizes;
use crate::{HistoryPoint, KeptHistory, Retention, StoreError};

/// The maintenance of a store, and its settings.
#[derive(Clone, Copy)]
pub struct Maintenance<'s>(pub(super) &'s Engine);

impl Maintenance<'_> {
    /// Runs maintenance until `stop`. It can be called again after a panic.
    ///
    /// Maintenance checkpoints the log, frees expired leases, and reads the changes of other processes. It deletes
    /// finished jobs older than `retention`, and keys of expired tokens. It drops the bodies of old jobs, and of
    /// accounts beyond `budget.stored`. It gives up deliveries to unknown accounts that are older than `retention`.
    pub async fn run(self, retention: impl Into<Retention>, stop: CancellationToken) {
        on!(self.0, engine => engine.maintain(retention.into(), stop).await);
    }

    /// Makes maintenance give up old deliveries of accounts for which `is_known` returns `false`. Only the first call
    /// has an effect.
    pub fn give_up_unknown(self, is_known: impl Fn(&str, AccountId) -> bool + Send + Sync + 'static) {
        on!(self.0, engine => engine.give_up_unknown(is_known));
    }

    /// Sets the budget of each account. Until the first call, the default budget applies.
    pub fn set_budget(self, budget: Budget) {
        on!(self.0, engine => engine.set_budget(budget));
    }

    /// Returns the bytes inside the store's file that new jobs can use before the file grows.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn reusable_bytes(self) -> Result<u64, StoreError> {
        on!(self.0, engine => engine.reusable_bytes().await)
    }

    /// Returns the length of the write-ahead log in bytes; 0 for an observer.
    pub fn log_bytes(self) -> u64 {
        on!(self.0, engine => engine.log_bytes())
    }

    /// Returns the length of the store's file in bytes, without the log; 0 for an observer.
    pub fn file_bytes(self) -> u64 {
        on!(self.0, engine => engine.file_bytes())
    }

    /// Returns the free space on the disk that holds the store, in bytes; `None` if it cannot be determined.
    pub fn free_bytes(self) -> Option<u64> {
        on!(self.0, engine => engine.free_bytes())
    }

    /// Returns the sizes of the store's PostgreSQL database; `None` if the store is a file.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn database_sizes(self) -> Result<Option<DatabaseSizes>, StoreError> {
        match self.0 {
            Engine::Sqlite(_) => Ok(None),
            Engine::Postgres(engine) => engine.database_sizes().await.map(Some),
        }
    }

    /// Writes the `points` of the history, and deletes the periods that are not in `kept`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn save_history(
        self,
        points: Vec<HistoryPoint>,
        kept: Vec<KeptHistory>,
    ) -> Result<(), StoreError> {
        on!(self.0, engine => engine.save_history(points, kept).await)
    }

    /// Returns the whole history, each resolution in order of time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn history(self) -> Result<Vec<HistoryPoint>, StoreError> {
        on!(self.0, engine => engine.history().await)
    }
}
