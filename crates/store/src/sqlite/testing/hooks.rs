//! Hooks into the engine, for tests of the public interface: they hold or kill the writer, run single steps of
//! maintenance, and read the state in memory. Every engine has to provide them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Timestamp;

use crate::sqlite::engine::{Engine, lock};
use crate::sqlite::jobs::lane_reload::ReloadLanes;
use crate::sqlite::jobs::search::index::{IndexRun, Indexed};
use crate::sqlite::jobs::search::run::RunSize;
use crate::sqlite::maintenance::bodies::Walked;
use crate::sqlite::maintenance::delete::DeleteFinished;
use crate::sqlite::maintenance::keys::{ForgetKeys, MoveKeys};
use crate::sqlite::maintenance::leases::FreeLeases;
use crate::sqlite::maintenance::schedule::Schedule;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;
use crate::{Retention, StoreError};

/// Returns the file of a store in `folder`.
pub(crate) fn file_in(folder: &Path) -> PathBuf {
    folder.join("bridge.db")
}

/// Returns the URL of a store in `folder`.
pub(crate) fn url_in(folder: &Path) -> String {
    format!("sqlite:{}", file_in(folder).display())
}

impl Engine {
    /// Waits until `operations` operations wait for the writer. More than a hundred must be sent `unconstrained`,
    /// because tokio counts a slot of the channel as taken before it is filled.
    pub(crate) async fn gathered(&self, operations: usize) {
        let sender = lock(&self.operations).clone().unwrap();
        while sender.max_capacity() - sender.capacity() < operations {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the writer has taken all operations from its channel.
    pub(crate) async fn taken(&self) {
        let sender = lock(&self.operations).clone().unwrap();
        while sender.capacity() < sender.max_capacity() {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the writer like a kill: nothing is handed back, and nothing is closed.
    pub(crate) async fn die(&self) {
        lock(&self.operations).take();
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
