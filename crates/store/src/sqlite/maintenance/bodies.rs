//! Drops the bodies of old jobs to make room: those of accounts beyond `budget.stored`, and those older than
//! `store.body_retention`.
//!
//! Only delivered and cancelled jobs lose their bodies, oldest first; their rows stay until `store.retention`. Dead and
//! gone jobs keep theirs, because an operator may need them. SQLite reuses the pages that become free.
//!
//! There is no index by account, because each job that finishes would have to change one of its pages. Instead,
//! maintenance walks along the index of finished jobs, in windows, on a read-only connection, and remembers its
//! position.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};
use uuid::Uuid;

use crate::StoreError;
use crate::budget::{low_water, signed};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::notes;
use crate::sqlite::maintenance::chunks::CHUNK_BYTES;
use crate::sqlite::read::named::Named;
use crate::sqlite::write::account_bytes::{self, body_bytes};
use crate::sqlite::write::bind::bind;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;

/// The maximum number of finished jobs that one scan reads.
pub(crate) const WINDOW_JOBS: i64 = 2_000;
/// The maximum number of jobs that one scan finds.
const MAX_FOUND: i64 = 500;
/// The maximum number of jobs whose bodies one transaction drops. It bounds the time for which requests wait.
const MAX_DROPPED_JOBS: usize = 64;
/// The maximum numbers of scans and of dropped bytes in one tick of maintenance. Between ticks it checkpoints the log
/// and notices a stop.
const SCANS_PER_TICK: u32 = 20;
const MAX_TICK_BYTES: i64 = 32 << 20;

/// A position in the order of finished jobs: directly after this job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The end of the job by the service time.
    service_at: i64,
    finished_at: i64,
    id: Uuid,
}

impl Position {
    const START: Self = Self { service_at: i64::MIN, finished_at: i64::MIN, id: Uuid::nil() };

    /// Returns the position before all jobs that finished at the same time as this one.
    const fn before(self) -> Self {
        Self { service_at: self.service_at, ..Self::START }
    }
}

/// The positions of the walks along the index. After each start, they begin again with the oldest job.
#[derive(Debug)]
pub(crate) struct Walked {
    /// The position up to which all delivered and cancelled jobs are older than `store.body_retention` and have no
    /// bodies.
    aged: Position,
    /// The first job that was skipped because it is too young by the calendar. The next walk begins there.
    too_young: Option<Position>,
    /// For each account that was beyond `budget.stored`, a position up to which its delivered and cancelled jobs have no
    /// bodies.
    accounts: HashMap<i64, Position>,
}

impl Default for Walked {
    fn default() -> Self {
        Self { aged: Position::START, too_young: None, accounts: HashMap::new() }
    }
}

/// A job whose bodies may be dropped.
#[derive(Clone, Copy, Debug)]
struct Droppable {
    position: Position,
    account: i64,
    bytes: i64,
}

/// The result of one scan of finished jobs.
struct Scan {
    found: Vec<Droppable>,
    /// The first job that is too young by the calendar but not by the service time.
    too_young: Option<Position>,
    /// Where the next scan begins; `None` at the end.
    next: Option<Position>,
}

pub(crate) const WINDOW_END: &str = "SELECT finished_service_at, finished_at, id FROM jobs \
     WHERE finished_service_at >= :from_service AND (finished_service_at, finished_at, id) > (:from_service, :from_finished, :from_id) \
     ORDER BY finished_service_at, finished_at, id LIMIT 1 OFFSET 0 + :jobs";

/// `:accounts` is a JSON list of accounts; NULL for all.
pub(crate) const DROPPABLE: &str = concat!(
    "SELECT finished_service_at, finished_at, id, account_id, ",
    body_bytes!(),
    " FROM jobs WHERE finished_service_at >= :from_service AND (finished_service_at, finished_at, id) > (:from_service, :from_finished, :from_id) \
     AND finished_service_at <= :until_service AND (finished_service_at, finished_at, id) <= (:until_service, :until_finished, :until_id) \
     AND state IN ('delivered', 'cancelled') AND data IS NOT NULL \
     AND (:accounts IS NULL OR account_id IN (SELECT value FROM json_each(:accounts))) \
     ORDER BY finished_service_at, finished_at, id LIMIT 0 + :limit"
);

