//! Keeps the owner's lock.

use crate::StoreError;
use crate::lock::lock;
use crate::postgres::connect::owner_lock::OwnerLock;
use crate::postgres::engine::Engine;

impl Engine {
    /// Checks that this process holds the owner's lock. Takes it again if its connection broke.
    ///
    /// # Errors
    /// The database cannot be reached. Or another process has the lock; then it owns the store, and the writer of this
    /// process ends with its next transaction.
    pub(super) async fn keep_owner_lock(&self) -> Result<(), StoreError> {
        let mut held = self.owner_lock.lock().await;
        if lock(&self.writer).is_none() {
            // The store is closed.
            return Ok(());
        }
        if let Some(lock) = held.as_mut() {
            let Err(error) = lock.check().await else { return Ok(()) };
            tracing::warn!(%error, "the owner's lock is lost; taking it again");
            *held = None;
        }
        *held = Some(OwnerLock::take(&self.target).await?);
        tracing::info!("the owner's lock is taken again");
        Ok(())
    }
}
