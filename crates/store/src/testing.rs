//! Hooks into the engine, for the tests of the public interface: they hold or kill the writer, run single steps of
//! maintenance, and read the state in memory. Every engine provides them.
#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use model::{CheckedCompletion, JobId, Timestamp};

use crate::budget::Budgets;
use crate::engine::{Engine, on};
use crate::jobs::listing::page::Bounds;
use crate::records::By;
use crate::time::{Cutoff, Moment};
use crate::{Completed, JobFilter, Page, Retention, StoreError, postgres, sqlite};

impl Engine {
    pub(crate) fn moment(&self) -> Moment {
        on!(self, engine => engine.moment())
    }

    /// The bytes and requests of each account, in memory.
    pub(crate) fn budgets(&self) -> &Budgets {
        on!(self, engine => &engine.budgets)
    }

    /// Holds the writer until a `send` on the returned sender. Operations sent in the meantime then share one
    /// transaction.
    pub(crate) async fn hold(&self) -> oneshot::Sender<()> {
        on!(self, engine => engine.hold().await)
    }

    /// Waits until `operations` operations wait for the writer. More than a hundred must be sent `unconstrained`,
    /// because tokio counts a slot of the channel as taken before it is filled.
    pub(crate) async fn gathered(&self, operations: usize) {
        on!(self, engine => engine.operations.gathered(operations).await);
    }

    /// The number of operations that wait for the writer.
    pub(crate) fn waiting(&self) -> usize {
        on!(self, engine => engine.operations.waiting())
    }

    /// Ends the writer like a kill: nothing is handed back, and nothing is closed.
    pub(crate) async fn die(&self) {
        on!(self, engine => engine.die().await);
    }

    /// Makes the writer panic.
    pub(crate) async fn abort_writer(&self) {
        on!(self, engine => engine.abort_writer().await);
    }

    /// Frees leases up to `until`, or all of them. Returns how many.
    pub(crate) async fn free_leases(
        &self,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self, engine => engine.free_leases(until, now).await)
    }

    /// Reads all lanes and the bytes of all accounts.
    pub(crate) async fn reload(&self) {
        on!(self, engine => engine.reload().await);
    }

    /// Completes a job.
    pub(crate) async fn complete(
        &self,
        id: JobId,
        completion: CheckedCompletion,
        by: By,
    ) -> Result<Completed, StoreError> {
        on!(self, engine => engine.complete(id, completion, by).await)
    }

    /// Releases failed deliveries, `limit` per transaction.
    pub(crate) async fn release_failed_in_parts(
        &self,
        origin: Arc<str>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<u64, StoreError> {
        on!(self, engine => engine.release_failed_in_parts(origin, since, limit).await)
    }

    /// Stores the service time.
    pub(crate) async fn note_time(&self) -> Result<(), StoreError> {
        on!(self, engine => engine.note_time().await)
    }

    /// Whether a deletion of finished jobs searches for them before it reaches the writer.
    pub(crate) const fn searches_first(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Deletes finished jobs in one transaction. Returns how many.
    pub(crate) async fn delete_finished(&self, before: Cutoff) -> Result<u64, StoreError> {
        on!(self, engine => engine.delete_finished(before).await)
    }

    /// Drops the bodies of delivered and cancelled jobs that finished before `before`.
    pub(crate) async fn drop_bodies_before(&self, before: Cutoff) {
        on!(self, engine => engine.drop_bodies_before(before).await);
    }

    /// Moves idempotency keys to where they stay until they expire.
    pub(crate) async fn move_keys(&self, now: Cutoff, min_keys: usize) -> Result<(), StoreError> {
        on!(self, engine => engine.move_keys(now, min_keys).await)
    }

    /// Begins to move idempotency keys and stops halfway. Returns whether there were any.
    pub(crate) async fn move_some_keys(&self, now: Cutoff) -> bool {
        on!(self, engine => engine.move_some_keys(now).await)
    }

    /// Deletes idempotency keys of expired tokens. Returns how many.
    pub(crate) async fn forget_keys(&self, now: Cutoff) -> Result<u64, StoreError> {
        on!(self, engine => engine.forget_keys(now).await)
    }

    /// Reads a page of a list within `bounds`.
    pub(crate) async fn page(
        &self,
        asked: &JobFilter,
        now: Timestamp,
        bounds: &Bounds<'_>,
    ) -> Result<Page, StoreError> {
        on!(self, engine => engine.page(asked, now, bounds).await)
    }

    /// Adds runs of a few jobs each to the search index, from all jobs received before now. Returns how many.
    pub(crate) async fn index_few(&self) -> u32 {
        on!(self, engine => engine.index_few().await)
    }

    /// Removes the runs of the search index without jobs.
    pub(crate) async fn delete_empty_runs(&self) -> Result<(), StoreError> {
        on!(self, engine => engine.delete_empty_runs().await)
    }

    /// Returns the stored bytes of each account: of its unfinished jobs, and of all its jobs.
    pub(crate) async fn stored_bytes(&self) -> BTreeMap<i64, (u64, u64)> {
        on!(self, engine => engine.stored_bytes().await)
    }
}

/// Maintenance that takes a step only when a test asks for one.
pub(crate) enum Ticks {
    Sqlite(sqlite::testing::Ticks),
    Postgres(postgres::testing::hooks::Ticks),
}

impl Ticks {
    pub(crate) fn new(engine: &Engine, retention: Retention) -> Self {
        match engine {
            Engine::Sqlite(engine) => Self::Sqlite(sqlite::testing::Ticks::new(engine, retention)),
            Engine::Postgres(engine) => {
                Self::Postgres(postgres::testing::hooks::Ticks::new(engine, retention))
            }
        }
    }

    /// Does the work that is due after another second.
    pub(crate) async fn tick(&mut self) {
        match self {
            Self::Sqlite(ticks) => ticks.tick().await,
            Self::Postgres(ticks) => ticks.tick().await,
        }
    }
}