/// Finds droppable jobs after `from`. `before` limits them to jobs that finished before it, and `accounts` to the jobs
/// of these accounts.
async fn scan(
    pool: &SqlitePool,
    from: Position,
    before: Option<Cutoff>,
    accounts: Option<String>,
) -> Result<Scan, StoreError> {
    let position = |row: &SqliteRow| {
        Ok::<_, sqlx::Error>(Position {
            service_at: row.try_get(0)?,
            finished_at: row.try_get(1)?,
            id: row.try_get(2)?,
        })
    };
    let service = before.map_or(i64::MAX, |before| before.service.as_millis());
    let end = Named::new(WINDOW_END)
        .value("from_service", from.service_at)
        .value("from_finished", from.finished_at)
        .value("from_id", from.id)
        .value("jobs", WINDOW_JOBS)
        .query()?
        .fetch_optional(pool)
        .await?;
    let end = end.as_ref().map(position).transpose()?.filter(|end| end.service_at < service);
    let last = Position { service_at: service.saturating_sub(1), finished_at: i64::MAX, id: Uuid::max() };
    let until = end.unwrap_or(last);
    let rows = Named::new(DROPPABLE)
        .value("from_service", from.service_at)
        .value("from_finished", from.finished_at)
        .value("from_id", from.id)
        .value("until_service", until.service_at)
        .value("until_finished", until.finished_at)
        .value("until_id", until.id)
        .value("accounts", accounts)
        .value("limit", MAX_FOUND)
        .query()?
        .fetch_all(pool)
        .await?;
    let droppable =
        |row| Ok(Droppable { position: position(row)?, account: row.try_get(3)?, bytes: row.try_get(4)? });
    let all: Vec<Droppable> = rows.iter().map(droppable).collect::<Result<_, sqlx::Error>>()?;
    let is_old =
        |job: &Droppable| before.is_none_or(|before| job.position.finished_at < before.calendar.as_millis());
    let too_young = all.iter().find(|job| !is_old(job)).map(|job| job.position.before());
    let mut found = Vec::from_iter(all.iter().copied().filter(is_old));
    let fits = first(&found, MAX_TICK_BYTES);
    let next = if fits < found.len() {
        found.truncate(fits);
        found.last().map(|last| last.position)
    } else if all.len() == usize::try_from(MAX_FOUND).unwrap_or(usize::MAX) {
        all.last().map(|last| last.position)
    } else {
        end
    };
    Ok(Scan { found, too_young, next })
}

impl Engine {
    /// Drops bodies of jobs that finished before `before`. Returns whether there may be more.
    pub(crate) async fn drop_aged(&self, walked: &mut Walked, before: Cutoff) -> Result<bool, StoreError> {
        let mut bytes = 0;
        for _ in 0..SCANS_PER_TICK {
            let Scan { found, too_young, next } =
                scan(&self.reading, walked.aged, Some(before), None).await?;
            bytes += self.drop_bodies("retention", &found).await?;
            walked.too_young = walked.too_young.or(too_young);
            let Some(next) = next else {
                walked.aged = walked.too_young.take().unwrap_or(walked.aged);
                return Ok(false);
            };
            walked.aged = next;
            if bytes >= MAX_TICK_BYTES {
                break;
            }
        }
        Ok(true)
    }

