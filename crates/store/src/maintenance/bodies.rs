//! Drops the bodies of old jobs to make room: those of accounts beyond `budget.stored`, and those older than
//! `store.body_retention`.
//!
//! Only delivered and cancelled jobs lose their bodies, oldest first; their rows stay until `store.retention`. Dead and
//! gone jobs keep theirs, because an operator may need them. The database reuses the room that becomes free.
//!
//! The jobs have no index by account, because each one that finishes would have to change one of its pages. Instead,
//! maintenance walks along the index of finished jobs, in windows, on a read-only connection, and remembers its
//! position.

use std::collections::HashMap;

use uuid::Uuid;

use super::chunks::CHUNK_BYTES;
use crate::StoreError;
use crate::budget::{Limits, low_water, signed};
use crate::time::Cutoff;

/// The maximum number of finished jobs that one scan reads.
pub(crate) const WINDOW_JOBS: i64 = 2_000;
/// The maximum number of jobs that one scan finds.
pub(crate) const MAX_FOUND: i64 = 500;
/// The maximum number of jobs whose bodies one transaction drops. It bounds the time for which requests wait.
const MAX_DROPPED_JOBS: usize = 64;
/// The maximum numbers of scans and of dropped bytes in one tick of maintenance. Between ticks it does its other work and
/// notices a stop.
const SCANS_PER_TICK: u32 = 20;
const MAX_TICK_BYTES: i64 = 32 << 20;

/// A position in the order of finished jobs: directly after this job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The end of the job by the service time.
    pub(crate) service_at: i64,
    pub(crate) finished_at: i64,
    pub(crate) id: Uuid,
}

impl Position {
    pub(crate) const START: Self = Self { service_at: i64::MIN, finished_at: i64::MIN, id: Uuid::nil() };

    /// Returns the position before all jobs that finished at the same time as this one.
    pub(crate) const fn before(self) -> Self {
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

impl Walked {
    fn of(&self, account: i64) -> Position {
        self.accounts.get(&account).copied().unwrap_or(Position::START)
    }
}

/// A job whose bodies may be dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Droppable {
    pub(crate) position: Position,
    pub(crate) account: i64,
    pub(crate) bytes: i64,
}

/// The bytes of the bodies of all jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredBytes {
    pub(crate) stored: u64,
    /// The number of accounts that have any.
    pub(crate) accounts: u64,
}

/// The finished jobs of an engine, in the order of [`Position`].
pub(crate) trait FinishedJobs {
    /// How many bytes the accounts may have.
    fn limits(&self) -> Limits;

    /// Sums up the bytes of all accounts.
    fn stored(&self) -> impl Future<Output = Result<StoredBytes, StoreError>> + Send;

    /// Returns the accounts whose jobs have more than `limit` bytes, with those bytes.
    fn above(&self, limit: u64) -> impl Future<Output = Result<Vec<(i64, u64)>, StoreError>> + Send;

    /// Returns the position of the last job of the window of [`WINDOW_JOBS`] jobs after `from`; `None` if there are fewer.
    fn window_end(&self, from: Position)
    -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;

    /// Returns the first delivered and cancelled jobs with bodies between two positions, at most [`MAX_FOUND`]; only those of
    /// `accounts`, if there are any.
    fn droppable(
        &self,
        from: Position,
        until: Position,
        accounts: Option<Vec<i64>>,
    ) -> impl Future<Output = Result<Vec<Droppable>, StoreError>> + Send;

    /// Drops the bodies and notes of these jobs in one transaction. Returns the number of jobs that had bodies.
    fn drop_chunk(&self, jobs: Vec<Droppable>) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// The result of one scan of finished jobs.
struct Scan {
    found: Vec<Droppable>,
    /// The first job that is too young by the calendar but not by the service time.
    too_young: Option<Position>,
    /// Where the next scan begins; `None` at the end.
    next: Option<Position>,
}

/// Finds droppable jobs after `from`. `before` limits them to jobs that finished before it, and `accounts` to the jobs
/// of these accounts.
async fn scan(
    jobs: &impl FinishedJobs,
    from: Position,
    before: Option<Cutoff>,
    accounts: Option<Vec<i64>>,
) -> Result<Scan, StoreError> {
    let service = before.map_or(i64::MAX, |before| before.service.as_millis());
    let end = jobs.window_end(from).await?.filter(|end| end.service_at < service);
    let last = Position { service_at: service.saturating_sub(1), finished_at: i64::MAX, id: Uuid::max() };
    let all = jobs.droppable(from, end.unwrap_or(last), accounts).await?;
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

/// Drops bodies of jobs that finished before `before`. Returns whether there may be more.
pub(crate) async fn drop_aged(
    jobs: &impl FinishedJobs,
    walked: &mut Walked,
    before: Cutoff,
) -> Result<bool, StoreError> {
    let mut bytes = 0;
    for _ in 0..SCANS_PER_TICK {
        let Scan { found, too_young, next } = scan(jobs, walked.aged, Some(before), None).await?;
        bytes += drop_bodies(jobs, "retention", &found).await?;
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
pub(crate) async fn drop_beyond_budget(
    jobs: &impl FinishedJobs,
    walked: &mut Walked,
) -> Result<bool, StoreError> {
    let totals = jobs.stored().await?;
    let share = jobs.limits().share(totals.stored, totals.accounts);
    let above = jobs.above(share).await?;
    let mut excess: HashMap<i64, i64> =
        above.into_iter().map(|(account, stored)| (account, signed(stored - low_water(share)))).collect();
    let mut bytes = 0;
    for _ in 0..SCANS_PER_TICK {
        let Some(from) = excess.keys().map(|account| walked.of(*account)).min() else { return Ok(true) };
        let accounts = excess.keys().copied().collect();
        let Scan { found, next, .. } = scan(jobs, from, None, Some(accounts)).await?;
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
        bytes += drop_bodies(jobs, "budget", &chosen).await?;
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

/// Drops the bodies of `chosen`, in several transactions. Returns their bytes.
async fn drop_bodies(
    jobs: &impl FinishedJobs,
    reason: &'static str,
    chosen: &[Droppable],
) -> Result<i64, StoreError> {
    let (mut rest, mut dropped) = (chosen, 0);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(chunk(rest));
        dropped += jobs.drop_chunk(now.to_vec()).await?;
        rest = later;
    }
    if dropped > 0 {
        metrics::counter!("bridge_bodies_dropped_total", "reason" => reason).increment(dropped);
        tracing::info!(jobs = dropped, reason, "dropped the bodies of old jobs to make room");
    }
    Ok(chosen.iter().fold(0, |bytes, job| bytes.saturating_add(job.bytes)))
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
