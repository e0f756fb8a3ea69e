//! Migrations, partitions and the rules of the tables, on a server.

mod checks;
mod migrations;
mod partitions;
mod updates;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use model::Timestamp;

use super::migrate::migrate;
use super::partition_changes::{self, DAYS_AHEAD, ensure};
use super::partitions::{Day, Partition, Table, first_id};
use crate::postgres::testing::{self, Database};
use crate::{Role, StoreError};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

async fn connect(database: &Database) -> PgConnection {
    PgConnection::connect(database.url()).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: impl Into<String>) -> u64 {
    let sql = sql.into();
    let result = connection.execute(AssertSqlSafe(sql.clone())).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
}

async fn number(connection: &mut PgConnection, sql: impl Into<String>) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.into())).fetch_one(connection).await.unwrap()
}

/// Inserts a queued job.
async fn queued(connection: &mut PgConnection, id: Uuid) {
    let sql = format!(
        "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, entity_type, entity_id, received_at, \
         waiting_since, answer_by, due_at, body_bytes) \
         VALUES ('{id}', 'queued', 'greet', 7, 'https://one.kommo.com', 'https://one.kommo.com/{id}', 2, 5, 1, 1, 9, 1, 10)"
    );
    run(connection, sql).await;
}
