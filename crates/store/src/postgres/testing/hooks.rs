//! Hooks into the engine, for tests of the public interface: they hold or kill the writer, run single steps of
//! maintenance, and read the state in memory.
#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;

use crate::jobs::search::run::RunSize;
use crate::jobs::search::watch::Indexed;
use crate::lock::lock;
use crate::maintenance::bodies::Walked;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::lane_reload::{LoadSchedule, ReloadLanes};
use crate::postgres::jobs::list::{self, Bounds};
use crate::postgres::jobs::search::index::IndexRun;
use crate::postgres::maintenance::delete::DeletedUntil;
use crate::postgres::maintenance::keys::ForgottenKeys;
use crate::postgres::maintenance::leases::FreeLeases;
use crate::postgres::maintenance::schedule::Schedule;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::Cutoff;
use crate::{JobFilter, Page, Retention, StoreError};

impl Engine {
    /// Ends the writer and the connections like a kill: nothing is handed back, and nothing is said to the server.
    pub(crate) async fn die(&self) {
        self.operations.close();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            drop(writer.await.unwrap());
        }
        drop(self.owner_lock.lock().await.take());
    }

    /// Makes the writer panic.
    pub(crate) async fn abort_writer(&self) {
        let _closed = self.execute(Panic).await;
    }

    /// Frees leases up to `until`, or all of them. Returns how many.
    pub(crate) async fn free_leases(
        &self,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.execute(FreeLeases { until, now }).await
    }

    /// Reads all unfinished jobs, all lanes, and the bytes of all accounts.
    pub(crate) async fn reload(&self) {
        self.execute(LoadSchedule).await.unwrap();
        self.execute(ReloadLanes).await.unwrap();
    }

    /// Deletes finished jobs in one transaction. Returns how many.
    pub(crate) async fn delete_finished(&self, before: Cutoff) -> Result<u64, StoreError> {
        self.delete_chunk(&mut DeletedUntil::default(), before).await.map(|deleted| deleted.jobs)
    }

    /// Reads a page of a list within `bounds`.
    pub(crate) async fn page(
        &self,
        asked: &JobFilter,
        now: Timestamp,
        bounds: &Bounds<'_>,
    ) -> Result<Page, StoreError> {
        list::page(&self.reading, asked, now, bounds).await
    }

    /// Adds runs of a few jobs each to the search index, from all jobs received before now. Returns how many.
    pub(crate) async fn index_few(&self) -> u32 {
        self.index(RunSize { run: 5, block: 2 }).await
    }

    async fn index(&self, size: RunSize) -> u32 {
        let mut runs = 0;
        loop {
            let (progress, before) = (self.search_progress.clone(), self.moment().calendar);
            match self.execute(IndexRun { progress, size, before }).await.unwrap() {
                Indexed::Run => runs += 1,
                Indexed::Removed => {}
                Indexed::TooFew(_) => return runs,
            }
        }
    }

    /// Deletes idempotency keys of expired tokens. Returns how many.
    pub(crate) async fn forget_keys(&self, now: Cutoff) -> Result<u64, StoreError> {
        self.forget_chunk(&mut ForgottenKeys::default(), now).await.map(|forgotten| forgotten.keys)
    }

    /// Has nothing to do: keys do not move.
    #[allow(clippy::unused_async, reason = "the other engine moves keys")]
    pub(crate) async fn move_keys(&self, _now: Cutoff, _min_keys: usize) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns `false`: keys do not move.
    pub(crate) async fn move_some_keys(&self, _now: Cutoff) -> bool {
        false
    }

    /// Drops the bodies of delivered and cancelled jobs that finished before `before`.
    pub(crate) async fn drop_bodies_before(&self, before: Cutoff) {
        self.drop_aged(&mut Walked::default(), before).await.unwrap();
    }

    /// Returns the stored bytes of each account: of its unfinished jobs, and of all its jobs.
    pub(crate) async fn stored_bytes(&self) -> BTreeMap<i64, (u64, u64)> {
        let sql = "SELECT account_id, unfinished, stored FROM account_bytes WHERE stored > 0";
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(sql).fetch_all(&self.reading).await.unwrap();
        let bytes = |(account, unfinished, stored): (i64, i64, i64)| {
            (account, (unfinished.unsigned_abs(), stored.unsigned_abs()))
        };
        rows.into_iter().map(bytes).collect()
    }
}

/// See [`Engine::abort_writer`].
struct Panic;

impl Command for Panic {
    type Answer = ();

    async fn apply(&self, _: &mut Transaction) -> Result<(), StoreError> {
        panic!("a test ends the writer")
    }
}

/// Maintenance that takes a step only when a test asks for one.
pub(crate) struct Ticks {
    engine: Arc<Engine>,
    schedule: Schedule,
}

impl Ticks {
    pub(crate) fn new(engine: &Arc<Engine>, retention: Retention) -> Self {
        Self { engine: engine.clone(), schedule: Schedule::new(engine, retention) }
    }

    /// Does the work that is due after another second.
    pub(crate) async fn tick(&mut self) {
        self.schedule.step(&self.engine).await;
    }
}
