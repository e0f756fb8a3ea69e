//! Marks the jobs that a new job supersedes: the earlier ones with the same `return_url`.
//!
//! Kommo reuses a `return_url` within one session. A new request with the same URL means that its bot has moved on. A
//! late, repeated continue of an older job would then answer the new question. The first continue of the older job is
//! still sent. The sender and [`retry`](crate::sqlite::jobs::operator::retry) decide whether to repeat it.
//!
//! A new job marks the older ones when it is stored. Looking up newer jobs before a repetition instead would need an
//! index of all jobs by `return_url`, in which almost every request changes a different page. The order of arrival
//! decides which job is newer, not the id, because the clock may have been set back.

use uuid::Uuid;

use model::NewJob;
use model::maps::HashSet;

use crate::StoreError;
use crate::jobs::supersede::pairs;
use crate::sqlite::write::bind::{bind, execute, read_all};
use crate::sqlite::write::transaction::Transaction;

/// Finds an unfinished job with the `return_url` of a new job. It runs before the new jobs are inserted.
///
/// This and [`ENDED`] are two statements, because each finds its jobs through its own index. They find jobs and do not
/// change them, because there is rarely one, and an UPDATE that may change several jobs builds a temporary table.
pub(crate) const UNFINISHED: &str =
    "SELECT id FROM jobs WHERE return_url = :return_url AND finished_at IS NULL AND superseded_by IS NULL";

/// Finds, in the same way, the dead and gone jobs, which an operator may retry.
pub(crate) const ENDED: &str = "SELECT id FROM jobs WHERE return_url = :return_url AND state IN ('dead', 'gone') AND superseded_by IS NULL";

/// Marks a job that a later job supersedes.
pub(crate) const MARK: &str = "UPDATE jobs SET superseded_by = :newer WHERE id = :older";

/// Marks the older jobs of each `return_url` in `new`. The first new job with that URL supersedes them. The jobs of
/// `new` are not stored yet.
pub(crate) fn older(transaction: &Transaction<'_>, new: &[&NewJob]) -> Result<(), StoreError> {
    let mut seen = HashSet::with_capacity(new.len());
    let (mut unfinished, mut ended) =
        (transaction.prepare_cached(UNFINISHED)?, transaction.prepare_cached(ENDED)?);
    for job in new.iter().filter(|job| seen.insert(job.request.return_url.as_str())) {
        let return_url = job.request.return_url.as_str();
        bind!(unfinished, UNFINISHED, { "return_url" => return_url });
        let mut older: Vec<Uuid> = read_all(unfinished.raw_query(), |row| row.get(0))?;
        bind!(ended, ENDED, { "return_url" => return_url });
        older.extend(read_all(ended.raw_query(), |row| row.get::<_, Uuid>(0))?);
        for older in older {
            execute!(transaction, MARK, { "older" => older, "newer" => job.id.as_uuid() });
        }
    }
    Ok(())
}

/// Marks the jobs of `new` whose `return_url` occurs again later in `new`. The jobs are already stored.
pub(crate) fn within(transaction: &Transaction<'_>, new: &[&NewJob]) -> Result<(), StoreError> {
    for (older, newer) in pairs(new.iter().map(|job| (job.id, job.request.return_url.as_str()))) {
        execute!(transaction, MARK, { "older" => older.as_uuid(), "newer" => newer.as_uuid() });
    }
    Ok(())
}
