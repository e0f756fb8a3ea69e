//! The table `account_bytes`: how many bytes the bodies of each account's jobs take.

use rusqlite::Connection;
use sqlx::{Row, SqlitePool};

use crate::StoreError;
use crate::budget::Change;
use crate::sqlite::write::bind::{bind, query};
use model::maps::HashMap;

/// Adds a change to the table. A count does not fall below zero, so a wrong count never makes a later write fail.
const ADD: &str = "INSERT INTO account_bytes (account_id, unfinished, stored) VALUES (:account_id, :unfinished, :stored) \
     ON CONFLICT (account_id) DO UPDATE SET unfinished = max(0, unfinished + excluded.unfinished), \
     stored = max(0, stored + excluded.stored)";

/// Adds the change of each account to the table.
pub(crate) fn add(connection: &Connection, changes: &[(i64, Change)]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(ADD)?;
    for (account, Change { unfinished, stored, .. }) in changes {
        bind!(statement, ADD, { "account_id" => account, "unfinished" => unfinished, "stored" => stored });
        statement.raw_execute()?;
    }
    Ok(())
}

/// Expands to the SQL for the bytes of a job's bodies. SQLite reads the lengths from the row's header, and no body.
macro_rules! body_bytes {
    () => {
        "coalesce(octet_length(data), 0) + coalesce(octet_length(earlier_data), 0) \
         + coalesce(octet_length(completion), 0) + coalesce(octet_length(handler_completion), 0)"
    };
}
pub(crate) use body_bytes;

/// Returns the bytes of each account's unfinished jobs, without accounts that have none.
pub(crate) fn unfinished(connection: &Connection) -> Result<HashMap<i64, u64>, StoreError> {
    const SELECT: &str = "SELECT account_id, unfinished FROM account_bytes WHERE unfinished > 0";
    let bytes = query!(connection, SELECT, {}, |row| Ok((row.get(0)?, unsigned(row.get(1)?))));
    Ok(bytes.into_iter().collect())
}

/// Returns the accounts whose jobs take more than `limit` bytes, with those bytes.
pub(crate) async fn above(pool: &SqlitePool, limit: u64) -> Result<Vec<(i64, u64)>, StoreError> {
    let sql = "SELECT account_id, stored FROM account_bytes WHERE stored > ?";
    let rows = sqlx::query(sql).bind(crate::budget::signed(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)))).collect()
}

/// The sums over all accounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    /// Bytes of unfinished jobs.
    pub(crate) unfinished: u64,
    /// Bytes of all jobs.
    pub(crate) stored: u64,
    /// The number of accounts that have any.
    pub(crate) accounts: u64,
}

/// Sums up all accounts.
pub(crate) async fn totals(pool: &SqlitePool) -> Result<Totals, StoreError> {
    let sql = "SELECT coalesce(sum(unfinished), 0), coalesce(sum(stored), 0), count(*) FROM account_bytes \
               WHERE stored > 0";
    let row = sqlx::query(sql).fetch_one(pool).await?;
    let number = |column: usize| row.try_get(column).map(unsigned);
    Ok(Totals { unfinished: number(0)?, stored: number(1)?, accounts: number(2)? })
}

fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}
