//! Which requests are known: the idempotency keys.
//!
//! Keys are random, so in a table that is sorted by them each new one changes a page of its own; that alone was
//! more than half of all that the bridge wrote to the disk. Therefore a new key is appended to `recent_keys`, in the
//! transaction of its job, and remembered here. When enough of them have gathered, the keeper moves them into
//! `idempotency_keys` in the order of that table: many to a page, and without those that are over by then.
//!
//! What it promises: a key is known from the commit of its job until its token is over, through any crash, because
//! at each moment it stands in one of the two tables; and no longer, wherever it still stands. A token is over when both the
//! calendar and the service time say so: a calendar that is set forward and back must not make a second job.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use model::{JobId, NewJob, Timestamp};

use crate::StoreError;
use crate::sqlite::write::command::Request;
use crate::sqlite::write::post_commit::Effects;
use crate::sqlite::write::statement::RowsStatement;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Cutoff, ServiceTime};

/// Keys that gather before they are moved: few enough to be held in memory and to be read at a start, and so
/// many that several go into each page of a table of a million.
pub(crate) const GATHER: usize = 16_384;
/// Keys that one transaction moves: it must not hold up those who wait to be acknowledged.
const MOVE: usize = 512;
/// Rows of `recent_keys` that one transaction deletes; they lie together, so they are cheap.
const DROP: i64 = 4_096;

/// The number of the account, and the token's `jti`.
pub(crate) type Key = (i64, String);

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The first job that came with it.
    pub(crate) job: JobId,
    /// From then on the token is refused, by the calendar.
    pub(crate) expires_at: Timestamp,
    /// The same by the service time.
    pub(crate) expires_service_at: ServiceTime,
    /// Its row in `recent_keys`.
    pub(crate) row: i64,
}

impl Known {
    /// Whether its token is over, by both clocks.
    fn is_over(&self, now: Cutoff) -> bool {
        self.expires_at < now.calendar && self.expires_service_at < now.service
    }
}

/// The keys that are not in `idempotency_keys` yet.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Tiers>);

#[derive(Default)]
struct Tiers {
    gathering: BTreeMap<Key, Known>,
    moving: BTreeMap<Key, Known>,
    last_row: i64,
}

pub(crate) const KNOWN: RowsStatement = RowsStatement {
    before: "WITH asked (place, account_id, key, now, service) AS (VALUES ",
    width: 5,
    after: ") SELECT asked.place, known.job_id FROM asked CROSS JOIN idempotency_keys AS known \
            ON known.account_id = asked.account_id AND known.key = asked.key \
            AND (known.expires_at >= asked.now OR known.expires_service_at >= asked.service)",
};

const APPEND: RowsStatement = RowsStatement {
    before: "INSERT INTO recent_keys (id, account_id, key, job_id, expires_at, expires_service_at) \
             SELECT * FROM (VALUES ",
    width: 6,
    after: ") WHERE column1 IS NOT NULL",
};

const SETTLE: RowsStatement = RowsStatement {
    before: "INSERT INTO idempotency_keys (account_id, key, job_id, expires_at, expires_service_at) \
             SELECT * FROM (VALUES ",
    width: 5,
    after: ") WHERE column1 IS NOT NULL \
            ON CONFLICT DO UPDATE SET job_id = excluded.job_id, expires_at = excluded.expires_at, \
            expires_service_at = excluded.expires_service_at",
};

