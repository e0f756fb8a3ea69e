//! The handle of what keeps a store in order.

use tokio_util::sync::CancellationToken;

use model::{AccountId, Budget};

use crate::Retention;
use crate::sqlite::engine::Engine;

/// What keeps a store in order, and what it goes by.
#[derive(Clone, Copy)]
pub struct Maintenance<'s>(pub(super) &'s Engine);

impl Maintenance<'_> {
    /// Keeps the store in order until `stop`: checkpoints, leases that ran out, finished jobs and bodies that are older than
    /// `retention`, deliveries as old whose account is not known, accounts beyond `budget.stored`, keys of tokens that are
    /// over, changes made by other processes. After a panic it can be called again.
    pub async fn run(self, retention: impl Into<Retention>, stop: CancellationToken) {
        self.0.maintain(retention.into(), stop).await;
    }

    /// From now on maintenance gives up old deliveries of accounts that are not known. Only the first call counts.
    pub fn give_up_unknown(self, is_known: impl Fn(&str, AccountId) -> bool + Send + Sync + 'static) {
        self.0.give_up_unknown(is_known);
    }

    /// Gives each account this budget; until then it is the default one.
    pub fn set_budget(self, budget: Budget) {
        self.0.set_budget(budget);
    }

    /// The length of the write-ahead log in bytes; 0 for an observer.
    pub fn log_bytes(self) -> u64 {
        self.0.log_bytes()
    }
}