    /// Drops bodies of accounts that have more bytes than `budget.stored` or the disk allows, until they have somewhat
    /// fewer. Returns whether it has dropped all that it can.
    pub(crate) async fn drop_beyond_budget(&self, walked: &mut Walked) -> Result<bool, StoreError> {
        let totals = account_bytes::totals(&self.reading).await?;
        let share = self.budgets.limits().share(totals.stored, totals.accounts);
        let above = account_bytes::above(&self.reading, share).await?;
        let mut excess: HashMap<i64, i64> =
            above.into_iter().map(|(account, stored)| (account, signed(stored - low_water(share)))).collect();
        let mut bytes = 0;
        for _ in 0..SCANS_PER_TICK {
            let Some(from) = excess.keys().map(|account| walked.of(*account)).min() else { return Ok(true) };
            let accounts: Vec<i64> = excess.keys().copied().collect();
            let accounts = serde_json::Value::from(accounts).to_string();
            let Scan { found, next, .. } = scan(&self.reading, from, None, Some(accounts)).await?;
            let mut chosen = Vec::new();
            for job in found {
                if let Some(left) = excess.get_mut(&job.account) {
                    *left -= job.bytes;
                    if *left <= 0 {
                        excess.remove(&job.account);
                    }
                    walked.accounts.insert(job.account, job.position);
                    chosen.push(job);
                }
            }
            bytes += self.drop_bodies("budget", &chosen).await?;
            let Some(next) = next else { return Ok(true) };
            for account in excess.keys() {
                let position = walked.of(*account).max(next);
                walked.accounts.insert(*account, position);
            }
            if bytes >= MAX_TICK_BYTES {
                break;
            }
        }
        Ok(false)
    }

    /// Drops the bodies of `jobs`, in several transactions. Returns their bytes.
    async fn drop_bodies(&self, reason: &'static str, jobs: &[Droppable]) -> Result<i64, StoreError> {
        let (mut rest, mut dropped) = (jobs, 0);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(chunk(rest));
            dropped += self.execute(DropBodies { jobs: now.to_vec() }).await?;
            rest = later;
        }
        if dropped > 0 {
            metrics::counter!("bridge_bodies_dropped_total", "reason" => reason).increment(dropped);
            tracing::info!(jobs = dropped, reason, "dropped the bodies of old jobs to make room");
        }
        Ok(jobs.iter().fold(0, |bytes, job| bytes.saturating_add(job.bytes)))
    }
}

impl Walked {
    fn of(&self, account: i64) -> Position {
        self.accounts.get(&account).copied().unwrap_or(Position::START)
    }
}

/// Returns how many of `jobs` the next transaction drops; at least one.
fn chunk(jobs: &[Droppable]) -> usize {
    first(&jobs[..jobs.len().min(MAX_DROPPED_JOBS)], CHUNK_BYTES)
}

/// Returns how many jobs at the start of `jobs` have at most `max_bytes` together; at least one, unless `jobs` is empty.
fn first(jobs: &[Droppable], max_bytes: i64) -> usize {
    let mut bytes = 0_i64;
    let fits = |job: &&Droppable| {
        bytes = bytes.saturating_add(job.bytes);
        bytes <= max_bytes
    };
    jobs.iter().take_while(fits).count().max(1).min(jobs.len())
}

pub(crate) const DROP_BODIES: &str = "UPDATE jobs SET data = NULL, earlier_data = NULL, completion = NULL, handler_completion = NULL \
     WHERE id = :id AND state IN ('delivered', 'cancelled') AND data IS NOT NULL";

/// Drops the bodies of these jobs, and their notes. Answers with the number of jobs that had bodies.
struct DropBodies {
    jobs: Vec<Droppable>,
}

impl Command for DropBodies {
    type Answer = u64;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let mut statement = transaction.prepare_cached(DROP_BODIES)?;
        let mut notes = transaction.prepare_cached(notes::DROP)?;
        let mut dropped = 0;
        for job in &self.jobs {
            bind!(statement, DROP_BODIES, { "id" => job.position.id });
            if statement.raw_execute()? == 1 {
                // A delivered or cancelled job does not change, so its bytes are still those that the scan found.
                transaction.post_commit.bytes.dropped(job.account, job.bytes);
                notes.execute([job.position.id])?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_drops_a_bounded_number_of_jobs_and_bytes_but_at_least_one_job() {
        let job = |bytes| Droppable { position: Position::START, account: 7, bytes };
        for (jobs, expected) in [
            (vec![job(10); 100], MAX_DROPPED_JOBS),
            (vec![job(10); 3], 3),
            (vec![job(CHUNK_BYTES / 4); 9], 4),
            (vec![job(CHUNK_BYTES * 9); 2], 1),
            (vec![job(1), job(CHUNK_BYTES)], 1),
            (vec![], 0),
        ] {
            assert_eq!(chunk(&jobs), expected);
        }
    }
}