impl Keys {
    /// The first job of each of `keys` that is known; in the same order.
    pub(crate) async fn find(
        &self,
        transaction: &mut Transaction<'_>,
        keys: &[Key],
    ) -> Result<Vec<Option<JobId>>, StoreError> {
        let now = transaction.moment.cutoff(Duration::ZERO);
        let mut found: Vec<Option<JobId>> = {
            let tiers = self.lock();
            let known = |key| tiers.gathering.get(key).or_else(|| tiers.moving.get(key));
            let valid = |known: &&Known| !known.is_over(now);
            keys.iter().map(|key| known(key).filter(valid).map(|known| known.job)).collect()
        };
        let asked: Vec<(i64, &Key)> = (0..)
            .zip(keys)
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(asked, _)| asked)
            .collect();
        let rows = transaction
            .ask(&KNOWN, &asked, |(place, (account, key)), row| {
                row.push(*place).push(*account).push(key.as_str());
                row.push(now.calendar.as_millis()).push(now.service.as_millis());
            })
            .await?;
        for row in rows {
            let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            if let Some(found) = found.get_mut(place) {
                *found = Some(JobId::from_uuid(row.try_get::<Uuid, _>(1)?));
            }
        }
        Ok(found)
    }

    /// Writes the keys of `jobs`, none of which is known.
    pub(crate) async fn append(
        &self,
        transaction: &mut Transaction<'_>,
        jobs: impl Iterator<Item = (Key, &NewJob)>,
    ) -> Result<(), StoreError> {
        let (last, moment) = (self.lock().last_row, transaction.moment);
        let known = |(row, (key, job)): (i64, (Key, &NewJob))| {
            let expires_at = job.token_expires_at;
            let expires_service_at = moment.service_at(expires_at);
            (key, Known { job: job.id, expires_at, expires_service_at, row })
        };
        let new: Vec<(Key, Known)> = (last + 1..).zip(jobs).map(known).collect();
        transaction
            .add(&APPEND, &new, |((account, key), known), row| {
                row.push(known.row).push(*account).push(key.as_str());
                row.push(known.job.as_uuid()).push(known.expires_at.as_millis());
                row.push(known.expires_service_at.as_millis());
            })
            .await?;
        transaction.effects.known(new);
        Ok(())
    }

    /// After COMMIT: these are known now.
    pub(crate) fn remember(&self, new: Vec<(Key, Known)>) {
        let mut tiers = self.lock();
        for (key, known) in new {
            tiers.last_row = tiers.last_row.max(known.row);
            tiers.gathering.insert(key, known);
        }
    }

    /// Whether there is something to move: the rest of what was begun, or at least `least` keys that gathered.
    pub(crate) fn gathered(&self, least: usize) -> bool {
        let mut tiers = self.lock();
        if tiers.moving.is_empty() && tiers.gathering.len() >= least.max(1) {
            tiers.moving = std::mem::take(&mut tiers.gathering);
        }
        !tiers.moving.is_empty()
    }

    /// The next keys to move, in the order of the table.
    fn next(&self, after: Option<&Key>) -> Vec<(Key, Known)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tiers = self.lock();
        let next = tiers.moving.range((after, Bound::Unbounded)).take(MOVE);
        next.map(|(key, known)| (key.clone(), *known)).collect()
    }

    /// The last row of those that were moved. What is being appended meanwhile has higher numbers.
    pub(crate) fn moved_rows(&self) -> Option<i64> {
        self.lock().moving.values().map(|known| known.row).max()
    }

    /// All that was to be moved has been.
    pub(crate) fn moved(&self) {
        self.lock().moving.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Tiers> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what has not been moved, at start.
pub(crate) struct Load(pub(crate) std::sync::Arc<Keys>);

impl Request for Load {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<(), StoreError> {
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

/// Moves some keys; answers with the last of them, or none where there were none left.
pub(crate) struct Move {
    pub(crate) keys: std::sync::Arc<Keys>,
    pub(crate) after: Option<Key>,
    pub(crate) now: Cutoff,
}

impl Request for Move {
    type Answer = Option<Key>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Effects,
    ) -> Result<Option<Key>, StoreError> {
        let mut next = self.keys.next(self.after.as_ref());
        let last = next.last().map(|(key, _)| key.clone());
        next.retain(|(_, known)| !known.is_over(self.now));
        SETTLE
            .run(connection, &next, |((account, key), known), row| {
                row.push(*account).push(key.as_str());
                row.push(known.job.as_uuid()).push(known.expires_at.as_millis());
                row.push(known.expires_service_at.as_millis());
            })
            .await?;
        Ok(last)
    }
}

/// Deletes rows of `recent_keys` up to `until`, whose keys have been moved; says whether some are left.
pub(crate) struct DropMoved {
    pub(crate) until: i64,
}

pub(crate) const DROP_MOVED: &str = "DELETE FROM recent_keys WHERE id <= min(?1, \
     (SELECT min(id) FROM recent_keys) + ?2)";

impl Request for DropMoved {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<bool, StoreError> {
        sqlx::query(DROP_MOVED).bind(self.until).bind(DROP).execute(&mut *connection).await?;
        let first: Option<i64> =
            sqlx::query_scalar("SELECT min(id) FROM recent_keys").fetch_one(connection).await?;
        Ok(first.is_some_and(|first| first <= self.until))
    }
}
