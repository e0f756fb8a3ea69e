//! Erases the texts of jobs, for an operator: what the widget sent, the completions, the errors, and the notes.
//!
//! The rows stay, with their times, their numbers and their states, so the counts and the history of a day remain true. No
//! query finds the texts from then on. PostgreSQL keeps the old versions of the rows on its disk until it has vacuumed the
//! tables and the space is used again.

use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use model::JobId;
use model::maps::{HashMap, HashSet};

use crate::StoreError;
use crate::jobs::failures;
use crate::postgres::jobs::locked::{LockedJob, ids, lock};
use crate::postgres::jobs::operator::cancel::cancel;
use crate::postgres::write::transaction::Transaction;
use crate::time::Moment;

/// Removes what the rows of finished jobs contain.
pub(crate) const ERASE: &str = "UPDATE jobs SET last_error = NULL, body_bytes = 0, bodies_dropped = true \
     FROM unnest($1::uuid[]) AS erased (id) WHERE jobs.id = erased.id AND finished_at IS NOT NULL \
     AND (NOT bodies_dropped OR last_error IS NOT NULL) RETURNING jobs.id";
pub(crate) const DROP_BODIES: &str =
    "DELETE FROM job_bodies USING unnest($1::uuid[]) AS erased (id) WHERE job_bodies.id = erased.id";
pub(crate) const ERASE_ERRORS: &str = "UPDATE other_attempts SET error = NULL FROM unnest($1::uuid[]) AS erased (id) \
     WHERE job_id = erased.id AND error IS NOT NULL RETURNING job_id";
pub(crate) const DROP_NOTES: &str =
    "DELETE FROM notes USING unnest($1::uuid[]) AS erased (id) WHERE job_id = erased.id RETURNING job_id";

/// Selects the errors of jobs.
pub(crate) const ERRORS: &str = "SELECT last_error FROM unnest($1::uuid[]) AS erased (id) \
     JOIN jobs ON jobs.id = erased.id WHERE last_error IS NOT NULL \
     UNION ALL SELECT error FROM unnest($1::uuid[]) AS erased (id) \
     JOIN other_attempts ON job_id = erased.id WHERE error IS NOT NULL";

/// Deletes the groups with these texts.
pub(crate) const DROP_GROUPS: &str = "DELETE FROM error_groups USING unnest($1::text[]) AS dropped (text) WHERE error_groups.text = dropped.text";

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erased {
    /// Its texts are erased.
    Done,
    /// It had no texts, or no longer exists.
    Nothing,
    /// It is not finished, so it needs its texts.
    Unfinished,
}

/// Erases the texts of jobs. With `cancels`, unfinished jobs are cancelled first. Returns what became of each, in the order
/// of `asked`.
pub(crate) async fn erase(
    transaction: &mut Transaction,
    asked: &[JobId],
    cancels: bool,
    now: Moment,
) -> Result<Vec<Erased>, StoreError> {
    let jobs = lock(transaction, asked.iter().copied()).await?;
    let (mut finished, unfinished): (Vec<LockedJob>, Vec<LockedJob>) =
        jobs.into_iter().partition(|job| job.state().is_finished());
    let mut became: HashMap<JobId, Erased> = HashMap::default();
    if cancels {
        cancel(transaction, &unfinished, now, None).await?;
        finished.extend(unfinished);
        finished.sort_unstable_by_key(|job| job.id);
    } else {
        became.extend(unfinished.iter().map(|job| (job.id, Erased::Unfinished)));
    }
    let changed = erase_finished(transaction, &finished).await?;
    became.extend(changed.into_iter().map(|id| (id, Erased::Done)));
    Ok(asked.iter().map(|id| became.get(id).copied().unwrap_or(Erased::Nothing)).collect())
}

/// Returns the jobs that had texts.
async fn erase_finished(
    transaction: &mut Transaction,
    jobs: &[LockedJob],
) -> Result<HashSet<JobId>, StoreError> {
    let mut changed = HashSet::default();
    if jobs.is_empty() {
        return Ok(changed);
    }
    let erased = ids(jobs);
    erase_groups(transaction, &erased).await?;
    for sql in [ERASE, ERASE_ERRORS, DROP_NOTES] {
        let rows = transaction.change(sqlx::query(sql).bind(&erased)).await?;
        for row in &rows {
            changed.insert(JobId::from_uuid(row.try_get(0)?));
        }
    }
    transaction.execute(sqlx::query(DROP_BODIES).bind(&erased)).await?;
    for job in jobs {
        transaction.post_commit.bytes.dropped(job.account_id, job.bytes);
    }
    Ok(changed)
}

/// Deletes the groups of the jobs' errors. The text of a group has no numbers and no quoted values, but a handler may write
/// a customer's words into its error without quotes. A group that other jobs share starts again with their next error.
async fn erase_groups(transaction: &mut Transaction, erased: &[Uuid]) -> Result<(), StoreError> {
    let rows = transaction.read(sqlx::query(ERRORS).bind(erased)).await?;
    let text = |row: &PgRow| Ok(failures::group_text(row.try_get(0)?));
    let texts: BTreeSet<String> = rows.iter().map(text).collect::<Result<_, StoreError>>()?;
    if !texts.is_empty() {
        let texts: Vec<String> = texts.into_iter().collect();
        transaction.execute(sqlx::query(DROP_GROUPS).bind(texts)).await?;
    }
    Ok(())
}
