//! Bulk changes: retries, cancellations and erasures of many jobs.
//!
//! A bulk change is a row in the store. Each step finds some of its jobs on a read-only connection, and the writer
//! changes them in one small transaction that also moves the change forward. So a crash neither repeats nor forgets a
//! job, and requests do not wait. The owner of the store continues all changes that it finds. Two
//! processes may work on the same change: a step that begins where another one has already been does nothing.
//!
//! A change goes from newer to older jobs, and never to jobs that are newer than itself.

mod apply;
pub(crate) mod find;
pub(crate) mod rows;

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::Filter;

use crate::jobs::bulk::NotFound;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::bulk::apply::{ApplyBatch, End, Start};
use crate::records::NewBulk;
use crate::{ActionResult, Actor, Bulk, BulkAction, BulkPlan, Erasable, Erasure, StoreError};

impl Engine {
    pub(crate) async fn begin_bulk(&self, new: NewBulk) -> Result<u64, StoreError> {
        let id = self.execute(Start(new)).await?;
        self.bulk_waits.store(true, Ordering::Relaxed);
        Ok(id)
    }

    pub(crate) async fn begin_erasure(
        &self,
        by: &Actor,
        erasure: Erasure,
        cancels: bool,
    ) -> Result<u64, StoreError> {
        let (by, filter) = (by.clone(), erasure.to_string());
        let action = BulkAction::Erase;
        self.begin_bulk(NewBulk { by, action, filter, force: cancels, newest: None, max_jobs: None }).await
    }

    /// Counts the jobs that `filter` matches. Takes at most `within`.
    pub(crate) async fn plan_bulk(
        &self,
        filter: &Filter,
        action: BulkAction,
        within: Duration,
    ) -> Result<BulkPlan, StoreError> {
        let _permit = self.list_permit().await?;
        find::plan(self, filter, action, within).await
    }

    /// Returns what an erasure would do.
    pub(crate) async fn erasable(&self, erasure: Erasure) -> Result<Erasable, StoreError> {
        find::erasable(&self.reading, erasure).await
    }

    pub(crate) async fn bulk(&self, id: u64) -> Result<Option<Bulk>, StoreError> {
        rows::one(&self.reading, id).await
    }

    /// Returns the changes that continue, oldest first.
    pub(crate) async fn running_bulks(&self) -> Result<Vec<Bulk>, StoreError> {
        rows::running(&self.reading).await
    }

    /// Stops a change. Returns `false` if it has already ended, or does not exist.
    pub(crate) async fn stop_bulk(&self, id: u64, by: &Actor) -> Result<bool, StoreError> {
        self.execute(End { id, result: ActionResult::Stopped, by: Some(by.clone()) }).await
    }

    /// Does the next part of a change. Returns the change after it.
    pub(crate) async fn step_bulk(&self, bulk: Bulk) -> Result<Bulk, StoreError> {
        let id = bulk.id;
        match find::batch(self, &bulk).await {
            Ok(batch) => {
                let mut from = bulk.before;
                for batch in batch.parts(bulk.action) {
                    let next = batch.next;
                    self.execute(ApplyBatch { id, from, batch, now: self.moment() }).await?;
                    from = next.unwrap_or(from);
                }
            }
            Err(NotFound::Store(error)) => return Err(error),
            Err(NotFound::Filter(why)) => {
                tracing::error!(
                    bulk.id = id,
                    why,
                    "a bulk change cannot continue: its filter cannot be read"
                );
                self.execute(End { id, result: ActionResult::Failed, by: None }).await?;
            }
        }
        self.bulk(id).await?.ok_or(StoreError::NoBulk(id))
    }
}
