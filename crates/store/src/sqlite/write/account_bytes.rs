//! The table `account_bytes`: how many bytes the bodies of each account's jobs take.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection, SqlitePool};

use crate::StoreError;
use crate::budget::Change;
use crate::sqlite::write::statement::rows_statement;

rows_statement! {
    /// Adds changes to the table. A count does not fall below zero, so a wrong count never makes a later write fail.
    pub(crate) const ADD_CHANGES, pub(crate) fn push_change(account: i64, change: &Change);
    "INSERT INTO account_bytes (" {
        "account_id" => account,
        "unfinished" => change.unfinished,
        "stored" => change.stored,
    }
    ") SELECT * FROM (VALUES "
    ") WHERE column1 IS NOT NULL ON CONFLICT (account_id) DO UPDATE SET \
            unfinished = max(0, unfinished + excluded.unfinished), stored = max(0, stored + excluded.stored)"
}

/// Expands to the SQL for the bytes of a job's bodies. SQLite reads the lengths from the row's header, and no body.
macro_rules! body_bytes {
    () => {
        "coalesce(octet_length(data), 0) + coalesce(octet_length(completion), 0) \
         + coalesce(octet_length(handler_completion), 0)"
    };
}
pub(crate) use body_bytes;

/// Returns the bytes of each account's unfinished jobs, without accounts that have none.
pub(crate) async fn unfinished(connection: &mut SqliteConnection) -> Result<HashMap<i64, u64>, StoreError> {
    let sql = "SELECT account_id, unfinished FROM account_bytes WHERE unfinished > 0";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)))).collect()
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
