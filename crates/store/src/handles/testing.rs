//! For tests of this crate and of its users: a store in a state that only time or a failing disk would bring about.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::SemaphorePermit;

use model::JobId;

#[cfg(test)]
use super::Store;
use super::{Jobs, Maintenance};
#[cfg(test)]
use crate::Retention;
#[cfg(test)]
use crate::sqlite::testing::Ticks;
use crate::{RetryOptions, StoreError};

#[cfg(test)]
impl Store {
    /// Maintenance that takes a step whenever a test says so.
    pub(crate) fn ticks(&self, retention: impl Into<Retention>) -> Ticks {
        Ticks::new(&self.0, retention.into())
    }
}

impl<'s> Jobs<'s> {
    /// Delivers what was sent last again.
    ///
    /// # Errors
    /// As [`retry_with`](Self::retry_with).
    pub async fn retry(self, id: JobId) -> Result<(), StoreError> {
        self.retry_with(id, RetryOptions::default()).await
    }

    /// Takes all permits for lists, as lists do that are read for long.
    ///
    /// # Panics
    /// The store is closed.
    pub async fn hold_lists(self) -> SemaphorePermit<'s> {
        self.0.hold_lists().await
    }

    /// More dead jobs like this one.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn copy_dead(self, id: JobId, copies: i64) {
        self.0.copy_dead(id, copies).await;
    }
}

impl Maintenance<'_> {
    /// Drops what is beyond the budget, as maintenance does.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn trim(self) {
        self.0.trim().await;
    }

    /// A flag: while it is set, no transaction can be committed, though each statement in it succeeds.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn commit_refusal(self) -> Arc<AtomicBool> {
        self.0.commit_refusal().await
    }
}
