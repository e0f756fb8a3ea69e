//! The handle for operators. Each change through it is in the log of actions.

use std::sync::Arc;
use std::time::Duration;

use model::{AccountKey, CheckedCompletion, Filter, HandlerName, JobId};

use crate::engine::{Engine, on};
use crate::records::{By, NewBulk, kept_filter};
use crate::{
    ActionKind, ActionResult, Actor, Bulk, BulkAction, BulkOrder, BulkPlan, Cause, Completed, Erasable,
    Erasure, RetriedDead, RetryOptions, StoreError,
};

/// The changes that operators make, on behalf of one of them. A change and its row in the log of actions are written
/// together.
#[derive(Clone)]
pub struct Operator<'s> {
    pub(super) engine: &'s Engine,
    pub(super) by: Actor,
}

impl Operator<'_> {
    /// Cancels an unfinished job. This does not stop a handler that is running, but the store drops its result.
    ///
    /// # Errors
    /// There is no such job, it is already finished, or the store cannot be written.
    pub async fn cancel(&self, id: JobId) -> Result<(), StoreError> {
        on!(self.engine, engine => engine.cancel(id, &self.by).await)
    }

    /// Delivers a dead or gone job again, or a waiting one at once, with a new time budget.
    ///
    /// # Errors
    /// There is no such job, its state does not allow it, its texts were erased, a newer job has the same `return_url`,
    /// the job has no completion of its handler to send, or the store cannot be written.
    pub async fn retry_with(&self, id: JobId, options: RetryOptions) -> Result<(), StoreError> {
        on!(self.engine, engine => engine.retry_with(id, options, &self.by).await)
    }

    /// Delivers all dead jobs again, or those of one handler. Without `force`, skips jobs that a newer job supersedes.
    /// Takes each job at most once, even if it dies again in the meantime.
    ///
    /// # Errors
    /// The store cannot be read or written. Some jobs may already be retried.
    pub async fn retry_dead(
        &self,
        handler: Option<HandlerName>,
        force: bool,
    ) -> Result<RetriedDead, StoreError> {
        on!(self.engine, engine => engine.retry_dead(handler, force, &self.by).await)
    }

    /// Delivers the dead jobs of a group of errors again: those whose last failure belongs to it. Without `force`, skips jobs
    /// that a newer job supersedes. Takes each job at most once, even if it dies again in the meantime.
    ///
    /// # Errors
    /// The store cannot be read or written. Some jobs may already be retried.
    pub async fn retry_group(&self, group: i64, force: bool) -> Result<RetriedDead, StoreError> {
        on!(self.engine, engine => engine.retry_group(group, force, &self.by).await)
    }

    /// Gives a job its completion in place of its handler, also when the job's time to answer is over.
    ///
    /// # Errors
    /// There is no such job, it has a completion, it is finished, or the store cannot be written.
    pub async fn complete(&self, id: JobId, completion: CheckedCompletion) -> Result<(), StoreError> {
        match on!(self.engine, engine => engine.complete(id, completion, By::Operator(self.by.clone())).await)?
        {
            Completed::Accepted => Ok(()),
            Completed::Before(state) | Completed::TooLate(state) => Err(StoreError::WrongState {
                id,
                state,
                allowed: "only a job that has no completion yet can be completed",
            }),
        }
    }

    /// Counts the jobs that `filter` matches and that `action` may change, without changing them. Narrow the filter with
    /// [`BulkAction::narrow`] first.
    ///
    /// # Errors
    /// [`StoreError::SlowFilter`] if this takes longer than `within`. [`StoreError::TooManyLists`] if too many lists are
    /// already being read. Other errors: the store cannot be read.
    pub async fn plan_bulk(
        &self,
        filter: &Filter,
        action: BulkAction,
        within: Duration,
    ) -> Result<BulkPlan, StoreError> {
        on!(self.engine, engine => engine.plan_bulk(filter, action, within).await)
    }

    /// Begins a bulk change: of the jobs that match its filter when their turn comes, none of them newer than its newest
    /// one, and at most its number. Returns its number. The owner of the store continues it, and
    /// [`step_bulk`](Self::step_bulk) does so at once.
    ///
    /// # Errors
    /// [`StoreError::LongFilter`] if the filter is too long; or the store cannot be written.
    pub async fn begin_bulk(&self, order: BulkOrder) -> Result<u64, StoreError> {
        let BulkOrder { action, filter, force, newest, max_jobs } = order;
        let filter = filter.to_string();
        kept_filter(&filter).map_err(|error| StoreError::LongFilter(Cause::of(error)))?;
        let (by, newest, max_jobs) = (self.by.clone(), Some(newest), Some(max_jobs));
        on!(self.engine, engine => engine.begin_bulk(NewBulk { by, action, filter, force, newest, max_jobs }).await)
    }

    /// Returns how many jobs an erasure concerns. Reads all jobs once.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn erasable(&self, erasure: Erasure) -> Result<Erasable, StoreError> {
        on!(self.engine, engine => engine.erasable(erasure).await)
    }

    /// Begins to erase the texts of all finished jobs that `erasure` selects; with `cancels`, also those of unfinished
    /// jobs, which it cancels. Returns the number of the bulk change. The owner of the store continues it, and
    /// [`step_bulk`](Self::step_bulk) does so at once.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn begin_erasure(&self, erasure: Erasure, cancels: bool) -> Result<u64, StoreError> {
        on!(self.engine, engine => engine.begin_erasure(&self.by, erasure, cancels).await)
    }

    /// Returns a bulk change; `None` if there is no such change.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn bulk(&self, id: u64) -> Result<Option<Bulk>, StoreError> {
        on!(self.engine, engine => engine.bulk(id).await)
    }

    /// Does the next part of a bulk change. Returns the change after it. Harmless if another process does the same.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn step_bulk(&self, bulk: Bulk) -> Result<Bulk, StoreError> {
        on!(self.engine, engine => engine.step_bulk(bulk).await)
    }

    /// Stops a bulk change. Returns `false` if it has already ended, or does not exist.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn stop_bulk(&self, id: u64) -> Result<bool, StoreError> {
        on!(self.engine, engine => engine.stop_bulk(id, &self.by).await)
    }

    /// Deletes an account and its tokens. Returns whether it existed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_account(&self, key: AccountKey) -> Result<bool, StoreError> {
        on!(self.engine, engine => engine.remove_account(key, &self.by).await)
    }

    /// Asks the bridge that owns the store to try the account at `origin` now.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn ask_resume(&self, origin: Arc<str>) -> Result<(), StoreError> {
        on!(self.engine, engine => engine.ask_resume(origin, &self.by).await)
    }

    /// Records that a person has seen the bodies of a job.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record_reveal(&self, id: JobId) -> Result<(), StoreError> {
        on!(self.engine, engine => engine.record_reveal(&self.by, id).await)
    }

    /// Records an action that changes nothing in the store, such as a backup. `target` is the file or the account.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record(
        &self,
        kind: ActionKind,
        target: impl Into<String>,
        result: ActionResult,
    ) -> Result<(), StoreError> {
        on!(self.engine, engine => engine.record_action(&self.by, kind, target.into(), result).await)
    }
}
