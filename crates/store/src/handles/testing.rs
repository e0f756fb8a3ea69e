//! Test helpers for this crate and its users. They bring a store into states that otherwise take time or a failing disk.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::SemaphorePermit;

use model::{AccountKey, CheckedCompletion, HandlerName, JobId};

#[cfg(test)]
use super::Store;
use super::{Accounts, Callbacks, Errors, Jobs, Maintenance};
#[cfg(test)]
use crate::Retention;
#[cfg(test)]
use crate::engine::Engine;
use crate::engine::on;
#[cfg(test)]
use crate::testing::Ticks;
use crate::{ActionSource, Actor, RetriedDead, RetryOptions, StoreError};

#[cfg(test)]
impl Store {
    /// Returns maintenance that takes a step only when a test asks for one.
    pub(crate) fn ticks(&self, retention: impl Into<Retention>) -> Ticks {
        Ticks::new(&self.0, retention.into())
    }

    /// The engine, for tests that know it.
    pub(crate) fn sqlite(&self) -> &Arc<crate::sqlite::engine::Engine> {
        match &self.0 {
            Engine::Sqlite(engine) => engine,
            Engine::Postgres(_) => panic!("a test of the SQLite engine has another engine"),
        }
    }

    /// The same for the other engine.
    pub(crate) fn postgres(&self) -> &Arc<crate::postgres::engine::Engine> {
        match &self.0 {
            Engine::Postgres(engine) => engine,
            Engine::Sqlite(_) => panic!("a test of the PostgreSQL engine has another engine"),
        }
    }
}

fn test() -> Actor {
    Actor::new(ActionSource::Cli, "test")
}

impl Accounts<'_> {
    /// Removes an account as an operator.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove(self, key: AccountKey) -> Result<bool, StoreError> {
        on!(self.0, engine => engine.remove_account(key, &test()).await)
    }

    /// Asks the bridge, as an operator, to try an account.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn ask_resume(self, origin: Arc<str>) -> Result<(), StoreError> {
        on!(self.0, engine => engine.ask_resume(origin, &test()).await)
    }
}

impl Callbacks<'_> {
    /// Completes a job as an operator.
    ///
    /// # Errors
    /// As [`Operator::complete`](super::Operator::complete).
    pub async fn complete_by_operator(
        self,
        id: JobId,
        completion: CheckedCompletion,
    ) -> Result<(), StoreError> {
        super::Operator { engine: self.0, by: test() }.complete(id, completion).await
    }
}

impl<'s> Jobs<'s> {
    /// Cancels a job as an operator.
    ///
    /// # Errors
    /// As [`Operator::cancel`](super::Operator::cancel).
    pub async fn cancel(self, id: JobId) -> Result<(), StoreError> {
        on!(self.0, engine => engine.cancel(id, &test()).await)
    }

    /// Retries a job as an operator.
    ///
    /// # Errors
    /// As [`Operator::retry_with`](super::Operator::retry_with).
    pub async fn retry_with(self, id: JobId, options: RetryOptions) -> Result<(), StoreError> {
        on!(self.0, engine => engine.retry_with(id, options, &test()).await)
    }

    /// Retries dead jobs as an operator.
    ///
    /// # Errors
    /// As [`Operator::retry_dead`](super::Operator::retry_dead).
    pub async fn retry_dead(
        self,
        handler: Option<HandlerName>,
        force: bool,
    ) -> Result<RetriedDead, StoreError> {
        on!(self.0, engine => engine.retry_dead(handler, force, &test()).await)
    }

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
        on!(self.0, engine => engine.hold_lists().await)
    }

    /// Adds `copies` dead jobs like this one.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn copy_dead(self, id: JobId, copies: i64) {
        on!(self.0, engine => engine.copy_dead(id, copies).await);
    }
}

impl Errors<'_> {
    /// Adds this many groups of errors with markup in their texts, to a store without groups. Group 1 has the newest error.
    /// Each hundredth group is new today.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn add_groups(self, groups: u32) {
        on!(self.0, engine => engine.add_groups(groups).await);
    }
}

impl Maintenance<'_> {
    /// Drops the bodies of accounts beyond their budget, as maintenance does.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn trim(self) {
        on!(self.0, engine => engine.trim().await);
    }

    /// Lets the store hang, like a disk that does not respond, until the returned value is dropped: no read begins, and no
    /// change ends.
    ///
    /// # Panics
    /// The store is closed.
    pub async fn hang(self) -> Box<dyn Send> {
        on!(self.0, engine => Box::new(engine.hang().await))
    }

    /// Returns a flag. While it is set, every statement succeeds but COMMIT fails.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn commit_refusal(self) -> Arc<AtomicBool> {
        on!(self.0, engine => engine.commit_refusal().await)
    }
}
