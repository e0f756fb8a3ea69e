//! For tests: brings a store into a state that otherwise takes time or a failing disk.
#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::sync::{SemaphorePermit, oneshot};

use model::{JobId, StateName};

use crate::StoreError;
use crate::commit::message::Message;
use crate::jobs::failures::hour;
use crate::lock::lock;
use crate::maintenance::bodies::Walked;
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::list::MAX_CONCURRENT_LISTS;
use crate::sqlite::write::command::{Command, Queued};
use crate::sqlite::write::transaction::Transaction;

impl Engine {
    pub(crate) async fn hold_lists(&self) -> SemaphorePermit<'_> {
        self.lists.acquire_many(u32::try_from(MAX_CONCURRENT_LISTS).unwrap()).await.unwrap()
    }

    pub(crate) async fn hang(&self) -> Hang {
        let mut readers = Vec::new();
        for _ in 0..self.reading.options().get_max_connections() {
            readers.push(self.reading.acquire().await.unwrap());
        }
        Hang { _readers: readers, _writer: self.hold().await }
    }

    /// Holds the writer until a `send` on the returned sender. Operations sent in the meantime then share one
    /// transaction.
    pub(crate) async fn hold(&self) -> oneshot::Sender<()> {
        let (reached, is_reached) = oneshot::channel();
        let (open, is_open) = oneshot::channel();
        let gate = Gate(Mutex::new(Some((reached, is_open))));
        let (command, _) = Queued::new(gate);
        self.operations.send(Message::Command(command)).await.unwrap();
        is_reached.await.unwrap();
        open
    }

    pub(crate) async fn trim(&self) {
        self.drop_beyond_budget(&mut Walked::default()).await.unwrap();
    }

    pub(crate) async fn copy_dead(&self, id: JobId, copies: i64) {
        self.execute(CopyDead { id, copies }).await.unwrap();
    }

    pub(crate) async fn add_groups(&self, groups: u32) {
        self.execute(AddGroups(groups)).await.unwrap();
    }

    pub(crate) async fn commit_refusal(&self) -> Arc<AtomicBool> {
        let refuses = Arc::new(AtomicBool::new(false));
        self.execute(RefuseCommits(refuses.clone())).await.unwrap();
        refuses
    }
}

/// While this exists, no statement of the store begins, and no change ends.
pub(crate) struct Hang {
    _readers: Vec<PoolConnection<Sqlite>>,
    /// Dropping it lets the writer go on.
    _writer: oneshot::Sender<()>,
}

/// Holds the writer inside a transaction, so that operations gather behind it.
struct Gate(Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>);

impl Command for Gate {
    type Answer = ();

    fn apply(&self, _: &mut Transaction<'_>) -> Result<(), StoreError> {
        if let Some((reached, open)) = lock(&self.0).take() {
            let _ = reached.send(());
            let _ = open.blocking_recv();
        }
        Ok(())
    }
}

/// Makes COMMIT fail at its very end while the flag is set.
struct RefuseCommits(Arc<AtomicBool>);

impl Command for RefuseCommits {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let refuses = self.0.clone();
        transaction.commit_hook(Some(move || refuses.load(Ordering::SeqCst)))?;
        Ok(())
    }
}

/// Adds dead jobs like this one.
struct CopyDead {
    id: JobId,
    copies: i64,
}

impl Command for CopyDead {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        transaction.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) \
             INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, completion, outcome, \
             received_at, waiting_since, answer_by, finished_at, finished_service_at) SELECT randomblob(16), state, handler, account_id, origin, \
             return_url || i, data, completion, outcome, received_at, waiting_since, answer_by, finished_at, \
             finished_service_at FROM jobs, n WHERE id = ?1",
            (self.id.as_uuid(), self.copies),
        )?;
        transaction.post_commit.count(StateName::Dead, self.copies);
        Ok(())
    }
}

/// Adds groups of errors, more than the writer would keep.
struct AddGroups(u32);

impl Command for AddGroups {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let now = transaction.moment.calendar.as_millis();
        transaction.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
             INSERT INTO error_groups (id, stage, handler, text, failures, first_at, last_at, last_service_at, sample) \
             SELECT n, CASE n % 2 WHEN 0 THEN 'handler' ELSE 'delivery' END, \
             CASE n % 2 WHEN 0 THEN 'handler-' || n ELSE '' END, \
             '<script>alert(' || n || ')</script> ' || hex(zeroblob(60)), 3 * n, \
             ?2 - CASE n % 100 WHEN 0 THEN 1000 * n ELSE 172800000 END, ?2 - 1000 * n, ?2, \
             unhex(printf('%032x', n)) FROM n",
            (self.0, now),
        )?;
        transaction.execute(
            "INSERT INTO error_hours (group_id, hour, failures) SELECT g.id, ?1 - 3 * ago.value, 1 + g.id % (7 + ago.value) \
             FROM error_groups AS g, json_each('[0, 1, 2, 3, 4, 5, 6, 7]') AS ago",
            [hour(now)],
        )?;
        Ok(())
    }
}
