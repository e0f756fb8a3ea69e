//! Writes the counts of jobs and of bytes, once for each transaction.

use crate::StoreError;
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;

pub(crate) const COUNT: &str = "UPDATE job_counts SET jobs = job_counts.jobs + changed.change \
     FROM unnest($1::text[], $2::bigint[]) AS changed (state, change) WHERE job_counts.state = changed.state";

/// Adds a change to the table. A count does not fall below zero, so a wrong count never makes a later write fail.
pub(crate) const ADD_BYTES: &str = "INSERT INTO account_bytes (account_id, unfinished, stored) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) \
     ON CONFLICT (account_id) DO UPDATE SET unfinished = greatest(0, account_bytes.unfinished + excluded.unfinished), \
     stored = greatest(0, account_bytes.stored + excluded.stored)";

/// Adds the transaction's changes to `job_counts` and `account_bytes`.
pub(crate) async fn write(transaction: &mut Transaction) -> Result<(), StoreError> {
    let mut counts: Vec<(&str, i64)> =
        transaction.post_commit.counts().map(|(state, change)| (state.as_str(), change)).collect();
    if !counts.is_empty() {
        counts.sort_unstable();
        let count = sqlx::query(COUNT)
            .bind(column(&counts, |(state, _)| *state))
            .bind(column(&counts, |(_, change)| *change));
        transaction.execute(count).await?;
    }
    let mut bytes = transaction.post_commit.bytes.bytes();
    if !bytes.is_empty() {
        bytes.sort_unstable_by_key(|(account, _)| *account);
        let add = sqlx::query(ADD_BYTES)
            .bind(column(&bytes, |(account, _)| *account))
            .bind(column(&bytes, |(_, change)| change.unfinished))
            .bind(column(&bytes, |(_, change)| change.stored));
        transaction.execute(add).await?;
    }
    Ok(())
}
