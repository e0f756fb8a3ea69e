//! Deletes finished jobs and expired keys, in chunks. Partitions whose jobs are all gone are dropped later: see
//! [`partitions`](super::partitions).
//!
//! A chunk is found on a read-only connection, and the writer deletes it by the keys of its rows. The walk along the index of
//! finished jobs remembers its position: while any session holds a snapshot, PostgreSQL keeps the entries of the deleted
//! jobs, and a walk from the start would read all of them again.

use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use model::StateName;

use crate::maintenance::bodies::{Position, Walked};
use crate::maintenance::chunks::{CHUNK_BYTES, CHUNK_ROWS, CHUNKS_PER_TICK};
use crate::postgres::engine::Engine;
use crate::postgres::jobs::error_groups::DeleteErrorGroups;
use crate::postgres::maintenance::bodies::{DELETE_BODIES, DELETE_NOTES, position};
use crate::postgres::maintenance::ids;
use crate::postgres::maintenance::keys::ForgottenKeys;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::{Cutoff, Moment};
use crate::{Retention, StoreError};

/// Selects the jobs to delete next. The limit is [`CHUNK_ROWS`].
pub(crate) const OLDEST_FINISHED: &str = "SELECT finished_service_at, finished_at, id, fence, body_bytes FROM jobs \
     WHERE finished_service_at >= $1 AND (finished_service_at, finished_at, id) > ($1, $2, $3) \
     AND finished_service_at < $4 ORDER BY finished_service_at, finished_at, id LIMIT 500";
/// Deletes jobs that have not changed since they were found: a retry gives a job another fencing number.
pub(crate) const DELETE_FINISHED: &str = "DELETE FROM jobs USING unnest($1::uuid[], $4::bigint[]) AS r (id, fence) \
     WHERE jobs.id = ANY($1) AND jobs.id BETWEEN $2 AND $3 AND jobs.id = r.id AND jobs.fence = r.fence \
     RETURNING jobs.id, jobs.state, jobs.account_id, jobs.body_bytes";
pub(crate) const DELETE_ATTEMPTS: &str =
    "DELETE FROM other_attempts WHERE job_id = ANY($1) AND job_id BETWEEN $2 AND $3";

/// The positions of the walks of deletions. After each start, they begin again.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    pub(crate) bodies: Walked,
    pub(crate) deleted: DeletedUntil,
    pub(crate) keys: ForgottenKeys,
}

/// How far finished jobs have been deleted.
#[derive(Debug)]
pub(crate) struct DeletedUntil {
    position: Position,
    /// The first job that was skipped because it is too young by the calendar. The next walk begins there.
    too_young: Option<Position>,
}

impl Default for DeletedUntil {
    fn default() -> Self {
        Self { position: Position::START, too_young: None }
    }
}

/// The result of one transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) jobs: u64,
    /// Whether there may be more to delete.
    pub(crate) more: bool,
}

/// A job that is old enough by the service time.
#[derive(Clone, Copy, Debug)]
struct Old {
    position: Position,
    fence: i64,
    bytes: i64,
}

/// What to do with the jobs that were found.
#[derive(Debug)]
struct Chunk {
    jobs: Vec<Old>,
    /// The first job that is too young by the calendar.
    too_young: Option<Position>,
    /// Where the next chunk begins; `None` at the end.
    next: Option<Position>,
}

impl Chunk {
    /// Chooses the jobs to delete among `found`, which are in the order of the index.
    fn new(found: &[Old], before: Cutoff) -> Self {
        let (mut bytes, mut jobs, mut too_young) = (0_i64, Vec::new(), None);
        let mut last = None;
        for job in found {
            if job.position.finished_at >= before.calendar.as_millis() {
                too_young = too_young.or(Some(job.position.before()));
            } else {
                bytes = bytes.saturating_add(job.bytes);
                if !jobs.is_empty() && bytes > CHUNK_BYTES {
                    return Self { jobs, too_young, next: last };
                }
                jobs.push(*job);
            }
            last = Some(job.position);
        }
        let is_full = found.len() == usize::try_from(CHUNK_ROWS).unwrap_or(usize::MAX);
        Self { jobs, too_young, next: last.filter(|_| is_full) }
    }
}

impl Engine {
    /// Deletes the next finished jobs: at most [`CHUNK_ROWS`], and fewer if their bodies are large.
    pub(crate) async fn delete_chunk(
        &self,
        until: &mut DeletedUntil,
        before: Cutoff,
    ) -> Result<Deleted, StoreError> {
        let Position { service_at, finished_at, id } = until.position;
        let oldest = sqlx::query(OLDEST_FINISHED)
            .bind(service_at)
            .bind(finished_at)
            .bind(id)
            .bind(before.service.as_millis());
        let rows = oldest.fetch_all(&self.walking).await?;
        let old = |row| Ok(Old { position: position(row)?, fence: row.try_get(3)?, bytes: row.try_get(4)? });
        let found = rows.iter().map(old).collect::<Result<Vec<_>, StoreError>>()?;
        let Chunk { jobs, too_young, next } = Chunk::new(&found, before);
        let jobs = if jobs.is_empty() { 0 } else { self.execute(DeleteFinished::new(jobs)).await? };
        until.too_young = until.too_young.or(too_young);
        let end = next.or_else(|| until.too_young.take()).or(found.last().map(|last| last.position));
        until.position = end.unwrap_or(until.position);
        Ok(Deleted { jobs, more: next.is_some() })
    }

