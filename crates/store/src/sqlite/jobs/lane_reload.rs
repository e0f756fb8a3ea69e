//! Reads the lanes and the accounts' bytes from the store: at start, and periodically to pick up changes by other
//! processes.
//!
//! This runs inside the writer's transaction, so the result is never older than the lanes in memory.

use std::sync::Arc;

use rusqlite::Connection;

use model::Timestamp;
use model::maps::HashMap;

use crate::StoreError;
use crate::sqlite::jobs::callbacks;
use crate::sqlite::jobs::work_claims::NEXT_OVERDUE;
use crate::sqlite::write::account_bytes;
use crate::sqlite::write::bind::read_all;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

/// Selects the lanes of workers by jumping from lane to lane along the index, so the cost grows with the number of lanes
/// and not with the number of jobs.
pub(crate) const WORK: &str = "WITH RECURSIVE lane (name) AS ( \
     SELECT min(handler) FROM jobs WHERE state = 'queued' \
     UNION ALL \
     SELECT (SELECT min(handler) FROM jobs WHERE state = 'queued' AND handler > lane.name) FROM lane \
     WHERE lane.name IS NOT NULL) \
     SELECT name, (SELECT min(due_at) FROM jobs WHERE state = 'queued' AND handler = name) FROM lane \
     WHERE name IS NOT NULL";

/// Like [`WORK`], for the sender. The due time is the earliest of all ranks.
pub(crate) const DELIVERY: &str = "WITH RECURSIVE lane (name) AS ( \
     SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     UNION ALL \
     SELECT (SELECT min(origin) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin > lane.name) FROM lane WHERE lane.name IS NOT NULL) \
     SELECT name, min( \
     coalesce((SELECT min(due_at) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = name AND delivery_rank = 0), 9223372036854775807), \
     coalesce((SELECT min(due_at) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = name AND delivery_rank = 1), 9223372036854775807), \
     coalesce((SELECT min(due_at) FROM jobs WHERE state = 'delivering' AND lease_until IS NULL \
     AND origin = name AND delivery_rank = 2), 9223372036854775807)) \
     FROM lane WHERE name IS NOT NULL";

/// Reads all lanes, and the bytes of all accounts.
pub(crate) struct ReloadLanes;

impl Command for ReloadLanes {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let deadline: Option<i64> =
            transaction.prepare_cached(NEXT_OVERDUE)?.query_one((), |row| row.get(0))?;
        let (work, delivery) = (lanes(transaction, WORK)?, lanes(transaction, DELIVERY)?);
        let bytes = account_bytes::unfinished(transaction)?;
        let awaiting = callbacks::awaiting(transaction)?;
        let post_commit = &mut transaction.post_commit;
        post_commit.all_work(work, deadline.map(Timestamp::from_millis));
        post_commit.all_delivery(delivery);
        post_commit.all_bytes(bytes);
        post_commit.all_awaiting(awaiting);
        Ok(())
    }
}

/// Reads all lanes if another connection has changed the file since the version `seen`: the cost grows with the number
/// of lanes, and the writer already applies its own changes to the lanes. Answers with the current version.
pub(crate) struct ReloadLanesIfChanged {
    /// The answer of the previous command; `None` reads unconditionally.
    pub(crate) seen: Option<i64>,
}

impl Command for ReloadLanesIfChanged {
    type Answer = Option<i64>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Option<i64>, StoreError> {
        let version: i64 = transaction.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.seen != Some(version) {
            ReloadLanes.apply(transaction)?;
        }
        Ok(Some(version))
    }
}

fn lanes(connection: &Connection, sql: &str) -> Result<HashMap<Arc<str>, Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    // A lane without a due time has only jobs that wait for their turn.
    let lanes = read_all(statement.raw_query(), |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))?;
    let due = |(lane, due): (Arc<str>, Option<i64>)| Some((lane, Timestamp::from_millis(due?)));
    Ok(lanes.into_iter().filter_map(due).collect())
}
