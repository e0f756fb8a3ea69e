//! Moves idempotency keys to their final table, and deletes those of expired tokens.

use crate::StoreError;
use crate::jobs::accept::Key;
use crate::maintenance::chunks::CHUNK_ROWS;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::known_keys::{Keys, Known};
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;

/// The maximum number of keys that one transaction moves. It bounds the time for which requests wait.
const MAX_MOVED_KEYS: usize = 512;
/// The maximum number of rows of `recent_keys` that one transaction deletes. They are adjacent, so deleting them is
/// cheap.
const MAX_DROPPED_ROWS: i64 = 4_096;

insert_row! {
    const INSERT_MOVED, fn bind_key(key: &Key, known: &Known);
    let (account, text) = key;
    "INSERT INTO idempotency_keys" {
        "account_id" => *account,
        "key" => text.as_str(),
        "job_id" => known.job.as_uuid(),
        "expires_at" => known.expires_at.as_millis(),
        "expires_service_at" => known.expires_service_at.as_millis(),
    }
    " ON CONFLICT DO UPDATE SET job_id = excluded.job_id, expires_at = excluded.expires_at, \
            expires_service_at = excluded.expires_service_at"
}

/// Moves the next keys after `after`. Answers with the last of them; `None` if no keys were left.
pub(crate) struct MoveKeys {
    pub(crate) keys: std::sync::Arc<Keys>,
    pub(crate) after: Option<Key>,
    pub(crate) now: Cutoff,
}

impl Command for MoveKeys {
    type Answer = Option<Key>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Option<Key>, StoreError> {
        let next = self.keys.next_to_move(self.after.as_ref(), MAX_MOVED_KEYS);
        let mut statement = transaction.prepare_cached(INSERT_MOVED)?;
        for (key, known) in next.iter().filter(|(_, known)| !known.is_over(self.now)) {
            bind_key(key, known, &mut statement)?;
            statement.raw_execute()?;
        }
        Ok(next.into_iter().next_back().map(|(key, _)| key))
    }
}

/// Deletes rows of `recent_keys` up to `until`, whose keys have been moved. Answers whether any are left.
pub(crate) struct DropMovedKeys {
    pub(crate) until: i64,
}

pub(crate) const DROP_MOVED: &str = "DELETE FROM recent_keys WHERE id <= min(:until, \
     (SELECT min(id) FROM recent_keys) + :rows)";

impl Command for DropMovedKeys {
    type Answer = bool;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
        execute!(transaction, DROP_MOVED, { "until" => self.until, "rows" => MAX_DROPPED_ROWS });
        let mut first = transaction.prepare_cached("SELECT min(id) FROM recent_keys")?;
        let first: Option<i64> = first.query_one((), |row| row.get(0))?;
        Ok(first.is_some_and(|first| first <= self.until))
    }
}

pub(crate) const FORGET_KEYS: &str = "DELETE FROM idempotency_keys WHERE (account_id, key) IN ( \
     SELECT account_id, key FROM idempotency_keys WHERE expires_service_at < :service_now AND expires_at < :now \
     ORDER BY expires_service_at LIMIT 0 + :limit)";

/// Deletes at most [`CHUNK_ROWS`] idempotency keys whose tokens have expired by both clocks. Answers with their number.
pub(crate) struct ForgetKeys {
    pub(crate) now: Cutoff,
}

impl Command for ForgetKeys {
    type Answer = u64;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let deleted = execute!(transaction, FORGET_KEYS, {
            "service_now" => self.now.service.as_millis(),
            "now" => self.now.calendar.as_millis(),
            "limit" => CHUNK_ROWS,
        });
        Ok(deleted as u64)
    }
}

impl Engine {
    /// Moves the idempotency keys to their final table, if at least `min_keys` keys have gathered.
    pub(crate) async fn move_keys(&self, now: Cutoff, min_keys: usize) -> Result<(), StoreError> {
        let keys = &self.keys;
        if !keys.start_move(min_keys) {
            return Ok(());
        }
        let mut after = None;
        loop {
            after = self.execute(MoveKeys { keys: keys.clone(), after, now }).await?;
            if after.is_none() {
                break;
            }
        }
        if let Some(until) = keys.last_moved_row() {
            while self.execute(DropMovedKeys { until }).await? {}
        }
        keys.finish_move();
        Ok(())
    }
}
