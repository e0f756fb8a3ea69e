//! For tests of this crate and of its users: a store in a state that only time or a failing disk would bring about.
#![allow(clippy::unwrap_used, reason = "only tests get here")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{JobId, StateName};
use sqlx::SqliteConnection;
use tokio::sync::SemaphorePermit;

use crate::sqlite::jobs::list::LISTS;
use crate::sqlite::maintenance::bodies::Walked;
use crate::sqlite::write::command::Request;
use crate::sqlite::write::post_commit::Effects;
use crate::{RetryOptions, Store, StoreError};

impl Store {
    /// Delivers what was sent last again.
    ///
    /// # Errors
    /// As [`retry_with`](Self::retry_with).
    pub async fn retry(&self, id: JobId) -> Result<(), StoreError> {
        self.retry_with(id, RetryOptions::default()).await
    }

    /// Takes all turns, as lists do that are read for long.
    ///
    /// # Panics
    /// The store is closed.
    pub async fn hold_lists(&self) -> SemaphorePermit<'_> {
        self.0.lists.acquire_many(u32::try_from(LISTS).unwrap()).await.unwrap()
    }

    /// Drops what is beyond the budget, as maintenance does.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn trim(&self) {
        self.drop_beyond_budget(&mut Walked::default()).await.unwrap();
    }

    /// More dead jobs like this one.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn copy_dead(&self, id: JobId, copies: i64) {
        self.ask(CopyDead { id, copies }).await.unwrap();
    }

    /// A flag: while it is set, no transaction can be committed, though each statement in it succeeds.
    ///
    /// # Panics
    /// The store cannot be written.
    pub async fn commit_refusal(&self) -> Arc<AtomicBool> {
        let refuses = Arc::new(AtomicBool::new(false));
        self.ask(RefuseCommits(refuses.clone())).await.unwrap();
        refuses
    }
}

/// Lets COMMIT fail at its very end for as long as the flag is set.
struct RefuseCommits(Arc<AtomicBool>);

impl Request for RefuseCommits {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<(), StoreError> {
        let refuses = self.0.clone();
        connection.lock_handle().await?.set_commit_hook(move || !refuses.load(Ordering::SeqCst));
        Ok(())
    }
}

/// See [`Store::copy_dead`].
struct CopyDead {
    id: JobId,
    copies: i64,
}

impl Request for CopyDead {
    type Answer = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) \
             INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, completion, outcome, \
             received_at, waiting_since, answer_by, finished_at, finished_service_at) SELECT randomblob(16), state, handler, account_id, origin, \
             return_url || i, data, completion, outcome, received_at, waiting_since, answer_by, finished_at, \
             finished_service_at FROM jobs, n WHERE id = ?1",
        )
        .bind(self.id.as_uuid())
        .bind(self.copies)
        .execute(connection)
        .await?;
        effects.count(StateName::Dead, self.copies);
        Ok(())
    }
}
