//! Test helpers for this crate and its users. They bring a store into states that otherwise take time or a failing disk.

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
    /// Returns maintenance that takes a step only when a test asks for one.
    pub(crate) fn ticks(&self, retention: impl Into<Retention>) -> Ticks {
        Ticks::new(&self.0, retention.into())
    }
}

impl<'s> Jobs<'s> {
    /// Retries a job with the default options: sends again what was sent last.
    ///
    /// # Errors
    /// As [`retry_with`](Self::retry_with).
    pub async fn retry(self, id: JobId) -> Result<(), StoreError> {
        self.retry_with(id, RetryOptions::default()).await
    }

    /// Takes all permits for lists, as slow lists do.
    ///
    /// # Panics
    /// The store is closed.
    pub async fn hold_lists(self) -> SemaphorePermit<'s> {
        self.0.hold_lists().await
    }

    /// Adds `copies` dead jobs like this one.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn copy_dead(self, id: JobId, copies: i64) {
        self.0.copy_dead(id, copies).await;
    }
}

impl Maintenance<'_> {
    /// Drops the bodies of accounts beyond their budget, as maintenance does.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn trim(self) {
        self.0.trim().await;
    }

    /// Returns a flag. While it is set, every statement succeeds but COMMIT fails.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn commit_refusal(self) -> Arc<AtomicBool> {
        self.0.commit_refusal().await
    }
}
