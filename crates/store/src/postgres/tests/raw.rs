//! Reads and changes the database of a test beside the store.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Place;
use super::conformance::Home;

impl Home {
    /// Whether PostgreSQL is not installed, so that a test of it ends without testing anything.
    pub(super) fn is_without_server(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// Opens a connection that enforces none of the store's rules except the schema.
    pub(super) async fn raw(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// Runs a statement. Returns how many rows it has changed.
    pub(super) async fn run(&self, sql: &str) -> u64 {
        let mut raw = self.raw().await;
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut raw).await.unwrap().rows_affected()
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        let mut raw = self.raw().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut raw).await.unwrap()
    }

    /// Reads a column of texts.
    pub(super) async fn texts(&self, sql: &str) -> Vec<String> {
        let mut raw = self.raw().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut raw).await.unwrap()
    }
}
