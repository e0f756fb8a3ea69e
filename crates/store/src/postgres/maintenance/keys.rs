//! Deletes the idempotency keys of expired tokens. A key is stored where it stays, so there is nothing to move.

use sqlx::Row;

use crate::StoreError;
use crate::maintenance::chunks::CHUNK_ROWS;
use crate::postgres::engine::Engine;
use crate::postgres::schema::partitions::bucket;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::Cutoff;

/// Walks until one begins again with the oldest hour: about an hour of maintenance.
const WALKS_UNTIL_OLDEST: u32 = 60;

/// Selects keys whose tokens have expired by both clocks, in the hours from `$1` to `$2`. The limit is [`CHUNK_ROWS`].
pub(crate) const EXPIRED_KEYS: &str = "SELECT bucket, account_id, key FROM idempotency_keys \
     WHERE bucket >= $1 AND bucket <= $2 AND expires_at < $3 AND expires_service_at < $4 \
     ORDER BY bucket, account_id, key LIMIT 500";
/// The conditions with `ANY` and `BETWEEN` make PostgreSQL read the rows by their keys: see [`ids`](super::ids).
pub(crate) const FORGET_KEYS: &str = "DELETE FROM idempotency_keys \
     USING unnest($1::bigint[], $2::bigint[], $3::text[]) AS r (bucket, account_id, key) \
     WHERE idempotency_keys.key = ANY($3) AND idempotency_keys.bucket BETWEEN $4 AND $5 \
     AND idempotency_keys.bucket = r.bucket AND idempotency_keys.account_id = r.account_id \
     AND idempotency_keys.key = r.key";

/// How far expired keys have been deleted. A walk begins with the hour before the one in which the last walk ended: while any
/// session holds a snapshot, PostgreSQL keeps the index entries of all deleted keys. Now and then a walk begins with the
/// oldest hour, because the clocks may have disagreed about a key.
#[derive(Debug)]
pub(crate) struct ForgottenKeys {
    from: i64,
    walks: u32,
}

impl Default for ForgottenKeys {
    fn default() -> Self {
        Self { from: i64::MIN, walks: 0 }
    }
}

impl ForgottenKeys {
    /// Continues a walk that has found keys up to this hour, and more may follow.
    const fn found(&mut self, hour: i64) {
        self.from = hour;
    }

    /// Ends a walk in this hour.
    const fn ended(&mut self, hour: i64) {
        self.walks = (self.walks + 1) % WALKS_UNTIL_OLDEST;
        self.from = if self.walks == 0 { i64::MIN } else { hour - 1 };
    }
}

/// The result of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) keys: u64,
    /// Whether there may be more to delete.
    pub(crate) more: bool,
}

impl Engine {
    /// Deletes at most [`CHUNK_ROWS`] keys of expired tokens.
    pub(crate) async fn forget_chunk(
        &self,
        forgotten: &mut ForgottenKeys,
        now: Cutoff,
    ) -> Result<Forgotten, StoreError> {
        let hour = bucket(now.calendar);
        let expired = sqlx::query(EXPIRED_KEYS)
            .bind(forgotten.from)
            .bind(hour)
            .bind(now.calendar.as_millis())
            .bind(now.service.as_millis());
        let rows = expired.fetch_all(&self.walking).await?;
        let mut forget = ForgetKeys::default();
        for row in &rows {
            forget.buckets.push(row.try_get(0)?);
            forget.accounts.push(row.try_get(1)?);
            forget.keys.push(row.try_get(2)?);
        }
        let more = rows.len() as u64 == CHUNK_ROWS.unsigned_abs();
        match forget.buckets.last().filter(|_| more) {
            Some(last) => forgotten.found(*last),
            None => forgotten.ended(hour),
        }
        let keys = if rows.is_empty() { 0 } else { self.execute(forget).await? };
        Ok(Forgotten { keys, more })
    }
}

/// Deletes these keys, which are in ascending order. Answers with their number.
#[derive(Default)]
struct ForgetKeys {
    buckets: Vec<i64>,
    accounts: Vec<i64>,
    keys: Vec<String>,
}

impl Command for ForgetKeys {
    type Answer = u64;

    async fn apply(&self, transaction: &mut Transaction) -> Result<u64, StoreError> {
        let (first, last) = (self.buckets.first().copied(), self.buckets.last().copied());
        let forget = sqlx::query(FORGET_KEYS)
            .bind(&self.buckets)
            .bind(&self.accounts)
            .bind(&self.keys)
            .bind(first.unwrap_or_default())
            .bind(last.unwrap_or_default());
        transaction.execute(forget).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_contains_the_limit() {
        assert!(EXPIRED_KEYS.ends_with(&format!(" LIMIT {CHUNK_ROWS}")));
    }

    #[test]
    fn walks_skip_the_hours_that_were_walked_but_not_forever() {
        let mut forgotten = ForgottenKeys::default();
        forgotten.found(4);
        assert_eq!(forgotten.from, 4);
        let from = (0..2 * i64::from(WALKS_UNTIL_OLDEST)).map(|hour| {
            forgotten.ended(hour);
            forgotten.from
        });
        let from: Vec<i64> = from.collect();
        assert_eq!(&from[..3], [-1, 0, 1]);
        assert_eq!(from.iter().filter(|hour| **hour == i64::MIN).count(), 2);
    }
}
