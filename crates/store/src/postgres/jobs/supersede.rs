//! Marks the jobs that a new job supersedes: the earlier ones with the same `return_url`.
//!
//! Kommo reuses a `return_url` within one session. A new request with the same URL means that its bot has moved on. A
//! late, repeated continue of an older job would then answer the new question. The first continue of the older job is
//! still sent. The sender and the operator's retry decide whether to repeat it.
//!
//! A new job marks the older ones when it is stored. The order of arrival decides which job is newer, not the id, because
//! the clock may have been set back.

use model::NewJob;
use model::maps::HashSet;

use crate::StoreError;
use crate::jobs::accept::NewRow;
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;

/// Expands to the SQL that marks the jobs `$which`. Two statements use it, because each finds its jobs through its own
/// index.
macro_rules! mark {
    ($which:literal) => {
        concat!(
            "UPDATE jobs SET superseded_by = new.id FROM unnest($1::text[], $2::uuid[]) AS new (return_url, id) \
             WHERE hashtextextended(jobs.return_url, 0) = hashtextextended(new.return_url, 0) \
             AND jobs.return_url = new.return_url AND jobs.superseded_by IS NULL AND ",
            $which
        )
    };
}

/// Marks unfinished jobs.
pub(crate) const UNFINISHED: &str = mark!("jobs.ended IS NULL");
/// Marks the dead and gone jobs, which an operator may retry.
pub(crate) const ENDED: &str = mark!("jobs.ended IN ('dead', 'gone')");

/// Marks the older jobs of each `return_url` in `new`. The first new job with that URL supersedes them. The jobs of `new`
/// are not stored yet.
pub(crate) async fn older(transaction: &mut Transaction, new: &[NewRow<'_>]) -> Result<(), StoreError> {
    let mut seen = HashSet::with_capacity(new.len());
    let mut first: Vec<&NewJob> = new.iter().map(|row| row.job).collect();
    first.retain(|job| seen.insert(job.request.return_url.as_str()));
    if first.is_empty() {
        return Ok(());
    }
    first.sort_unstable_by_key(|job| job.request.return_url.as_str());
    for sql in [UNFINISHED, ENDED] {
        let mark = sqlx::query(sql)
            .bind(column(&first, |job| job.request.return_url.as_str()))
            .bind(column(&first, |job| job.id.as_uuid()));
        transaction.execute(mark).await?;
    }
    Ok(())
}
