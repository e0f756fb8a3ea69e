//! Tests of what is specific to SQLite: its files, schema, query plans, single statements, and damaged rows.

mod accept;
mod accounts;
mod ages;
mod attempts;
mod backup;
mod bodies;
mod budget;
mod claims;
mod commit;
mod corrupt;
mod disk;
mod erase;
mod hand_over;
mod idle;
mod jumps;
mod keep;
mod lanes;
mod list_plans;
mod lists;
mod log;
mod oauth;
mod open;
mod operator;
mod permissions;
mod plans;
mod privacy;
mod replaced;
mod retry;
mod schema;
mod search;
mod stale;
mod supersede;
mod unclaimed;
mod unfinished;
mod waits;

use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Execute, SqliteConnection};

use super::write::command::{Command, Queued};
use super::write::transaction::Transaction;
use crate::commit::message::Message;
use crate::tests::*;

impl Home {
    fn file(&self) -> PathBuf {
        crate::sqlite::testing::file_in(self.folder.path())
    }

    /// Opens a connection that enforces none of the store's rules except the schema.
    async fn raw(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file()).busy_timeout(COMMIT_TIMEOUT);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    async fn run(&self, sql: &str) -> u64 {
        let mut raw = self.raw().await;
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut raw).await.unwrap().rows_affected()
    }

    async fn number(&self, sql: &str) -> i64 {
        let mut raw = self.raw().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut raw).await.unwrap()
    }
}