    /// Deletes jobs and keys that are old enough, up to [`CHUNKS_PER_TICK`] chunks of each, and drops old bodies.
    /// Returns whether there may be more.
    pub(crate) async fn delete(
        &self,
        walks: &mut Walks,
        now: Moment,
        retention: Retention,
    ) -> Result<bool, StoreError> {
        let (mut jobs, mut keys) = (true, true);
        let (before, over) = (now.cutoff(retention.jobs), now.cutoff(Duration::ZERO));
        for _ in 0..CHUNKS_PER_TICK {
            jobs = jobs && self.delete_chunk(&mut walks.deleted, before).await?.more;
            keys = keys && self.forget_chunk(&mut walks.keys, over).await?.more;
        }
        self.execute(DeleteErrorGroups { before }).await?;
        // If bodies are kept as long as their jobs, they were deleted with them.
        let bodies = retention.bodies < retention.jobs
            && self.drop_aged(&mut walks.bodies, now.cutoff(retention.bodies)).await?;
        Ok(jobs || keys || bodies)
    }
}

/// Deletes finished jobs with their bodies, attempts and notes, unless they have changed. Answers with their number.
struct DeleteFinished {
    ids: Vec<Uuid>,
    fences: Vec<i64>,
}

impl DeleteFinished {
    fn new(mut jobs: Vec<Old>) -> Self {
        jobs.sort_unstable_by_key(|job| job.position.id);
        Self {
            ids: jobs.iter().map(|job| job.position.id).collect(),
            fences: jobs.iter().map(|job| job.fence).collect(),
        }
    }
}

impl Command for DeleteFinished {
    type Answer = u64;

    async fn apply(&self, transaction: &mut Transaction) -> Result<u64, StoreError> {
        let delete = ids::of(DELETE_FINISHED, &self.ids).bind(&self.fences);
        let rows = transaction.change(delete).await?;
        let mut deleted: Vec<Uuid> = Vec::with_capacity(rows.len());
        let post_commit = &mut transaction.post_commit;
        for row in &rows {
            deleted.push(row.try_get(0)?);
            if let Ok(state) = row.try_get::<&str, _>(1)?.parse::<StateName>() {
                post_commit.count(state, -1);
            }
            post_commit.bytes.dropped(row.try_get(2)?, row.try_get(3)?);
        }
        if !deleted.is_empty() {
            deleted.sort_unstable();
            for sql in [DELETE_BODIES, DELETE_ATTEMPTS, DELETE_NOTES] {
                transaction.execute(ids::of(sql, &deleted)).await?;
            }
        }
        Ok(deleted.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ServiceTime;
    use model::Timestamp;

    fn old(number: u8, finished_at: i64, bytes: i64) -> Old {
        let id = Uuid::from_u128(number.into());
        Old { position: Position { service_at: number.into(), finished_at, id }, fence: 0, bytes }
    }

    #[test]
    fn the_statement_contains_the_limit() {
        assert!(OLDEST_FINISHED.ends_with(&format!(" LIMIT {CHUNK_ROWS}")));
    }

    #[test]
    fn a_chunk_has_old_jobs_and_a_bounded_number_of_bytes_but_at_least_one_job() {
        let before = Cutoff { calendar: Timestamp::from_millis(100), service: ServiceTime::from_millis(100) };
        let third = CHUNK_BYTES / 3;
        // The chosen jobs, the first one that is too young, and the one after which the next chunk begins.
        for (found, jobs, too_young, next) in [
            (vec![], vec![], None, None),
            (vec![old(1, 99, 5), old(2, 99, 5)], vec![1, 2], None, None),
            (vec![old(1, 99, 5), old(2, 100, 5), old(3, 7, 5), old(4, 200, 5)], vec![1, 3], Some(2), None),
            (vec![old(1, 9, CHUNK_BYTES * 9), old(2, 9, 1)], vec![1], None, Some(1)),
            (
                vec![old(1, 9, third), old(2, 9, third), old(3, 100, third), old(4, 9, third * 2)],
                vec![1, 2],
                Some(3),
                Some(3),
            ),
        ] {
            let chunk = Chunk::new(&found, before);
            let number = |position: Position| position.service_at;
            assert_eq!(chunk.jobs.iter().map(|job| number(job.position)).collect::<Vec<_>>(), jobs);
            assert_eq!((chunk.too_young.map(number), chunk.next.map(number)), (too_young, next));
        }
    }
}
