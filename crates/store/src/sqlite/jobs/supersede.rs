//! Marks the jobs that a new job supersedes: the earlier ones with the same `return_url`.
//!
//! Kommo reuses a `return_url` within one session. A new request with the same URL means that its bot has moved on. A
//! late, repeated continue of an older job would then answer the new question. The first continue of the older job is
//! still sent. The sender and [`retry`](crate::sqlite::jobs::operator::retry) decide whether to repeat it.
//!
//! A new job marks the older ones when it is stored. Looking up newer jobs before a repetition instead would need an
//! index of all jobs by `return_url`, in which almost every request changes a different page. The order of arrival
//! decides which job is newer, not the id, because the clock may have been set back.

use std::collections::{HashMap, HashSet};

use model::{JobId, NewJob};

use crate::StoreError;
use crate::sqlite::write::statement::{RowsStatement, Values};
use crate::sqlite::write::transaction::Transaction;

/// Marks unfinished jobs with the `return_url` of a new job. It runs before the new jobs are inserted.
///
/// This and [`ENDED`] are two statements, because SQLite scans all jobs if a statement joins a union.
pub(crate) const UNFINISHED: RowsStatement = RowsStatement {
    before: "WITH new (id, return_url) AS (VALUES ",
    width: 2,
    after: ") UPDATE jobs SET superseded_by = new.id FROM new WHERE jobs.return_url = new.return_url \
            AND jobs.finished_at IS NULL AND jobs.superseded_by IS NULL",
};

/// Marks, in the same way, the dead and gone jobs, which an operator may retry.
pub(crate) const ENDED: RowsStatement = RowsStatement {
    before: "WITH new (id, return_url) AS (VALUES ",
    width: 2,
    after: ") UPDATE jobs SET superseded_by = new.id FROM new WHERE jobs.return_url = new.return_url \
            AND jobs.state IN ('dead', 'gone') AND jobs.superseded_by IS NULL",
};

/// Marks new jobs that a later job of the same transaction supersedes.
pub(crate) const WITHIN: RowsStatement = RowsStatement {
    before: "WITH older (id, newer) AS (VALUES ",
    width: 2,
    after: ") UPDATE jobs SET superseded_by = older.newer FROM older WHERE jobs.id = older.id",
};

/// Marks the older jobs of each `return_url` in `new`. The first new job with that URL supersedes them. The jobs of
/// `new` are not stored yet.
pub(crate) async fn older(transaction: &mut Transaction<'_>, new: &[&NewJob]) -> Result<(), StoreError> {
    let mut seen = HashSet::with_capacity(new.len());
    let first = new.iter().copied().filter(|job| seen.insert(job.request.return_url.as_str()));
    let first: Vec<&NewJob> = first.collect();
    let push = |job: &&NewJob, row: &mut Values| {
        row.push(job.id.as_uuid()).push(job.request.return_url.as_str());
    };
    transaction.add(&UNFINISHED, &first, push).await?;
    transaction.add(&ENDED, &first, push).await
}

/// Marks the jobs of `new` whose `return_url` occurs again later in `new`. The jobs are already stored.
pub(crate) async fn within(transaction: &mut Transaction<'_>, new: &[&NewJob]) -> Result<(), StoreError> {
    let pairs = pairs(new.iter().map(|job| (job.id, job.request.return_url.as_str())));
    if pairs.is_empty() {
        return Ok(());
    }
    let push = |(older, newer): &(JobId, JobId), row: &mut Values| {
        row.push(older.as_uuid()).push(newer.as_uuid());
    };
    transaction.add(&WITHIN, &pairs, push).await
}

/// Returns each job whose URL occurs again, with the next job that has it.
fn pairs<'a>(jobs: impl ExactSizeIterator<Item = (JobId, &'a str)>) -> Vec<(JobId, JobId)> {
    if jobs.len() < 2 {
        return Vec::new();
    }
    let mut last = HashMap::with_capacity(jobs.len());
    jobs.filter_map(|(id, url)| Some((last.insert(url, id)?, id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn within_a_transaction_each_job_is_superseded_by_the_next_one_with_its_url() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|number| JobId::new(Timestamp::from_millis(0), number));
        for (urls, expected) in [
            (vec![], vec![]),
            (vec![(a, "x")], vec![]),
            (vec![(a, "x"), (b, "y")], vec![]),
            (vec![(a, "x"), (b, "y"), (c, "x"), (d, "x")], vec![(a, c), (c, d)]),
            // In order of arrival, whatever the ids.
            (vec![(d, "x"), (a, "x")], vec![(d, a)]),
        ] {
            assert_eq!(pairs(urls.clone().into_iter()), expected, "{urls:?}");
        }
    }
}
