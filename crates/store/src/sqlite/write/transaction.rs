//! The writer's transaction while it runs.

use std::ops::Deref;

use rusqlite::{CachedStatement, Connection};

use crate::StoreError;
use crate::commit::post_commit::PostCommit;
use crate::jobs::accept::Key;
use crate::jobs::failures::Failure;
use crate::sqlite::write::account_bytes;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::error_groups;
use crate::sqlite::write::known_keys::Known;
use crate::time::{Moment, StoreClock};

/// A transaction, with the changes to apply after COMMIT, and its time. It dereferences to the connection. Dropping it
/// without a COMMIT rolls it back.
pub(crate) struct Transaction<'c> {
    connection: &'c Connection,
    pub(crate) post_commit: PostCommit,
    /// New idempotency keys.
    pub(crate) new_keys: Vec<(Key, Known)>,
    /// The failures of jobs in this transaction.
    pub(crate) failures: Vec<Failure>,
    /// When the transaction got the lock. BEGIN may have waited long for another process.
    pub(crate) moment: Moment,
}

const COUNT: &str = "UPDATE job_counts SET jobs = jobs + :change WHERE state = :state";

impl<'c> Transaction<'c> {
    /// Begins a transaction that may write at once.
    pub(crate) fn begin(connection: &'c Connection, clock: &StoreClock) -> Result<Self, StoreError> {
        execute!(connection, "BEGIN IMMEDIATE", {});
        let (post_commit, new_keys, failures) = (PostCommit::default(), Vec::new(), Vec::new());
        Ok(Self { connection, post_commit, new_keys, failures, moment: clock.moment() })
    }

    /// Prepares a statement, or finds it in the cache. It does not borrow the transaction, so the changes to apply after
    /// COMMIT can be recorded while it runs.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<CachedStatement<'c>, rusqlite::Error> {
        self.connection.prepare_cached(sql)
    }

    /// Updates the counts of jobs and bytes and the groups of errors, and commits. Returns the changes to apply, and the new
    /// keys to remember.
    pub(crate) fn commit(mut self) -> Result<(PostCommit, Vec<(Key, Known)>), StoreError> {
        error_groups::write(&self, &self.failures, self.moment)?;
        account_bytes::add(&self, &self.post_commit.bytes.bytes())?;
        for (state, change) in self.post_commit.counts() {
            execute!(self, COUNT, { "change" => change, "state" => state.as_str() });
        }
        execute!(self, "COMMIT", {});
        Ok((std::mem::take(&mut self.post_commit), std::mem::take(&mut self.new_keys)))
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After some errors, such as a full disk, SQLite has already rolled back.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a failed transaction could not be rolled back");
        }
    }
}
