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

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use model::{JobId, NewJob, Timestamp};

use crate::StoreError;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::known_keys::{Key, Keys, Known};
use crate::sqlite::write::post_commit::PostCommit;
use crate::sqlite::write::statement::rows_statement;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Cutoff, ServiceTime};

rows_statement! {
    pub(crate) const KNOWN, fn push_asked(place: i64, key: &Key, now: Cutoff);
    let (account, text) = key;
    "WITH asked (" {
        "place" => place,
        "account_id" => *account,
        "key" => text.as_str(),
        "now" => now.calendar.as_millis(),
        "service" => now.service.as_millis(),
    }
    ") AS (VALUES "
    ") SELECT asked.place, known.job_id FROM asked CROSS JOIN idempotency_keys AS known \
            ON known.account_id = asked.account_id AND known.key = asked.key \
            AND (known.expires_at >= asked.now OR known.expires_service_at >= asked.service)"
}

rows_statement! {
    const APPEND, fn push_key(key: &Key, known: &Known);
    let (account, text) = key;
    "INSERT INTO recent_keys (" {
        "id" => known.row,
        "account_id" => *account,
        "key" => text.as_str(),
        "job_id" => known.job.as_uuid(),
        "expires_at" => known.expires_at.as_millis(),
        "expires_service_at" => known.expires_service_at.as_millis(),
    }
    ") SELECT * FROM (VALUES " ") WHERE column1 IS NOT NULL"
}

/// Returns the first job of each key in `asked`, in the same order; `None` if the key is not known.
pub(crate) async fn find(
    keys: &Keys,
    transaction: &mut Transaction<'_>,
    asked: &[Key],
) -> Result<Vec<Option<JobId>>, StoreError> {
    let now = transaction.moment.cutoff(Duration::ZERO);
    let mut found = keys.jobs(asked, now);
    let unknown = (0..).zip(asked).zip(&found).filter(|(_, found)| found.is_none());
    let unknown: Vec<(i64, &Key)> = unknown.map(|(asked, _)| asked).collect();
    let rows =
        transaction.ask(&KNOWN, &unknown, |(place, key), row| push_asked(*place, key, now, row)).await?;
    for row in rows {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
        if let Some(found) = found.get_mut(place) {
            *found = Some(JobId::from_uuid(row.try_get::<Uuid, _>(1)?));
        }
    }
    Ok(found)
}

/// Appends the keys of `jobs`, all of which are new, to `recent_keys`.
pub(crate) async fn append(
    keys: &Keys,
    transaction: &mut Transaction<'_>,
    jobs: impl Iterator<Item = (Key, &NewJob)>,
) -> Result<(), StoreError> {
    let (last, moment) = (keys.last_row(), transaction.moment);
    let known = |(row, (key, job)): (i64, (Key, &NewJob))| {
        let expires_at = job.token_expires_at;
        let expires_service_at = moment.service_at(expires_at);
        (key, Known { job: job.id, expires_at, expires_service_at, row })
    };
    let new: Vec<(Key, Known)> = (last + 1..).zip(jobs).map(known).collect();
    transaction.add(&APPEND, &new, |(key, known), row| push_key(key, known, row)).await?;
    transaction.post_commit.known(new);
    Ok(())
}

/// Loads the keys that maintenance has not moved yet, at start.
pub(crate) struct LoadKeys(pub(crate) std::sync::Arc<Keys>);

impl Command for LoadKeys {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<(), StoreError> {
        let rows = sqlx::query(
            "SELECT id, account_id, key, job_id, expires_at, expires_service_at FROM recent_keys ORDER BY id",
        )
        .fetch_all(connection)
        .await?;
        let known = rows.iter().map(|row| {
            let known = Known {
                row: row.try_get(0)?,
                job: JobId::from_uuid(row.try_get(3)?),
                expires_at: Timestamp::from_millis(row.try_get(4)?),
                expires_service_at: ServiceTime::from_millis(row.try_get(5)?),
            };
            Ok(((row.try_get(1)?, row.try_get(2)?), known))
        });
        self.0.remember(known.collect::<Result<_, sqlx::Error>>()?);
        Ok(())
    }
}
