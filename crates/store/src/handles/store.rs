//! The store itself: opening, handles, closing.

use model::clock::Clock;
use model::{DeliveringJob, RunningJob};

use super::{Accounts, Callbacks, Errors, Jobs, Maintenance, OAuth, Operator};
use crate::engine::{Engine, on};
use crate::lanes::Lanes;
use crate::{ActionFilter, ActionPage, Actor, Role, StoreError};

/// An open store. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Store(pub(crate) Engine);

impl Store {
    /// Opens the store at `url`. An owner first frees the claims of the previous owner, so that their jobs resume at
    /// once.
    ///
    /// # Errors
    /// The store cannot be opened, another process owns it, or a newer version made it.
    pub async fn open(url: &str, role: Role, clock: Clock) -> Result<Self, StoreError> {
        Engine::open(url, role, clock).await.map(Self)
    }

    /// Opens the store at `url` as an observer; `None` if it does not exist yet.
    ///
    /// # Errors
    /// The store exists but cannot be opened.
    pub async fn observe(url: &str, clock: Clock) -> Result<Option<Self>, StoreError> {
        if Engine::is_there(url).await? {
            Self::open(url, Role::Observer, clock).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// Returns the handle for jobs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(&self.0)
    }

    /// Returns the handle for callbacks and notes.
    pub fn callbacks(&self) -> Callbacks<'_> {
        Callbacks(&self.0)
    }

    /// Returns the handle for groups of errors.
    pub fn errors(&self) -> Errors<'_> {
        Errors(&self.0)
    }

    /// Returns the handle for connected accounts.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(&self.0)
    }

    /// Returns the handle for the OAuth data.
    pub fn oauth(&self) -> OAuth<'_> {
        OAuth(&self.0)
    }

    /// Returns the handle for the changes that operators make, on behalf of `by`.
    pub const fn operator(&self, by: Actor) -> Operator<'_> {
        Operator { engine: &self.0, by }
    }

    /// Returns at most `limit` actions of the log that match `filter`, newest first: those before `before`, which is the
    /// `next` of the previous page.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn actions(
        &self,
        filter: &ActionFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<ActionPage, StoreError> {
        on!(self.0, engine => engine.actions(filter, before, limit).await)
    }

    /// Returns the handle for maintenance.
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance(&self.0)
    }

    /// The lanes of jobs that wait for workers, by handler.
    pub fn work(&self) -> &Lanes<RunningJob> {
        on!(self.0, engine => &engine.work)
    }

    /// The lanes of deliveries that wait for the sender, by origin.
    pub fn delivery(&self) -> &Lanes<DeliveringJob> {
        on!(self.0, engine => &engine.delivery)
    }

    /// Tests whether the store can be written and whether the next start would find it. The test changes no job.
    ///
    /// # Errors
    /// It cannot be written, or its file is no longer at its path.
    pub async fn probe(&self) -> Result<(), StoreError> {
        on!(self.0, engine => engine.probe().await)
    }

    /// Completes when the writer has panicked: the store can no longer be written although no one closed it.
    pub async fn ended(&self) {
        on!(self.0, engine => engine.operations.ended().await);
    }

    /// Finishes the writes under way and closes the store. Later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        on!(self.0, engine => engine.close().await);
    }
}
