//! The table `account_bytes`: how many bytes the bodies of each account's jobs take.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection, SqlitePool};

use super::StoreError;
use super::statement::RowsStatement;

/// Keeps the table. It never falls below zero: a store must not refuse every write because a count is wrong.
pub(super) const KEEP: RowsStatement = RowsStatement {
    before: "WITH change (account_id, unfinished, stored) AS (VALUES ",
    width: 3,
    after: ") INSERT INTO account_bytes (account_id, unfinished, stored) \
            SELECT change.account_id, max(0, coalesce(known.unfinished, 0) + change.unfinished), \
            max(0, coalesce(known.stored, 0) + change.stored) \
            FROM change LEFT JOIN account_bytes AS known ON known.account_id = change.account_id \
            WHERE change.account_id IS NOT NULL \
            ON CONFLICT (account_id) DO UPDATE SET unfinished = excluded.unfinished, stored = excluded.stored",
};

/// How many bytes a job takes, in a statement over `jobs`. The length stands in a row's head: no body is read for it.
macro_rules! body_bytes {
    () => {
        "coalesce(octet_length(data), 0) + coalesce(octet_length(completion), 0)"
    };
}
pub(super) use body_bytes;

/// The bytes of each account's unfinished jobs, without those that have none.
pub(super) async fn unfinished(connection: &mut SqliteConnection) -> Result<HashMap<i64, u64>, StoreError> {
    let sql = "SELECT account_id, unfinished FROM account_bytes WHERE unfinished > 0";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)))).collect()
}

/// Accounts whose jobs take more than `limit` bytes, and how many they take.
pub(super) async fn above(pool: &SqlitePool, limit: u64) -> Result<Vec<(i64, u64)>, StoreError> {
    let sql = "SELECT account_id, stored FROM account_bytes WHERE stored > ?";
    let rows = sqlx::query(sql).bind(super::budget::signed(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)))).collect()
}

/// All accounts together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    /// Bytes of unfinished jobs.
    pub(super) unfinished: u64,
    /// Bytes of all jobs.
    pub(super) stored: u64,
    /// Accounts that have some.
    pub(super) accounts: u64,
}

/// Sums up all accounts.
pub(super) async fn totals(pool: &SqlitePool) -> Result<Totals, StoreError> {
    let sql = "SELECT coalesce(sum(unfinished), 0), coalesce(sum(stored), 0), count(*) FROM account_bytes \
               WHERE stored > 0";
    let row = sqlx::query(sql).fetch_one(pool).await?;
    let number = |column: usize| row.try_get(column).map(unsigned);
    Ok(Totals { unfinished: number(0)?, stored: number(1)?, accounts: number(2)? })
}

fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}
