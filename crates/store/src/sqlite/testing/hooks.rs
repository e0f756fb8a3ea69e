//! Hooks into the engine, for tests of the public interface: they hold or kill the writer, run single steps of
//! maintenance, and read the state in memory. Every engine has to provide them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Timestamp;

use crate::jobs::search::run::RunSize;
use crate::jobs::search::watch::Indexed;
use crate::lock::lock;
use crate::maintenance::bodies::Walked;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::lane_reload::ReloadLanes;
use crate::sqlite::jobs::list::{self, Bounds};
use crate::sqlite::jobs::search::index::IndexRun;
use crate::sqlite::maintenance::delete::DeleteFinished;
use crate::sqlite::maintenance::keys::{ForgetKeys, MoveKeys};
use crate::sqlite::maintenance::leases::FreeLeases;
use crate::sqlite::maintenance::schedule::Schedule;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;
use crate::{JobFilter, Page, Retention, StoreError};

/// Returns the file of a store in `folder`.
pub(crate) fn file_in(folder: &Path) -> PathBuf {
    folder.join("bridge.db")
}

/// The place of a test's store: a file.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Returns the place of the store in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self(file_in(folder))
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }
}

impl Engine {
    /// Ends the writer like a kill: nothing is handed back, and nothing is closed.
    pub(crate) async fn die(&self) {
        self.operations.close();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            drop(writer.await.unwrap());
        }
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

    /// Reads all lanes and the bytes of all accounts.
    pub(crate) async fn reload(&self) {
        self.execute(ReloadLanes).await.unwrap();
    }

    /// Deletes finished jobs in one transaction. Returns how many.
    pub(crate) async fn delete_finished(&self, before: Cutoff) -> Result<u64, StoreError> {
        self.execute(DeleteFinished { before }).await.map(|deleted| deleted.jobs)
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

    /// The same with runs of the standard size.
    pub(crate) async fn index_all(&self) -> u32 {
        self.index(RunSize::STANDARD).await
    }

    async fn index(&self, size: RunSize) -> u32 {
        let mut runs = 0;
        loop {
            let (progress, before) = (self.search_progress.clone(), self.moment().calendar);
            let run = IndexRun { progress, size, before };
            match self.execute(run).await.unwrap() {
                Indexed::Run => runs += 1,
                Indexed::Removed => {}
                Indexed::TooFew(_) => return runs,
            }
        }
    }

    /// Deletes idempotency keys of expired tokens. Returns how many.
    pub(crate) async fn forget_keys(&self, now: Cutoff) -> Result<u64, StoreError> {
        self.execute(ForgetKeys { now }).await
    }

    /// Begins to move idempotency keys and stops halfway. Returns whether there were any.
    pub(crate) async fn move_some_keys(&self, now: Cutoff) -> bool {
        let keys = self.keys.clone();
        keys.start_move(1) && self.execute(MoveKeys { keys, after: None, now }).await.unwrap().is_some()
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

    /// Runs any SQL inside the writer's transaction, on the writer's connection.
    pub(crate) async fn sql(&self, sql: impl Into<String>) -> Result<(), StoreError> {
        self.execute(Sql(sql.into())).await
    }
}

/// See [`Engine::abort_writer`].
struct Panic;

impl Command for Panic {
    type Answer = ();

    fn apply(&self, _: &mut Transaction<'_>) -> Result<(), StoreError> {
        panic!("a test ends the writer")
    }
}

/// See [`Engine::sql`].
struct Sql(String);

impl Command for Sql {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(transaction.execute_batch(&self.0)?)
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
