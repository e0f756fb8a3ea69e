//! The store itself: opened, asked for a handle, closed.

use std::sync::Arc;

use model::clock::Clock;
use model::{DeliveringJob, RunningJob};

use super::{Accounts, Jobs, Maintenance, OAuth};
use crate::lanes::Lanes;
use crate::sqlite::engine::Engine;
use crate::{Role, StoreError};

/// An open store. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Engine>);

impl Store {
    /// Opens `url`. The owner first frees what a dead owner held, so that all of its work goes on at once.
    ///
    /// # Errors
    /// The store cannot be opened, another process owns it, or a newer version made it.
    pub async fn open(url: &str, role: Role, clock: Clock) -> Result<Self, StoreError> {
        Engine::open(url, role, clock).await.map(|engine| Self(Arc::new(engine)))
    }

    /// Opens the store at `url` beside its owner; `None` if nothing has made it yet.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub async fn observe(url: &str, clock: Clock) -> Result<Option<Self>, StoreError> {
        if Engine::is_there(url)? { Self::open(url, Role::Observer, clock).await.map(Some) } else { Ok(None) }
    }

    /// The jobs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(&self.0)
    }

    /// The connected accounts, and what their deliveries wait for.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(&self.0)
    }

    /// What is kept for OAuth beside the accounts.
    pub fn oauth(&self) -> OAuth<'_> {
        OAuth(&self.0)
    }

    /// What keeps the store in order.
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance(&self.0)
    }

    /// What waits for workers, by handler.
    pub fn work(&self) -> &Lanes<RunningJob> {
        &self.0.work
    }

    /// What waits for the sender, by origin.
    pub fn delivery(&self) -> &Lanes<DeliveringJob> {
        &self.0.delivery
    }

    /// Writes something that changes nothing, to see whether the store can be written and would be found again.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.0.probe().await
    }

    /// Completes when the store can no longer be written although no one closed it: its writer has panicked.
    pub async fn ended(&self) {
        self.0.ended().await;
    }

    /// Finishes what is under way and closes the store. Later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        self.0.close().await;
    }
}
