//! The writer's transaction while it runs.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use model::StateName;

use crate::StoreError;
use crate::budget::Change;
use crate::sqlite::write::account_bytes::{ADD_CHANGES, push_change};
use crate::sqlite::write::post_commit::PostCommit;
use crate::sqlite::write::statement::{FEW_ROWS, RowsStatement, Script, Values, rows_statement};
use crate::time::{Moment, StoreClock};

/// The state shared by the steps of a transaction: the connection, the post-commit changes, and the time.
pub(crate) struct Transaction<'c> {
    pub(crate) connection: &'c mut SqliteConnection,
    pub(crate) post_commit: PostCommit,
    /// When the transaction got the lock.
    pub(crate) moment: Moment,
    script: Script,
}

impl<'c> Transaction<'c> {
    /// Begins a transaction. `BEGIN` runs together with the first statement.
    ///
    /// BEGIN and COMMIT are plain statements, not sqlx transactions. On a full disk SQLite itself rolls back. sqlx
    /// would not notice, and would refuse every later transaction.
    pub(crate) fn begin(connection: &'c mut SqliteConnection, clock: &StoreClock) -> Self {
        let mut script = Script::default();
        script.plain("BEGIN IMMEDIATE");
        Self { connection, post_commit: PostCommit::default(), moment: clock.moment(), script }
    }

    /// Reads the time again, because BEGIN may have waited long for another process.
    pub(crate) fn read_clock(&mut self, clock: &StoreClock) {
        self.moment = clock.moment();
    }

    /// Writes `items`. The result is not needed, so the statement runs together with the next one.
    pub(crate) async fn add<T>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<(), StoreError> {
        self.script.add(self.connection, statement, items, push).await
    }

    /// Runs all added statements, and then `statement` over `items`. Returns its rows in no particular order.
    pub(crate) async fn ask<T>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        self.script.ask(self.connection, statement, items, push).await
    }

    /// Runs all added statements. Returns the connection, and the changes to apply after COMMIT.
    pub(crate) async fn open(&mut self) -> Result<(&mut SqliteConnection, &mut PostCommit), StoreError> {
        self.script.run(self.connection).await?;
        Ok((self.connection, &mut self.post_commit))
    }

    /// Updates the counts of jobs and bytes, and commits.
    pub(crate) async fn commit(mut self) -> Result<PostCommit, StoreError> {
        let bytes = self.post_commit.bytes.bytes();
        let push = |(account, change): &(i64, Change), row: &mut Values| {
            push_change(*account, change, row);
        };
        if bytes.len() > FEW_ROWS {
            self.add(&ADD_CHANGES, &bytes, push).await?;
        } else if !bytes.is_empty() {
            self.script.add_padded(&ADD_CHANGES, &bytes, push);
        }
        let changes: Vec<_> = self.post_commit.counts().collect();
        if !changes.is_empty() {
            self.script.add_padded(&COUNTS, &changes, |(state, change), row| {
                push_count(*state, *change, row);
            });
        }
        self.script.plain("COMMIT");
        self.script.run(self.connection).await?;
        Ok(self.post_commit)
    }
}

rows_statement! {
    const COUNTS, fn push_count(state: StateName, change: i64);
    "WITH change (" {
        "state" => state.as_str(),
        "jobs" => change,
    }
    ") AS (VALUES "
    ") UPDATE job_counts SET jobs = job_counts.jobs + change.jobs FROM change \
            WHERE job_counts.state = change.state"
}
