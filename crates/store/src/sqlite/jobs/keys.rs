//! Finds and stores idempotency keys, by which the store recognizes repeated requests.
//!
//! Keys are random, so in a table sorted by key, each new key changes a different page. That alone would cause more
//! than half of the bridge's writes to the disk. So the transaction of a job appends its key to `recent_keys`, and this
//! process keeps the key in memory. Once enough keys have gathered, maintenance moves them into `idempotency_keys` in
//! that table's order, so that several keys share a page. It drops the keys that have expired by then.
//!
//! The guarantee: a key is known from the commit of its job until its token expires, but no longer. It survives any
//! crash, because at each moment it is in one of the two tables. A token has expired when both the calendar and the
//! service time say so: setting the calendar forward and back must not create a second job.

use std::time::Duration;

use model::{JobId, NewJob, Timestamp};

use crate::StoreError;
use crate::jobs::accept::Key;
use crate::sqlite::write::bind::{bind, query};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::known_keys::{Keys, Known};
use crate::sqlite::write::transaction::Transaction;
use crate::time::ServiceTime;

pub(crate) const KNOWN: &str = "SELECT job_id FROM idempotency_keys WHERE account_id = :account_id AND key = :key \
     AND (expires_at >= :now OR expires_service_at >= :service_now)";

insert_row! {
    pub(crate) const APPEND, fn bind_key(key: &Key, known: &Known);
    let (account, text) = key;
    "INSERT INTO recent_keys" {
        "id" => known.row,
        "account_id" => *account,
        "key" => text.as_str(),
        "job_id" => known.job.as_uuid(),
        "expires_at" => known.expires_at.as_millis(),
        "expires_service_at" => known.expires_service_at.as_millis(),
    }
}

/// Returns the first job of each key in `asked`, in the same order; `None` if the key is not known.
pub(crate) fn find(
    keys: &Keys,
    transaction: &Transaction<'_>,
    asked: &[Key],
) -> Result<Vec<Option<JobId>>, StoreError> {
    let now = transaction.moment.cutoff(Duration::ZERO);
    let mut found = keys.jobs(asked, now);
    let mut statement = transaction.prepare_cached(KNOWN)?;
    for ((account, key), found) in asked.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
        bind!(statement, KNOWN, {
            "account_id" => account,
            "key" => key,
            "now" => now.calendar.as_millis(),
            "service_now" => now.service.as_millis(),
        });
        if let Some(row) = statement.raw_query().next()? {
            *found = Some(JobId::from_uuid(row.get(0)?));
        }
    }
    Ok(found)
}

/// Appends the keys of `jobs`, all of which are new, to `recent_keys`.
pub(crate) fn append<'j>(
    keys: &Keys,
    transaction: &mut Transaction<'_>,
    jobs: impl Iterator<Item = (Key, &'j NewJob)>,
) -> Result<(), StoreError> {
    let (last, moment) = (keys.last_row(), transaction.moment);
    let known = |(row, (key, job)): (i64, (Key, &NewJob))| {
        let expires_at = job.token_expires_at;
        let expires_service_at = moment.service_at(expires_at);
        (key, Known { job: job.id, expires_at, expires_service_at, row })
    };
    let new: Vec<(Key, Known)> = (last + 1..).zip(jobs).map(known).collect();
    let mut statement = transaction.prepare_cached(APPEND)?;
    for (key, known) in &new {
        bind_key(key, known, &mut statement)?;
        statement.raw_execute()?;
    }
    drop(statement);
    transaction.new_keys.extend(new);
    Ok(())
}

/// Loads the keys that maintenance has not moved yet, at start.
pub(crate) struct LoadKeys(pub(crate) std::sync::Arc<Keys>);

impl Command for LoadKeys {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        const SELECT: &str =
            "SELECT id, account_id, key, job_id, expires_at, expires_service_at FROM recent_keys ORDER BY id";
        let known = query!(transaction, SELECT, {}, |row| {
            let known = Known {
                row: row.get(0)?,
                job: JobId::from_uuid(row.get(3)?),
                expires_at: Timestamp::from_millis(row.get(4)?),
                expires_service_at: ServiceTime::from_millis(row.get(5)?),
            };
            Ok(((row.get(1)?, row.get(2)?), known))
        });
        self.0.remember(known);
        Ok(())
    }
}
