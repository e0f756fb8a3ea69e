//! The handle for maintenance.

use tokio_util::sync::CancellationToken;

use model::{AccountId, Budget};

use crate::Retention;
use crate::sqlite::engine::Engine;

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
        self.0.maintain(retention.into(), stop).await;
    }

    /// Makes maintenance give up old deliveries of accounts for which `is_known` returns `false`. Only the first call
    /// has an effect.
    pub fn give_up_unknown(self, is_known: impl Fn(&str, AccountId) -> bool + Send + Sync + 'static) {
        self.0.give_up_unknown(is_known);
    }

    /// Sets the budget of each account. Until the first call, the default budget applies.
    pub fn set_budget(self, budget: Budget) {
        self.0.set_budget(budget);
    }

    /// Returns the length of the write-ahead log in bytes; 0 for an observer.
    pub fn log_bytes(self) -> u64 {
        self.0.log_bytes()
    }
}
