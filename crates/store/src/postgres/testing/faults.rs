//! For tests: brings a store into a state that otherwise takes time or a failing disk.
#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::SemaphorePermit;

use model::{JobId, StateName};

use crate::StoreError;
use crate::jobs::failures::hour;
use crate::maintenance::bodies::Walked;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::list::MAX_CONCURRENT_LISTS;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;

impl Engine {
    pub(crate) async fn hold_lists(&self) -> SemaphorePermit<'_> {
        self.lists.acquire_many(u32::try_from(MAX_CONCURRENT_LISTS).unwrap()).await.unwrap()
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

/// Makes COMMIT fail while the flag is set.
struct RefuseCommits(Arc<AtomicBool>);

impl Command for RefuseCommits {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        transaction.refuse_commits(self.0.clone());
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

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let copy = "WITH copies AS (INSERT INTO jobs (id, state, handler, account_id, origin, return_url, outcome, \
             received_at, waiting_since, answer_by, finished_at, finished_service_at, body_bytes) \
             SELECT gen_random_uuid(), state, handler, account_id, origin, return_url || n, outcome, received_at, \
             waiting_since, answer_by, finished_at, finished_service_at, body_bytes \
             FROM jobs, generate_series(1, $2) AS n WHERE id = $1 RETURNING id) \
             INSERT INTO job_bodies (id, kind, body) SELECT copies.id, kind, body FROM copies, job_bodies \
             WHERE job_bodies.id = $1";
        transaction.execute(sqlx::query(copy).bind(self.id.as_uuid()).bind(self.copies)).await?;
        transaction.post_commit.count(StateName::Dead, self.copies);
        Ok(())
    }
}

/// Adds groups of errors, more than the writer would keep.
struct AddGroups(u32);

impl Command for AddGroups {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let (groups, now) = (i64::from(self.0), transaction.moment.calendar.as_millis());
        let add = "INSERT INTO error_groups (id, stage, handler, text, failures, first_at, last_at, last_service_at, sample) \
             OVERRIDING SYSTEM VALUE SELECT n, CASE n % 2 WHEN 0 THEN 'handler' ELSE 'delivery' END, \
             CASE n % 2 WHEN 0 THEN 'handler-' || n ELSE '' END, \
             '<script>alert(' || n || ')</script> ' || repeat('0', 120), 3 * n, \
             $2 - CASE n % 100 WHEN 0 THEN 1000 * n ELSE 172800000 END, $2 - 1000 * n, $2, \
             lpad(to_hex(n), 32, '0')::uuid FROM generate_series(1, $1) AS n";
        transaction.execute(sqlx::query(add).bind(groups).bind(now)).await?;
        let hours = "INSERT INTO error_hours (group_id, hour, failures) \
             SELECT g.id, $1 - 3 * ago, 1 + g.id % (7 + ago) FROM error_groups AS g, generate_series(0, 7) AS ago";
        transaction.execute(sqlx::query(hours).bind(hour(now))).await?;
        // The next groups get the numbers after these.
        let numbers = "SELECT setval(pg_get_serial_sequence('error_groups', 'id'), $1)";
        transaction.read(sqlx::query(numbers).bind(groups)).await?;
        Ok(())
    }
}
